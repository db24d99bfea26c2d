//! The lease page: one word per buffer slot, `seq << 2 | state`, shared by the producer and one subscriber.
//!
//! The producer offers, recalls and revokes; the subscriber claims and releases. Each step is one store or one
//! compare-and-swap, so either side can stop for ever at any point without hurting the other.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use std::sync::atomic::{AtomicU64, fence};

use super::{SLOTS, Words};
use crate::memory;

/// Word of the doorbell: 1 while the subscriber sleeps or is about to.
const ARMED: usize = 0;
/// First slot word; the doorbell has a cache line of its own.
const FIRST_SLOT: usize = 8;
const WORDS: usize = FIRST_SLOT + SLOTS;

/// What a lease word says about its slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum State {
    /// Nobody's.
    Free = 0,
    /// The subscriber may claim it; the producer may take it back.
    Offered = 1,
    /// The subscriber reads it; the producer keeps off.
    Held = 2,
    /// The producer took it back while it was held.
    Revoked = 3,
}

const fn pack(seq: u64, state: State) -> u64 {
    seq << 2 | state as u64
}

/// Sequence and state of a word.
pub(crate) const fn unpack(word: u64) -> (u64, State) {
    let state = match word & 3 {
        0 => State::Free,
        1 => State::Offered,
        2 => State::Held,
        _ => State::Revoked,
    };
    (word >> 2, state)
}

/// Offers frame `seq`. `Release`: whoever claims it sees the pixels and the descriptor.
fn offer(word: &AtomicU64, seq: u64) {
    word.store(pack(seq, State::Offered), Release);
}

/// Takes an unclaimed offer back; else gives the word as it is. `Acquire` on failure: the word may say `Free`, after
/// which the buffer is written again.
fn recall(word: &AtomicU64, seq: u64) -> Result<(), u64> {
    word.compare_exchange(
        pack(seq, State::Offered),
        pack(seq, State::Free),
        AcqRel,
        Acquire,
    )
    .map(drop)
}

/// Takes a held frame away; else gives the word as it is. The fence orders the word before the pixels that follow.
fn revoke(word: &AtomicU64, seq: u64) -> Result<(), u64> {
    word.compare_exchange(
        pack(seq, State::Held),
        pack(seq, State::Revoked),
        AcqRel,
        Acquire,
    )?;
    fence(Release);
    Ok(())
}

/// Claims an offer. `Acquire`: pixels and descriptor of this sequence are visible from here on. `Release`: a producer
/// that sees this claim also sees the releases that made room for it, so it never counts one frame too many.
fn claim(word: &AtomicU64, seq: u64) -> bool {
    word.compare_exchange(
        pack(seq, State::Offered),
        pack(seq, State::Held),
        AcqRel,
        Relaxed,
    )
    .is_ok()
}

/// Ends a claim; false if it was revoked. A swap of exactly this sequence, since a plain store could wipe out the next
/// offer after a revocation. `Release`: our reads are done before the producer writes again.
fn release(word: &AtomicU64, seq: u64) -> bool {
    word.compare_exchange(
        pack(seq, State::Held),
        pack(seq, State::Free),
        Release,
        Relaxed,
    )
    .is_ok()
}

/// The producer's side of a lease page. What it loads is untrusted: the peer can write anything.
#[derive(Debug)]
pub(crate) struct LeasePage {
    words: Words,
    fd: OwnedFd,
}

impl LeasePage {
    pub(crate) fn new() -> io::Result<Self> {
        let fd = memory::memfd("mos-frame-leases", (WORDS * 8) as u64)?;
        let words = Words::read_write(fd.as_fd(), WORDS)?;
        memory::seal_size(fd.as_fd())?;
        rustix::fs::fcntl_add_seals(&fd, rustix::fs::SealFlags::SEAL)?;
        Ok(Self { words, fd })
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    pub(crate) fn offer(&self, slot: usize, seq: u64) {
        offer(self.words.at(FIRST_SLOT + slot), seq);
    }

    pub(crate) fn recall(&self, slot: usize, seq: u64) -> Result<(), u64> {
        recall(self.words.at(FIRST_SLOT + slot), seq)
    }

    pub(crate) fn revoke(&self, slot: usize, seq: u64) -> Result<(), u64> {
        revoke(self.words.at(FIRST_SLOT + slot), seq)
    }

    /// `Acquire`: after `Free` was seen the buffer is written again.
    pub(crate) fn load(&self, slot: usize) -> u64 {
        self.words.at(FIRST_SLOT + slot).load(Acquire)
    }

    /// Marks every word revoked, so that the subscriber's handles know that they are void.
    pub(crate) fn revoke_all(&self) {
        for slot in 0..SLOTS {
            self.words
                .at(FIRST_SLOT + slot)
                .store(State::Revoked as u64, Relaxed);
        }
        fence(Release);
    }

    /// Whether the subscriber sleeps and has to be rung; each arming is answered once. All offers of a publish, then one
    /// [`publish_fence`], then this.
    pub(crate) fn take_armed(&self) -> bool {
        self.words.at(ARMED).load(Relaxed) != 0 && self.words.at(ARMED).swap(0, AcqRel) != 0
    }

    /// Notes that the subscriber still waits for the ring that [`Self::take_armed`] promised.
    pub(crate) fn rearm(&self) {
        self.words.at(ARMED).store(1, Release);
    }
}

/// Orders all offers of a publish before the loads of the armed words; pairs with the fence in [`LeaseView::arm`].
pub(crate) fn publish_fence() {
    fence(SeqCst);
}

/// The subscriber's side of a lease page.
#[derive(Debug)]
pub(crate) struct LeaseView {
    words: Words,
}

impl LeaseView {
    /// Maps the page that the producer sent; refuses memory that could shrink under us.
    pub(crate) fn new(fd: BorrowedFd<'_>) -> io::Result<Self> {
        if !memory::has_fixed_size(fd) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the lease page is not sealed",
            ));
        }
        Ok(Self {
            words: Words::read_write(fd, WORDS)?,
        })
    }

    /// Whether frame `seq` is on offer in `slot`; a hint, since the producer may take it back at once.
    pub(crate) fn is_offered(&self, slot: usize, seq: u64) -> bool {
        self.words.at(FIRST_SLOT + slot).load(Acquire) == pack(seq, State::Offered)
    }

    pub(crate) fn claim(&self, slot: usize, seq: u64) -> bool {
        claim(self.words.at(FIRST_SLOT + slot), seq)
    }

    pub(crate) fn release(&self, slot: usize, seq: u64) -> bool {
        release(self.words.at(FIRST_SLOT + slot), seq)
    }

    /// Whether the claim still stands; what was read before is then sound. The fence keeps those reads before the load.
    pub(crate) fn still_held(&self, slot: usize, seq: u64) -> bool {
        fence(Acquire);
        self.words.at(FIRST_SLOT + slot).load(Relaxed) == pack(seq, State::Held)
    }

    /// Writes one word into every slot, as no honest subscriber does.
    #[cfg(test)]
    pub(crate) fn scribble(&self, word: u64) {
        for slot in 0..SLOTS {
            self.words.at(FIRST_SLOT + slot).store(word, Relaxed);
        }
    }

    /// Asks to be rung at the next publish. Look for offers once more afterwards: one may have come just before.
    pub(crate) fn arm(&self) {
        self.words.at(ARMED).store(1, Relaxed);
        fence(SeqCst);
    }

    /// Takes the request back; true if it was answered already, so that a ring is in the socket or about to be. Whoever
    /// armed and then did not sleep has to read that ring, or rings pile up in front of messages.
    pub(crate) fn disarm(&self) -> bool {
        self.words.at(ARMED).swap(0, Relaxed) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_carry_sequence_and_state() {
        for state in [State::Free, State::Offered, State::Held, State::Revoked] {
            for seq in [0, 1, 77, (1 << 62) - 1] {
                assert_eq!(unpack(pack(seq, state)), (seq, state));
            }
        }
    }

    /// Every step against every state of the word: only the one legal transition changes it.
    #[test]
    fn each_step_has_one_legal_start() {
        type Step = fn(&AtomicU64) -> bool;
        let steps: [(&str, Step, State, State); 4] = [
            (
                "recall",
                |w| recall(w, 5).is_ok(),
                State::Offered,
                State::Free,
            ),
            ("claim", |w| claim(w, 5), State::Offered, State::Held),
            ("release", |w| release(w, 5), State::Held, State::Free),
            (
                "revoke",
                |w| revoke(w, 5).is_ok(),
                State::Held,
                State::Revoked,
            ),
        ];
        for (name, step, from, to) in steps {
            for seq in [4, 5, 6] {
                for state in [State::Free, State::Offered, State::Held, State::Revoked] {
                    let word = AtomicU64::new(pack(seq, state));
                    let legal = seq == 5 && state == from;
                    assert_eq!(step(&word), legal, "{name} on {state:?}({seq})");
                    let expected = if legal { pack(5, to) } else { pack(seq, state) };
                    assert_eq!(word.into_inner(), expected, "{name} on {state:?}({seq})");
                }
            }
        }
    }

    #[test]
    fn two_processes_see_one_page() {
        let page = LeasePage::new().unwrap();
        let view = LeaseView::new(page.fd()).unwrap();
        page.offer(3, 9);
        assert!(view.is_offered(3, 9));
        assert!(view.claim(3, 9));
        assert_eq!(page.recall(3, 9), Err(pack(9, State::Held)));
        assert!(view.release(3, 9));
        assert_eq!(unpack(page.load(3)), (9, State::Free));
    }

    #[test]
    fn an_arming_is_answered_once() {
        let page = LeasePage::new().unwrap();
        let view = LeaseView::new(page.fd()).unwrap();
        assert!(!page.take_armed());
        view.arm();
        assert!(page.take_armed());
        assert!(!page.take_armed());
        page.rearm();
        assert!(page.take_armed(), "a ring that failed is owed");
    }

    #[test]
    fn an_unsealed_page_is_refused() {
        let fd = memory::memfd("open", (WORDS * 8) as u64).unwrap();
        assert_eq!(
            LeaseView::new(fd.as_fd()).unwrap_err().kind(),
            io::ErrorKind::InvalidData
        );
    }
}
