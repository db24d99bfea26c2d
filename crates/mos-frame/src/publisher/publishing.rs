//! Publishing a frame, and taking back what is over.

use std::sync::Arc;

use super::state::{Aftermath, State};
use super::subscribers::doom;
use crate::format::FrameMeta;
use crate::publisher::{PublishError, SlotId};
use crate::shm::{Board, Descriptor, publish_fence};

/// The last sequence of a session: a lease word has 62 bits for it, and a sequence never restarts within a session.
pub(super) const LAST_SEQ: u64 = (1 << 62) - 1;

impl<K> State<K> {
    /// Offers the frame in `id` to everybody who is started; `now` is the time of that, `CLOCK_MONOTONIC`. Next come the
    /// rings, and then [`Self::take_back`].
    pub(super) fn offer(
        &mut self,
        board: &Board,
        id: SlotId,
        meta: FrameMeta,
        now: u64,
        keep: K,
        after: &mut Aftermath<K>,
    ) -> Result<u64, PublishError> {
        let index = usize::from(id.index);
        if let Err(error) = self.check_idle(id, after) {
            after.released.push(keep);
            return Err(error);
        }
        if self.head >= LAST_SEQ {
            after.released.push(keep);
            return Err(PublishError::OutOfSequences);
        }
        let seq = self.head + 1;
        let Some(slot) = self.slots[index].as_mut() else {
            after.released.push(keep);
            return Err(PublishError::UnknownSlot);
        };
        let (epoch, generation) = (slot.epoch, slot.generation);
        board.describe(
            index,
            &Descriptor {
                seq,
                epoch,
                generation,
                publish_ns: now,
                meta,
            },
        );
        // The same buffer published twice in a row: its first owner is let go of.
        match slot.keep.replace(keep) {
            Some(former) => after.released.push(former),
            None => self.busy += 1,
        }
        slot.last_seq = seq;
        slot.published_ns = now;
        for sub in self.subs.iter_mut().filter(|s| s.is_served()) {
            if sub.known[index] {
                sub.book.offer(&sub.page, index, seq);
                slot.leases += 1;
            } else {
                sub.book.skip();
            }
        }
        let previous = self.newest.replace(index);
        self.head = seq;
        board.advance(seq);
        if let Some(previous) = previous.filter(|p| *p != index) {
            self.settle(previous, after);
        }
        self.ring(after);
        Ok(seq)
    }

    /// The second half of publishing, behind the rings: nobody who sleeps has to wait for it. Takes back what left the
    /// windows and what was released, so that its buffers are free when publishing is done.
    pub(super) fn take_back(&mut self, after: &mut Aftermath<K>) {
        if after.rings.is_empty() {
            std::mem::swap(&mut after.rings, &mut self.room_for_rings);
        }
        self.sweep(self.head, after);
        self.spare_low = self.spare_low.min(self.spare());
        // Once per pause, and once when buffers run short: else the thread stays on its timer.
        after.wake |= !self.reaping && self.has_leases();
        if self.at_ease && self.is_short() {
            (self.at_ease, after.wake) = (false, true);
        }
    }

    fn check_idle(&mut self, id: SlotId, after: &mut Aftermath<K>) -> Result<(), PublishError> {
        let index = usize::from(id.index);
        let busy = |state: &Self| -> Result<bool, PublishError> {
            let slot = state
                .slots
                .get(index)
                .and_then(Option::as_ref)
                .ok_or(PublishError::UnknownSlot)?;
            if slot.generation != id.generation || slot.retired {
                return Err(PublishError::UnknownSlot);
            }
            Ok(slot.leases > 0)
        };
        if busy(self)? {
            self.sweep(self.head, after);
            if busy(self)? {
                return Err(PublishError::Busy { slot: id.index });
            }
        }
        Ok(())
    }

    fn ring(&mut self, after: &mut Aftermath<K>) {
        if after.rings.is_empty() {
            std::mem::swap(&mut after.rings, &mut self.room_for_rings);
        }
        publish_fence();
        for sub in self.subs.iter().filter(|s| s.is_served()) {
            if sub.page.take_armed() {
                after.rings.push(Arc::clone(&sub.bell));
            }
        }
    }

    /// Brings all books up to date, with `head` as the newest frame.
    pub(super) fn sweep(&mut self, head: u64, after: &mut Aftermath<K>) {
        let (slots, busy) = (&mut self.slots, &mut self.busy);
        let newest = self.newest;
        let mut retired = false;
        for sub in self.subs.iter_mut().filter(|s| s.doomed.is_none()) {
            let swept = sub.book.sweep(&sub.page, head, |index| {
                if let Some(slot) = &mut slots[index] {
                    slot.leases = slot.leases.saturating_sub(1);
                    if slot.leases == 0 && newest != Some(index) {
                        slot.let_go(busy, after);
                        retired |= slot.retired;
                    }
                }
            });
            if let Err(reason) = swept {
                let text = "its lease page or its holds broke the protocol";
                doom(sub, slots, &mut self.evictions, reason, text);
                (after.wake, retired) = (true, true);
            }
        }
        if retired {
            self.settle_all(after);
        }
    }

    /// Whether a frame is out that only a sweep can bring back.
    pub(super) fn has_leases(&self) -> bool {
        self.subs.iter().any(|s| !s.book.is_empty())
    }
}
