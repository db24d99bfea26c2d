//! What holds of a producer's state whenever its lock is free. Checked in debug builds after each message of a peer, by the
//! tests and by the fuzz targets.

use std::collections::HashSet;

use super::state::{Outgoing, Slot, State, Sub};
use super::subscribers::MAX_UNACKED;
use crate::shm::SLOTS;
use crate::wire::Message;

/// Ends the check with a text unless the condition holds.
macro_rules! hold {
    ($condition:expr, $($text:tt)+) => {
        if !$condition {
            return Err(format!($($text)+));
        }
    };
}

impl<K> State<K> {
    /// Says what is wrong with the state, if anything is.
    pub(crate) fn check_invariants(&self) -> Result<(), String> {
        self.check_slots()?;
        self.check_leases()?;
        let mut ids = HashSet::new();
        for sub in &self.subs {
            hold!(ids.insert(sub.id), "subscriber {} is there twice", sub.id);
            self.check_sub(sub)
                .map_err(|e| format!("subscriber {}: {e}", sub.id))?;
        }
        Ok(())
    }

    fn check_slots(&self) -> Result<(), String> {
        let mut generations = HashSet::new();
        let mut busy = 0;
        for (index, slot) in self.slots.iter().enumerate() {
            let Some(slot) = slot else {
                continue;
            };
            busy += u32::from(slot.keep.is_some());
            self.check_slot(index, slot)
                .map_err(|e| format!("slot {index}: {e}"))?;
            let generation = slot.generation;
            hold!(
                generations.insert(generation),
                "generation {generation} is there twice"
            );
        }
        hold!(
            busy == self.busy,
            "{busy} slots have a frame, {} are counted",
            self.busy
        );
        let live = self.slots.iter().flatten().filter(|s| !s.retired).count();
        hold!(
            live == self.live as usize,
            "{live} buffers can be published, {} are counted",
            self.live
        );
        hold!(
            self.spare_low <= self.budget.slots,
            "more buffers were spare than there are"
        );
        if let Some(index) = self.newest {
            let newest = self.slots[index].as_ref();
            let kept = newest.is_some_and(|s| s.keep.is_some() && s.last_seq == self.head);
            hold!(kept, "the newest frame is not in slot {index}");
        }
        for epoch in self.drains.open() {
            let there = self.slots.iter().flatten().any(|s| s.epoch == epoch);
            hold!(
                there && epoch < self.epoch,
                "epoch {epoch} drains without buffers"
            );
        }
        Ok(())
    }

    fn check_slot(&self, index: usize, slot: &Slot<K>) -> Result<(), String> {
        let is_newest = self.newest == Some(index);
        hold!(
            slot.epoch <= self.epoch,
            "of the future epoch {}",
            slot.epoch
        );
        hold!(
            slot.generation <= self.generation,
            "of the future generation {}",
            slot.generation
        );
        hold!(
            slot.last_seq <= self.head,
            "of the future {}",
            slot.last_seq
        );
        hold!(
            slot.epoch == self.epoch || slot.retired,
            "in use in epoch {} although it is of epoch {}",
            self.epoch,
            slot.epoch
        );
        hold!(
            slot.keep.is_some() || slot.leases == 0,
            "{} leases on no frame",
            slot.leases
        );
        hold!(
            slot.leases > 0 || is_newest || slot.keep.is_none(),
            "nobody needs its frame"
        );
        hold!(
            !slot.retired || slot.leases > 0 || is_newest,
            "it should be gone"
        );
        Ok(())
    }

    fn check_leases(&self) -> Result<(), String> {
        let mut booked = vec![0_u32; SLOTS];
        for sub in &self.subs {
            for (slot, seq, _) in sub.book.leases() {
                booked[slot] += 1;
                let there = self.slots[slot].as_ref();
                hold!(
                    there.is_some_and(|s| s.last_seq == seq),
                    "subscriber {} has a lease on frame {seq}, which is not in slot {slot}",
                    sub.id
                );
            }
        }
        for (index, (slot, booked)) in self.slots.iter().zip(booked).enumerate() {
            let counted = slot.as_ref().map_or(0, |s| s.leases);
            hold!(
                counted == booked,
                "slot {index} counts {counted} leases, the books have {booked}"
            );
        }
        Ok(())
    }

    fn check_sub(&self, sub: &Sub) -> Result<(), String> {
        sub.book.check_invariants()?;
        hold!(
            sub.doomed.is_none() || sub.book.is_empty(),
            "cut off, but it has leases"
        );
        for (index, known) in sub.known.iter().enumerate() {
            hold!(
                !known || self.slots[index].is_some(),
                "knows slot {index}, which is empty"
            );
        }
        // One buffer may be sent whatever it has unread.
        hold!(
            sub.unread() <= MAX_UNACKED + 6,
            "{} descriptors are unread",
            sub.unread()
        );
        let about_buffers = |o: &&Outgoing| {
            let remove = matches!(o, Outgoing::Plain(Message::BufferRemove { .. }));
            remove || matches!(o, Outgoing::AddBuffer { .. })
        };
        let (buffers, all) = (
            sub.outbox.iter().filter(about_buffers).count(),
            sub.outbox.len(),
        );
        // Of each slot an announcement, the end of the buffer before, and of one whose announcement was under way.
        hold!(
            buffers <= 3 * SLOTS,
            "{buffers} messages about buffers wait"
        );
        hold!(all - buffers <= 4, "{} other messages wait", all - buffers);
        if sub.is_served() {
            let counters = sub.book.counters();
            let seen = counters.offered + counters.skipped;
            let due = self.head - sub.joined_at;
            hold!(seen == due, "{seen} frames offered or skipped of {due}");
        }
        Ok(())
    }
}
