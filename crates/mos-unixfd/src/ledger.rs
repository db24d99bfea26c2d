//! Which frames a client has, and for how long it gave none back.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A number that names none of the client's frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UnknownBuffer(pub(crate) u64);

/// The frames that were sent to a client and not released; `K` keeps a frame.
#[derive(Debug)]
pub(crate) struct Ledger<K> {
    limit: usize,
    patience: Duration,
    lent: BTreeMap<u64, K>,
    next: u64,
    /// Since when the client has all that it may have.
    full_since: Option<Instant>,
}

impl<K> Ledger<K> {
    /// At most `limit` frames are lent; a client that has so many for longer than `patience` is overdue.
    pub(crate) fn new(limit: u32, patience: Duration) -> Self {
        Self {
            limit: limit.max(1) as usize,
            patience,
            lent: BTreeMap::new(),
            next: 1,
            full_since: None,
        }
    }

    /// Number of the next frame that is lent.
    pub(crate) const fn next_id(&self) -> u64 {
        self.next
    }

    /// Notes the next frame as lent. Not to be called when [`Self::is_full`].
    pub(crate) fn lend(&mut self, kept: K, now: Instant) {
        debug_assert!(!self.is_full());
        self.lent.insert(self.next, kept);
        self.next += 1;
        if self.is_full() {
            self.full_since = Some(now);
        }
    }

    /// Takes a frame back.
    pub(crate) fn take_back(&mut self, id: u64) -> Result<K, UnknownBuffer> {
        let kept = self.lent.remove(&id).ok_or(UnknownBuffer(id))?;
        self.full_since = None;
        Ok(kept)
    }

    pub(crate) fn held(&self) -> usize {
        self.lent.len()
    }

    /// Whether no more may be lent.
    pub(crate) fn is_full(&self) -> bool {
        self.lent.len() >= self.limit
    }

    /// When the client will have had all its frames for too long.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.full_since?.checked_add(self.patience)
    }

    pub(crate) fn is_overdue(&self, now: Instant) -> bool {
        self.deadline().is_some_and(|deadline| deadline <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(5);

    #[test]
    fn frames_come_back_once_and_in_any_order() {
        let mut ledger = Ledger::new(3, PATIENCE);
        let now = Instant::now();
        for kept in ["a", "b", "c"] {
            ledger.lend(kept, now);
        }
        assert!(ledger.is_full());
        assert_eq!(ledger.take_back(2), Ok("b"));
        assert_eq!(ledger.take_back(2), Err(UnknownBuffer(2)));
        assert_eq!(ledger.take_back(4), Err(UnknownBuffer(4)));
        assert_eq!((ledger.take_back(1), ledger.held()), (Ok("a"), 1));
        assert_eq!(ledger.next_id(), 4);
    }

    #[test]
    fn only_a_client_that_has_all_and_gives_none_is_overdue() {
        let mut ledger = Ledger::new(2, PATIENCE);
        let start = Instant::now();
        ledger.lend((), start);
        assert_eq!(ledger.deadline(), None, "one more may be lent");
        let full = start + Duration::from_secs(100);
        ledger.lend((), full);
        assert_eq!(ledger.deadline(), Some(full + PATIENCE));
        assert!(!ledger.is_overdue(full + Duration::from_nanos(4_999_999_999)));
        assert!(ledger.is_overdue(full + PATIENCE));
        ledger.take_back(1).unwrap();
        assert!(!ledger.is_overdue(full + PATIENCE));
        let again = full + PATIENCE;
        ledger.lend((), again);
        assert_eq!(
            ledger.deadline(),
            Some(again + PATIENCE),
            "its time starts anew"
        );
    }
}
