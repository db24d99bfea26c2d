//! Subscribers: admission, start, and the three ways to go (cut off, gone, stream over).

use super::metrics::{Incident, Recent};
use super::state::{Aftermath, Outgoing, Slot, State, Sub, WELCOME_FDS};
use crate::admission;
use crate::format::monotonic_ns;
use crate::wire::{Message, Reason};

/// Most subscribers of a stream: each costs the producer three descriptors, also where its hold of 0 costs no buffer.
const MAX_SUBSCRIBERS: usize = 128;
/// Those of them that the user with most has to leave to others.
const FOR_OTHERS: usize = 16;
/// Most descriptors that one subscriber may leave unread.
pub(super) const MAX_UNACKED: u32 = 64;

/// Whether a stream with `all` subscribers takes one more of a user who has `of_user` of them.
fn check_places(all: usize, of_user: usize) -> Result<(), String> {
    if all >= MAX_SUBSCRIBERS {
        return Err(format!(
            "{MAX_SUBSCRIBERS} subscribers are the most that a stream has"
        ));
    }
    let most = MAX_SUBSCRIBERS - FOR_OTHERS;
    if of_user >= most {
        return Err(format!(
            "{most} of {MAX_SUBSCRIBERS} subscribers are the most that one user has; the others are for other users"
        ));
    }
    Ok(())
}

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
        let of_user = self.subs.iter().filter(|s| s.uid == sub.uid).count();
        check_places(self.subs.len(), of_user).map_err(|text| (Reason::Resources, text))?;
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

    /// Notes that a subscriber has read `count` more buffers and their descriptors; else says what is wrong.
    pub(super) fn acknowledge(&mut self, id: u64, count: u32) -> Result<(), &'static str> {
        let Some(sub) = self.sub(id) else {
            return Ok(());
        };
        if count == 0 {
            return Err("it acknowledged no buffers at all");
        }
        if count as usize > sub.unacked.len() {
            return Err("it acknowledged more buffers than were sent");
        }
        let acknowledged = sub.unacked.drain(..count as usize).map(u32::from);
        sub.doubtful += acknowledged.sum::<u32>();
        sub.believe();
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
        sub.joined_at = head;
        if let Some(index) = newest
            && sub.known[index]
            && let Some(slot) = &mut self.slots[index]
        {
            sub.book.offer(&sub.page, index, head);
            sub.joined_at = head - 1;
            slot.leases += 1;
        }
    }

    /// Whether a subscriber may be sent a buffer of `fds` descriptors more, before it has acknowledged others. Unread
    /// descriptors count against the limit of the whole user (unix(7), ETOOMANYREFS), so all subscribers together stay far
    /// below it: one buffer each is the least, since else nobody would get on. Not one more for each acknowledgement,
    /// though: who has read nothing can say so, too.
    pub(super) fn may_announce(&self, sub: &Sub, fds: u32) -> bool {
        const ALL: u32 = 256;
        if sub.unacked.is_empty() && sub.doubtful <= WELCOME_FDS {
            return true;
        }
        let fair = (ALL / (self.subs.len() as u32).max(1)).clamp(2, MAX_UNACKED);
        let fair = if sub.started { fair } else { fair.min(4) };
        let all: u32 = self.subs.iter().map(Sub::unread).sum();
        sub.unread() + fds <= fair && all + fds <= ALL
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

/// Ends all its leases; the control thread closes its socket.
pub(super) fn lose<K>(sub: &mut Sub, slots: &mut [Option<Slot<K>>], reason: Reason, text: &str) {
    sub.page.revoke_all();
    end_leases(sub, slots);
    sub.doomed.get_or_insert_with(|| (reason, text.to_owned()));
}

/// Ends all its leases, and notes why; the control thread closes its socket.
pub(super) fn doom<K>(
    sub: &mut Sub,
    slots: &mut [Option<Slot<K>>],
    evictions: &mut Recent,
    reason: Reason,
    text: &str,
) {
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
    lose(sub, slots, reason, text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_user_leaves_places_to_others() {
        let cases = [
            (0, 0, true),
            (111, 111, true),
            (112, 112, false),
            (112, 0, true),
            (127, 111, true),
            (127, 112, false),
            (128, 0, false),
        ];
        for (all, of_user, fits) in cases {
            let checked = check_places(all, of_user);
            assert_eq!(checked.is_ok(), fits, "{all}, {of_user}: {checked:?}");
        }
    }
}
