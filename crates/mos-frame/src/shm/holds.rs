//! What a subscriber holds: a claim that ends on drop, and the count of those, which keeps to the hold that was admitted.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::lease::LeaseView;
use super::order::Step;
use super::words::AtomicU32;

/// The frames that one subscription holds. One thread claims; any thread may release.
#[derive(Debug)]
pub(crate) struct Holds {
    leases: Arc<LeaseView>,
    count: Arc<AtomicU32>,
    limit: u32,
}

impl Holds {
    /// At most `limit` at once.
    pub(crate) fn new(leases: Arc<LeaseView>, limit: u32) -> Self {
        Self {
            leases,
            count: Arc::new(AtomicU32::new(0)),
            limit,
        }
    }

    /// Most frames held at once.
    pub(crate) const fn limit(&self) -> u32 {
        self.limit
    }

    /// Frames held now.
    pub(crate) fn count(&self) -> u32 {
        self.count.load(Step::HoldsLook.order())
    }

    /// Whether one has to be released before another is claimed.
    pub(crate) fn is_full(&self) -> bool {
        self.count() >= self.limit
    }

    /// Claims an offer; `None` if it is gone, or if [`Self::is_full`]. By one thread at a time, as `&mut` makes sure.
    pub(crate) fn claim(&mut self, slot: usize, seq: u64) -> Option<Hold> {
        if self.is_full() || !self.leases.claim(slot, seq) {
            return None;
        }
        self.count.fetch_add(1, Relaxed);
        Some(Hold {
            leases: Arc::clone(&self.leases),
            slot,
            seq,
            count: Arc::clone(&self.count),
        })
    }
}

/// A claimed frame; released on drop.
#[derive(Debug)]
pub(crate) struct Hold {
    leases: Arc<LeaseView>,
    slot: usize,
    seq: u64,
    count: Arc<AtomicU32>,
}

impl Hold {
    /// Whether it was not revoked; what was read before is then sound.
    pub(crate) fn stands(&self) -> bool {
        self.leases.still_held(self.slot, self.seq)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        // False if it was revoked: then there is nothing left to give back.
        self.leases.release(self.slot, self.seq);
        // Afterwards: whoever claims in its place does so after it.
        self.count.fetch_sub(1, Step::HoldsLess.order());
    }
}
