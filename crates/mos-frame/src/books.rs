//! The producer's books: which subscriber has which frame. The books are the truth; the lease page is read only where
//! they show a lease, and only what they allow is believed.

use serde::{Deserialize, Serialize};

use crate::shm::{LeasePage, State, unpack};
use crate::wire::Reason;

/// One frame that is offered to, or held by, one subscriber.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Lease {
    slot: usize,
    seq: u64,
    held: bool,
}

/// What happened to the frames of one subscriber. At any time
/// `published = claimed + recalled + skipped + frames still offered` since it joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LeaseCounters {
    /// Frames put on offer.
    pub offered: u64,
    /// Frames that it took.
    pub claimed: u64,
    /// Frames taken back because the window moved on: the subscriber was too slow for them.
    pub recalled: u64,
    /// Frames never offered, because the buffer's descriptor could not be sent yet (its socket was full).
    pub skipped: u64,
    /// Frames taken away while it held them (hold 0 only).
    pub revoked: u64,
    /// Frames that it holds now.
    pub held: u32,
    /// Most frames that it held at once.
    pub max_held: u32,
}

/// The book of one subscriber.
#[derive(Debug)]
pub(crate) struct Book {
    window: u64,
    hold: u32,
    leases: Vec<Lease>,
    counters: LeaseCounters,
}

impl Book {
    pub(crate) fn new(window: u32, hold: u32) -> Self {
        Self {
            window: u64::from(window),
            hold,
            leases: Vec::new(),
            counters: LeaseCounters::default(),
        }
    }

    pub(crate) const fn counters(&self) -> LeaseCounters {
        self.counters
    }

    /// Offers frame `seq` in `slot`.
    pub(crate) fn offer(&mut self, page: &LeasePage, slot: usize, seq: u64) {
        page.offer(slot, seq);
        self.leases.push(Lease {
            slot,
            seq,
            held: false,
        });
        self.counters.offered += 1;
    }

    /// Notes that a frame could not be offered.
    pub(crate) fn skip(&mut self) {
        self.counters.skipped += 1;
    }

    /// Brings the book up to date with the page, with `head` as the newest frame: recalls what left the window and calls
    /// `ended` with the slot of every lease that is over. An error is a subscriber that no honest one behaves like.
    pub(crate) fn sweep(
        &mut self,
        page: &LeasePage,
        head: u64,
        mut ended: impl FnMut(usize),
    ) -> Result<(), Reason> {
        let mut index = 0;
        while let Some(lease) = self.leases.get_mut(index) {
            match settle(lease, page, head, self.window, self.hold == 0)? {
                Settled::Offered | Settled::Held => {
                    index += 1;
                    continue;
                }
                Settled::Released => self.counters.claimed += u64::from(!lease.held),
                Settled::Recalled => self.counters.recalled += 1,
                Settled::Revoked => {
                    self.counters.claimed += u64::from(!lease.held);
                    self.counters.revoked += 1;
                }
            }
            ended(lease.slot);
            self.leases.swap_remove(index);
        }
        self.count_holds(page)
    }

    /// Counts held frames. Two loads are no snapshot (a subscriber may free A and claim B between them), so more than
    /// agreed counts only if the same frames are still held on a second look.
    fn count_holds(&mut self, page: &LeasePage) -> Result<(), Reason> {
        let mut held = 0;
        for lease in &mut self.leases {
            if unpack(page.load(lease.slot)) == (lease.seq, State::Held) {
                held += 1;
                self.counters.claimed += u64::from(!lease.held);
                lease.held = true;
            }
        }
        let bounded = self.hold > 0;
        if bounded && held > self.hold {
            let is_held = |l: &&Lease| l.held && unpack(page.load(l.slot)) == (l.seq, State::Held);
            held = self.leases.iter().filter(is_held).count() as u32;
        }
        self.counters.held = held;
        self.counters.max_held = self.counters.max_held.max(held);
        if bounded && held > self.hold {
            return Err(Reason::HoldExceeded);
        }
        Ok(())
    }

    /// Slot, sequence and whether it is held, of every lease; as of the last sweep.
    pub(crate) fn leases(&self) -> impl Iterator<Item = (usize, u64, bool)> + '_ {
        self.leases.iter().map(|l| (l.slot, l.seq, l.held))
    }

    /// Closes the book, whatever the page says; gives the slots of all its leases.
    pub(crate) fn close(&mut self) -> impl Iterator<Item = usize> {
        self.counters.held = 0;
        // Nobody can claim them any more.
        self.counters.recalled += self.leases.iter().filter(|l| !l.held).count() as u64;
        std::mem::take(&mut self.leases).into_iter().map(|l| l.slot)
    }

    /// Says what is wrong with the figures, if anything is.
    pub(crate) fn check_invariants(&self) -> Result<(), String> {
        let LeaseCounters {
            offered,
            claimed,
            recalled,
            revoked,
            held,
            max_held,
            ..
        } = self.counters;
        let open = self.leases.iter().filter(|l| !l.held).count() as u64;
        if offered != claimed + recalled + open {
            return Err(format!(
                "{offered} frames offered, but {claimed} claimed, {recalled} recalled, {open} still offered"
            ));
        }
        if revoked > claimed || held > max_held || u64::from(max_held) > claimed {
            return Err(format!(
                "of {claimed} claimed frames {revoked} were revoked, {held} are held, {max_held} were at most"
            ));
        }
        let mut slots = std::collections::HashSet::new();
        if !self.leases.iter().all(|l| slots.insert(l.slot)) {
            return Err("two leases on one slot".into());
        }
        Ok(())
    }

    /// Whether any frame is offered or held.
    pub(crate) fn is_empty(&self) -> bool {
        self.leases.is_empty()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Settled {
    Offered,
    Held,
    Released,
    Recalled,
    Revoked,
}

/// Decides one lease by one load and at most one compare-and-swap; no loop, so a peer that hammers the word gains nothing.
fn settle(
    lease: &Lease,
    page: &LeasePage,
    head: u64,
    window: u64,
    revocable: bool,
) -> Result<Settled, Reason> {
    let outside = lease.seq + window <= head;
    let word = page.load(lease.slot);
    match (unpack(word), outside) {
        ((seq, State::Offered), true) if seq == lease.seq => {
            match page.recall(lease.slot, lease.seq) {
                Ok(()) => Ok(Settled::Recalled),
                // It was claimed, or even claimed and freed, since the load.
                Err(word) => judge(word, lease, outside, page, revocable),
            }
        }
        _ => judge(word, lease, outside, page, revocable),
    }
}

fn judge(
    word: u64,
    lease: &Lease,
    outside: bool,
    page: &LeasePage,
    revocable: bool,
) -> Result<Settled, Reason> {
    match unpack(word) {
        (seq, _) if seq != lease.seq => Err(Reason::BadLease),
        (_, State::Held) if outside && revocable => match page.revoke(lease.slot, lease.seq) {
            Ok(()) => Ok(Settled::Revoked),
            Err(word) if unpack(word) == (lease.seq, State::Free) => Ok(Settled::Released),
            Err(_) => Err(Reason::BadLease),
        },
        (_, State::Held) => Ok(Settled::Held),
        (_, State::Free) => Ok(Settled::Released),
        (_, State::Offered) if !outside => Ok(Settled::Offered),
        // Offered again after a claim, or revoked by somebody who is not us.
        _ => Err(Reason::BadLease),
    }
}

#[cfg(test)]
#[cfg(not(mos_loom))]
mod tests {
    use super::*;
    use crate::shm::LeaseView;

    struct Bench {
        book: Book,
        page: LeasePage,
        view: LeaseView,
        ended: Vec<usize>,
    }

    impl Bench {
        fn new(window: u32, hold: u32) -> Self {
            let page = LeasePage::new().unwrap();
            let view = LeaseView::new(page.fd()).unwrap();
            Self {
                book: Book::new(window, hold),
                page,
                view,
                ended: Vec::new(),
            }
        }

        fn sweep(&mut self, head: u64) -> Result<(), Reason> {
            let ended = &mut self.ended;
            self.book.sweep(&self.page, head, |slot| ended.push(slot))
        }
    }

    #[test]
    fn recall_is_by_window_however_many_offers_there_are() {
        let mut b = Bench::new(2, 1);
        for seq in 1..=5 {
            b.book.offer(&b.page, seq as usize, seq);
        }
        b.sweep(5).unwrap();
        b.ended.sort_unstable();
        assert_eq!(b.ended, [1, 2, 3]);
        assert_eq!(b.book.counters().recalled, 3);
        assert!(b.view.is_offered(4, 4) && b.view.is_offered(5, 5));
    }

    #[test]
    fn a_held_frame_stays_out_of_reach_of_the_window() {
        let mut b = Bench::new(1, 1);
        b.book.offer(&b.page, 0, 1);
        assert!(b.view.claim(0, 1));
        b.sweep(100).unwrap();
        assert_eq!((b.ended.len(), b.book.counters().held), (0, 1));
        assert!(b.view.release(0, 1));
        b.sweep(100).unwrap();
        assert_eq!(b.ended, [0]);
        assert_eq!(
            b.book.counters(),
            LeaseCounters {
                offered: 1,
                claimed: 1,
                max_held: 1,
                ..Default::default()
            }
        );
    }

    #[test]
    fn claim_and_release_between_two_looks_still_count() {
        let mut b = Bench::new(2, 1);
        b.book.offer(&b.page, 0, 1);
        assert!(b.view.claim(0, 1) && b.view.release(0, 1));
        b.sweep(1).unwrap();
        assert_eq!(
            (b.book.counters().claimed, b.ended.as_slice()),
            (1, [0].as_slice())
        );
    }

    #[test]
    fn hold_zero_ends_with_the_window() {
        let mut b = Bench::new(1, 0);
        b.book.offer(&b.page, 0, 1);
        assert!(b.view.claim(0, 1));
        b.sweep(1).unwrap();
        assert!(b.view.still_held(0, 1));
        b.sweep(2).unwrap();
        assert!(!b.view.still_held(0, 1));
        assert!(!b.view.release(0, 1), "a revoked frame can't be released");
        assert_eq!(
            (b.book.counters().revoked, b.ended.as_slice()),
            (1, [0].as_slice())
        );
    }

    #[test]
    fn more_holds_than_agreed_are_an_offence() {
        let mut b = Bench::new(4, 1);
        for seq in 1..=2 {
            b.book.offer(&b.page, seq as usize, seq);
            assert!(b.view.claim(seq as usize, seq));
        }
        assert_eq!(b.sweep(2), Err(Reason::HoldExceeded));
    }

    /// Words that no honest subscriber writes; each is an offence, none a panic.
    #[test]
    fn strange_words_are_an_offence() {
        let words = [0, 3, 1 << 2 | 3, 2 << 2 | 2, u64::MAX, 7 << 2];
        for word in words {
            let mut b = Bench::new(2, 1);
            b.book.offer(&b.page, 0, 1);
            raw_store(&b.page, 0, word);
            assert_eq!(b.sweep(1), Err(Reason::BadLease), "{word:#x}");
        }
    }

    fn raw_store(page: &LeasePage, slot: usize, word: u64) {
        rustix::io::pwrite(page.fd(), &word.to_ne_bytes(), (8 + slot as u64) * 8).unwrap();
    }

    #[test]
    fn a_closed_book_gives_everything_back() {
        let mut b = Bench::new(4, 4);
        for seq in 1..=3 {
            b.book.offer(&b.page, seq as usize, seq);
        }
        assert!(b.view.claim(2, 2));
        let mut slots: Vec<_> = b.book.close().collect();
        slots.sort_unstable();
        assert_eq!(slots, [1, 2, 3]);
        assert!(b.book.is_empty());
    }
}
