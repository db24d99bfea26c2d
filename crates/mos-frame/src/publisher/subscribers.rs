//! Subscribers: admission, start, and the three ways to go (cut off, gone, stream over).

use super::metrics::{Incident, Recent};
use super::state::{Aftermath, Outgoing, Slot, State, Sub};
use crate::admission;
use crate::format::monotonic_ns;
use crate::wire::{Message, Reason};

impl<K> State<K> {
    /// Takes a subscriber on, or says why not.
    pub(super) fn admit(&mut self, mut sub: Sub) -> Result<(), (Reason, String)> {
        if !sub.demand.is_valid() {
            let text = format!(
                "the window has to be 1 to {max}, the hold 0 to {max}",
                max = admission::MAX_WINDOW
            );
            return Err((Reason::BadRequest, text));
        }
        if sub.demand.hold == 0 && !self.format.as_ref().is_some_and(|f| f.read_only) {
            let text = "a hold of 0 needs frames that subscribers can't write to; ask for a hold of at least 1";
            return Err((Reason::HoldZero, text.to_owned()));
        }
        admission::admit(self.budget, self.demands().chain([sub.demand]))
            .map_err(|over| (Reason::OverBudget, over.to_string()))?;
        sub.outbox.push_back(Outgoing::Welcome);
        if let Some(format) = &self.format {
            sub.outbox.push_back(Outgoing::Plain(Message::Format {
                epoch: self.epoch,
                format: format.clone(),
            }));
        }
        for (slot, known) in self.slots.iter().enumerate() {
            if let Some(known) = known.as_ref().filter(|s| !s.retired) {
                sub.outbox.push_back(Outgoing::AddBuffer {
                    slot,
                    generation: known.generation,
                });
            }
        }
        sub.outbox.push_back(Outgoing::Start);
        self.subs.push(sub);
        Ok(())
    }

    /// START is about to go out: from now on every frame is offered, first of all the newest. Not after the send, since
    /// whoever has read START counts on frames.
    pub(super) fn start(&mut self, id: u64) {
        let (newest, head) = (self.newest, self.head);
        let Some(sub) = self.subs.iter_mut().find(|s| s.id == id && !s.started) else {
            return;
        };
        sub.started = true;
        if let Some(index) = newest
            && sub.known[index]
            && let Some(slot) = &mut self.slots[index]
        {
            sub.book.offer(&sub.page, index, head);
            slot.leases += 1;
        }
    }

    /// Buffer announcements that one subscriber may leave unread. Unread descriptors count against the limit of the whole user
    /// (unix(7), ETOOMANYREFS), so all subscribers together stay far below it.
    pub(super) fn max_unacked(&self, started: bool) -> u32 {
        const ALL: u32 = 256;
        let fair = (ALL / (self.subs.len() as u32).max(1)).clamp(2, 64);
        if started { fair } else { fair.min(4) }
    }

    /// Cuts a subscriber off: its leases end now, its socket is closed by the control thread.
    pub(super) fn evict(&mut self, id: u64, reason: Reason, text: &str, after: &mut Aftermath<K>) {
        let slots = &mut self.slots;
        if let Some(sub) = self
            .subs
            .iter_mut()
            .find(|s| s.id == id && s.doomed.is_none())
        {
            doom(sub, slots, &mut self.evictions, reason, text);
        }
        self.settle_all(after);
        after.wake = true;
    }

    /// Forgets a subscriber whose process or connection is gone; all its leases end.
    pub(super) fn remove(&mut self, id: u64, after: &mut Aftermath<K>) -> Option<Sub> {
        let at = self.subs.iter().position(|s| s.id == id)?;
        let mut sub = self.subs.remove(at);
        // Whoever still has the page mapped can claim nothing more, and is told if he asks.
        sub.page.revoke_all();
        end_leases(&mut sub, &mut self.slots);
        self.settle_all(after);
        Some(sub)
    }

    /// The stream ends: nothing is on offer any more, and every frame goes but those that subscribers hold. Gives the
    /// subscribers that hold none.
    pub(super) fn wind_up(&mut self, after: &mut Aftermath<K>) -> Vec<u64> {
        self.newest = None;
        self.sweep(u64::MAX, after);
        self.settle_all(after);
        let done = |s: &&Sub| s.book.is_empty();
        self.subs.iter().filter(done).map(|s| s.id).collect()
    }
}

fn end_leases<K>(sub: &mut Sub, slots: &mut [Option<Slot<K>>]) {
    for index in sub.book.close() {
        if let Some(slot) = &mut slots[index] {
            slot.leases = slot.leases.saturating_sub(1);
        }
    }
}

/// Ends all its leases, and notes why; the control thread closes its socket.
pub(super) fn doom<K>(
    sub: &mut Sub,
    slots: &mut [Option<Slot<K>>],
    evictions: &mut Recent,
    reason: Reason,
    text: &str,
) {
    sub.page.revoke_all();
    end_leases(sub, slots);
    evictions.add(Incident {
        at_ns: monotonic_ns(),
        name: sub.name.clone(),
        pid: sub.pid,
        uid: sub.uid,
        window: sub.demand.window,
        hold: sub.demand.hold,
        reason,
        text: text.to_owned(),
    });
    sub.doomed = Some((reason, text.to_owned()));
}
