//! The lease page: one word per buffer slot, `seq << 2 | state`, shared by the producer and one subscriber.
//!
//! The producer offers, recalls and revokes; the subscriber claims and releases. Each step is one store or one
//! compare-and-swap, so either side can stop for ever at any point without hurting the other. Why each has the memory
//! ordering that it has is written down in `order.rs`.

use std::io;
use std::sync::atomic::Ordering::Relaxed;

use super::SLOTS;
use super::order::Step;
use super::words::{Handle, OwnWords, Peer, Words};

/// Word of the doorbell: 1 while the subscriber sleeps or is about to.
const ARMED: usize = 0;
/// First slot word; the doorbell has a cache line of its own.
const FIRST_SLOT: usize = 8;
const WORDS: usize = FIRST_SLOT + SLOTS;

/// The last sequence that a word can carry: at a thousand frames a second, in 146 million years.
pub(super) const MAX_SEQ: u64 = u64::MAX >> 2;

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

/// The producer's side of a lease page. What it loads is untrusted: the peer can write anything.
#[derive(Debug)]
pub(crate) struct LeasePage {
    words: OwnWords,
}

impl LeasePage {
    pub(crate) fn new() -> io::Result<Self> {
        let words = OwnWords::new("mos-frame-leases", WORDS, Peer::Writes)?;
        Ok(Self { words })
    }

    /// What the subscriber is sent.
    pub(crate) fn fd(&self) -> Handle<'_> {
        self.words.handle()
    }

    /// Offers frame `seq`.
    pub(crate) fn offer(&self, slot: usize, seq: u64) {
        let word = pack(seq, State::Offered);
        self.words
            .store(FIRST_SLOT + slot, word, Step::Offer.order());
    }

    /// Takes an unclaimed offer back; else gives the word as it is.
    pub(crate) fn recall(&self, slot: usize, seq: u64) -> Result<(), u64> {
        self.words.exchange(
            FIRST_SLOT + slot,
            (pack(seq, State::Offered), pack(seq, State::Free)),
            (Step::Recall.order(), Step::RecallFailed.order()),
        )
    }

    /// Takes a held frame away; else gives the word as it is.
    pub(crate) fn revoke(&self, slot: usize, seq: u64) -> Result<(), u64> {
        self.words.exchange(
            FIRST_SLOT + slot,
            (pack(seq, State::Held), pack(seq, State::Revoked)),
            (Step::Revoke.order(), Step::RevokeFailed.order()),
        )?;
        Step::RevokeFence.fence();
        Ok(())
    }

    /// The word of a slot, for [`unpack`].
    pub(crate) fn load(&self, slot: usize) -> u64 {
        self.words.load(FIRST_SLOT + slot, Step::Look.order())
    }

    /// Marks every word revoked, so that the subscriber's handles know that they are void.
    pub(crate) fn revoke_all(&self) {
        for slot in 0..SLOTS {
            self.words
                .store(FIRST_SLOT + slot, State::Revoked as u64, Relaxed);
        }
        Step::RevokeFence.fence();
    }

    /// Whether the subscriber sleeps and has to be rung; each arming is answered once. All offers of a publish, then one
    /// [`publish_fence`], then this.
    pub(crate) fn take_armed(&self) -> bool {
        // Without a look before: who sleeps has written the word on its core, and it would come from there twice.
        disarm(&self.words)
    }

    /// Notes that the subscriber still waits for the ring that [`Self::take_armed`] promised.
    pub(crate) fn rearm(&self) {
        self.words.store(ARMED, 1, Relaxed);
    }
}

/// Takes an arming away; false if it was taken before. By compare-and-swap, so that only one side can.
fn disarm(words: &Words) -> bool {
    words.exchange(ARMED, (1, 0), (Relaxed, Relaxed)).is_ok()
}

/// Orders all offers of a publish before the loads of the armed words; pairs with the fence in [`LeaseView::arm`].
pub(crate) fn publish_fence() {
    Step::PublishFence.fence();
}

/// The subscriber's side of a lease page.
#[derive(Debug)]
pub(crate) struct LeaseView {
    words: Words,
}

impl LeaseView {
    /// Maps the page that the producer sent; refuses memory that could shrink under us.
    pub(crate) fn new(handle: Handle<'_>) -> io::Result<Self> {
        let words = Words::map(handle, WORDS)?;
        Ok(Self { words })
    }

    /// Whether frame `seq` is on offer in `slot`; a hint, since the producer may take it back at once.
    pub(crate) fn is_offered(&self, slot: usize, seq: u64) -> bool {
        self.words.load(FIRST_SLOT + slot, Relaxed) == pack(seq, State::Offered)
    }

    /// Claims an offer; false if it is gone.
    pub(crate) fn claim(&self, slot: usize, seq: u64) -> bool {
        self.words
            .exchange(
                FIRST_SLOT + slot,
                (pack(seq, State::Offered), pack(seq, State::Held)),
                (Step::Claim.order(), Relaxed),
            )
            .is_ok()
    }

    /// Ends a claim; false if it was revoked. A swap of exactly this sequence, since a plain store could wipe out the next
    /// offer after a revocation.
    pub(crate) fn release(&self, slot: usize, seq: u64) -> bool {
        self.words
            .exchange(
                FIRST_SLOT + slot,
                (pack(seq, State::Held), pack(seq, State::Free)),
                (Step::Release.order(), Relaxed),
            )
            .is_ok()
    }

    /// Whether the claim still stands; what was read before is then sound.
    pub(crate) fn still_held(&self, slot: usize, seq: u64) -> bool {
        Step::ValidFence.fence();
        self.words.load(FIRST_SLOT + slot, Relaxed) == pack(seq, State::Held)
    }

    /// Asks to be rung at the next publish. Look for offers once more afterwards: one may have come just before.
    pub(crate) fn arm(&self) {
        self.words.store(ARMED, 1, Relaxed);
        Step::ArmFence.fence();
    }

    /// Takes the request back; true if it was answered already, so that a ring is in the socket or about to be. Whoever
    /// armed and then did not sleep has to read that ring, or rings pile up in front of messages.
    pub(crate) fn disarm(&self) -> bool {
        !disarm(&self.words)
    }

    /// Writes any word into a slot, as no honest subscriber does.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn poke(&self, slot: usize, word: u64) {
        self.words.store(FIRST_SLOT + slot, word, Relaxed);
    }

    /// Writes one word into every slot, as no honest subscriber does.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn scribble(&self, word: u64) {
        (0..SLOTS).for_each(|slot| self.poke(slot, word));
    }
}

#[cfg(test)]
#[cfg(not(mos_loom))]
mod tests {
    use std::os::fd::AsFd;

    use super::*;
    use crate::memory;

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
        type Step = fn(&LeasePage, &LeaseView) -> bool;
        let steps: [(&str, Step, State, State); 4] = [
            (
                "recall",
                |page, _| page.recall(7, 5).is_ok(),
                State::Offered,
                State::Free,
            ),
            (
                "claim",
                |_, view| view.claim(7, 5),
                State::Offered,
                State::Held,
            ),
            (
                "release",
                |_, view| view.release(7, 5),
                State::Held,
                State::Free,
            ),
            (
                "revoke",
                |page, _| page.revoke(7, 5).is_ok(),
                State::Held,
                State::Revoked,
            ),
        ];
        let page = LeasePage::new().unwrap();
        let view = LeaseView::new(page.fd()).unwrap();
        for (name, step, from, to) in steps {
            for seq in [4, 5, 6] {
                for state in [State::Free, State::Offered, State::Held, State::Revoked] {
                    view.poke(7, pack(seq, state));
                    let legal = seq == 5 && state == from;
                    assert_eq!(step(&page, &view), legal, "{name} on {state:?}({seq})");
                    let expected = if legal { pack(5, to) } else { pack(seq, state) };
                    assert_eq!(page.load(7), expected, "{name} on {state:?}({seq})");
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
    fn disarming_tells_whether_a_ring_is_under_way() {
        let page = LeasePage::new().unwrap();
        let view = LeaseView::new(page.fd()).unwrap();
        view.arm();
        assert!(!view.disarm(), "nobody answered");
        assert!(!page.take_armed());
        view.arm();
        assert!(page.take_armed());
        assert!(view.disarm(), "a ring is under way");
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
