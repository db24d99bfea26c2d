//! What a subscriber holds: a claim that ends on drop, and the count of those, which keeps to the hold that was admitted.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::lease::LeaseView;
use super::order::Step;
use super::words::AtomicU32;

/// The frames that one subscription holds. One thread claims; any thread may release.
#[derive(Debug)]
pub(crate) struct Holds<K> {
    shared: Arc<Shared<K>>,
    limit: u32,
}

/// What every hold needs in its place: one allocation, since who was just woken finds each of them cold.
#[derive(Debug)]
struct Shared<K> {
    leases: LeaseView,
    count: AtomicU32,
    keep: K,
}

impl<K> Holds<K> {
    /// At most `limit` at once. `keep` lives as long as any of them.
    pub(crate) fn new(leases: LeaseView, limit: u32, keep: K) -> Self {
        let count = AtomicU32::new(0);
        Self {
            shared: Arc::new(Shared {
                leases,
                count,
                keep,
            }),
            limit,
        }
    }

    /// The page that they are claimed on.
    pub(crate) fn leases(&self) -> &LeaseView {
        &self.shared.leases
    }

    /// Frames that were handed out and are still there, or are just being dropped.
    pub(crate) fn handles(&self) -> usize {
        Arc::strong_count(&self.shared) - 1
    }

    /// Most frames held at once.
    pub(crate) const fn limit(&self) -> u32 {
        self.limit
    }

    /// Frames held now.
    pub(crate) fn count(&self) -> u32 {
        self.shared.count.load(Step::HoldsLook.order())
    }

    /// Whether one has to be released before another is claimed.
    pub(crate) fn is_full(&self) -> bool {
        self.count() >= self.limit
    }

    /// Claims an offer; `None` if it is gone, or if [`Self::is_full`]. By one thread at a time, as `&mut` makes sure.
    pub(crate) fn claim(&mut self, slot: usize, seq: u64) -> Option<Hold<K>> {
        if self.is_full() || !self.shared.leases.claim(slot, seq) {
            return None;
        }
        self.shared.count.fetch_add(1, Relaxed);
        Some(Hold {
            shared: Arc::clone(&self.shared),
            slot,
            seq,
            is_ours: true,
        })
    }
}

/// A claimed frame; released on drop.
#[derive(Debug)]
pub(crate) struct Hold<K> {
    shared: Arc<Shared<K>>,
    slot: usize,
    seq: u64,
    is_ours: bool,
}

impl<K> Hold<K> {
    /// Gives nothing back when it is dropped: it is a copy of another process's hold.
    pub(crate) const fn disown(&mut self) {
        self.is_ours = false;
    }

    /// Whether it was not revoked; what was read before is then sound.
    pub(crate) fn stands(&self) -> bool {
        self.shared.leases.still_held(self.slot, self.seq)
    }

    /// What lives as long as it.
    pub(crate) fn keep(&self) -> &K {
        &self.shared.keep
    }
}

impl<K> Drop for Hold<K> {
    fn drop(&mut self) {
        if !self.is_ours {
            return;
        }
        // False if it was revoked: then there is nothing left to give back.
        self.shared.leases.release(self.slot, self.seq);
        // Afterwards: whoever claims in its place does so after it.
        self.shared.count.fetch_sub(1, Step::HoldsLess.order());
    }
}
