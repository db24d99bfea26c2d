//! The producer's private state: buffers, subscribers, sequence. Every method is called with the lock held and never
//! waits; what has to happen without the lock (sends, dropping frames) is left in an [`Aftermath`].

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Instant;

use crate::admission::{self, Budget, Demand};
use crate::books::Book;
use crate::format::{Format, FrameMeta, Layout, monotonic_ns};
use crate::memory::MemoryId;
use crate::publisher::{ImportError, PublishError, SlotId};
use crate::shm::{Board, Descriptor, LeasePage, SLOTS, publish_fence};
use crate::wire::{Message, Reason};

/// What to do once the lock is released.
#[derive(Debug)]
pub(super) struct Aftermath<K> {
    /// Frames whose leases all ended; dropped outside the lock, since that may wake their owner.
    pub(super) released: Vec<K>,
    /// Subscribers to ring.
    pub(super) rings: Vec<Ring>,
    /// The control thread has something to do.
    pub(super) wake: bool,
}

impl<K> Default for Aftermath<K> {
    fn default() -> Self {
        Self {
            released: Vec::new(),
            rings: Vec::new(),
            wake: false,
        }
    }
}

/// A subscriber to ring.
#[derive(Debug)]
pub(super) struct Ring {
    pub(super) socket: Arc<OwnedFd>,
    pub(super) page: Arc<LeasePage>,
}

/// One buffer.
#[derive(Debug)]
pub(super) struct Slot<K> {
    pub(super) generation: u32,
    pub(super) epoch: u32,
    pub(super) identity: Identity,
    pub(super) fds: Arc<Vec<OwnedFd>>,
    /// Subscribers that were offered, or hold, the frame in it.
    leases: u32,
    /// Keeps the frame's memory from being written again.
    keep: Option<K>,
    last_seq: u64,
    /// Goes as soon as it is idle.
    pub(super) retired: bool,
}

/// What makes two buffers the same: the memory objects and how the planes lie in them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) memory: Vec<MemoryId>,
    pub(super) layout: Layout,
}

/// A message that waits for its turn on a subscriber's socket.
#[derive(Debug, Clone)]
pub(super) enum Outgoing {
    Plain(Message),
    /// With the board and the lease page.
    Welcome,
    /// With the buffer's descriptors; skipped if the slot has another buffer by then.
    AddBuffer {
        slot: usize,
        generation: u32,
    },
    /// Goes out once every buffer before it was acknowledged.
    Start,
}

impl Outgoing {
    fn is_about(&self, index: usize) -> bool {
        match self {
            Self::AddBuffer { slot, .. } => *slot == index,
            Self::Plain(Message::BufferRemove { slot, .. }) => *slot as usize == index,
            _ => false,
        }
    }
}

/// Whether a subscriber's socket takes more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tx {
    /// As far as is known.
    Ready,
    /// A thread is sending; others leave their messages in the outbox, which keeps them in order.
    Sending,
    /// It had no room: send on when the kernel says that it is writable.
    Full,
    /// The kernel was short of memory or had too many descriptors in flight: try again soon.
    Short,
}

/// One subscriber.
#[derive(Debug)]
pub(super) struct Sub {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) pid: i32,
    pub(super) uid: u32,
    pub(super) demand: Demand,
    pub(super) socket: Arc<OwnedFd>,
    pub(super) page: Arc<LeasePage>,
    pub(super) book: Book,
    /// By slot: its announcement went out.
    pub(super) known: Box<[bool]>,
    pub(super) outbox: VecDeque<Outgoing>,
    pub(super) tx: Tx,
    /// Buffer announcements that it has not acknowledged.
    pub(super) unacked: u32,
    pub(super) started: bool,
    /// By when it has to be started.
    pub(super) deadline: Instant,
    /// It is to be cut off; its leases are gone already.
    pub(super) doomed: Option<(Reason, String)>,
}

impl Sub {
    const fn is_served(&self) -> bool {
        self.started && self.doomed.is_none()
    }
}

/// Counters of a producer's session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Counters {
    pub(super) refused: u64,
    pub(super) evicted: u64,
}

#[derive(Debug)]
pub(super) struct State<K> {
    pub(super) slots: Vec<Option<Slot<K>>>,
    pub(super) subs: Vec<Sub>,
    pub(super) format: Option<Format>,
    pub(super) epoch: u32,
    pub(super) head: u64,
    pub(super) budget: Budget,
    pub(super) counters: Counters,
    /// Slot of the newest frame, kept for late joiners.
    newest: Option<usize>,
    generation: u32,
    /// The control thread looks for released frames from time to time.
    pub(super) reaping: bool,
    /// The publisher is being dropped.
    pub(super) stopping: bool,
}

impl<K> State<K> {
    pub(super) fn new(budget: Budget) -> Self {
        Self {
            slots: (0..SLOTS).map(|_| None).collect(),
            subs: Vec::new(),
            format: None,
            epoch: 0,
            head: 0,
            budget,
            counters: Counters::default(),
            newest: None,
            generation: 0,
            reaping: false,
            stopping: false,
        }
    }

    pub(super) fn sub(&mut self, id: u64) -> Option<&mut Sub> {
        self.subs.iter_mut().find(|s| s.id == id)
    }

    /// Starts an epoch, unless the format is the one of the running epoch. Buffers of the old epoch go when their leases end.
    pub(super) fn set_format(&mut self, format: Format, after: &mut Aftermath<K>) -> u32 {
        if self.format.as_ref() == Some(&format) {
            return self.epoch;
        }
        self.epoch += 1;
        for sub in &mut self.subs {
            if sub.demand.hold == 0 && !format.read_only {
                doom(
                    sub,
                    &mut self.slots,
                    Reason::HoldZero,
                    "the new format's memory can be written by subscribers",
                );
            }
            sub.outbox
                .retain(|o| !matches!(o, Outgoing::Plain(Message::Format { .. })));
            sub.outbox.push_back(Outgoing::Plain(Message::Format {
                epoch: self.epoch,
                format: format.clone(),
            }));
        }
        self.format = Some(format);
        self.newest = None;
        for slot in self.slots.iter_mut().flatten() {
            slot.retired = true;
        }
        self.settle_all(after);
        after.wake = true;
        self.epoch
    }

    /// The slot of a buffer that is known already.
    pub(super) fn find(&self, identity: &Identity) -> Option<SlotId> {
        self.slots.iter().enumerate().find_map(|(index, slot)| {
            let slot = slot.as_ref()?;
            (!slot.retired && slot.identity == *identity).then_some(SlotId {
                index: index as u16,
                generation: slot.generation,
            })
        })
    }

    /// Enters a buffer. Where the pool's size is reached the buffer that was idle longest makes room: a source that
    /// allocates anew for each frame would else pile up memory here.
    pub(super) fn insert(
        &mut self,
        identity: Identity,
        fds: Vec<OwnedFd>,
        after: &mut Aftermath<K>,
    ) -> Result<SlotId, ImportError> {
        // Another thread may have entered it since it was looked for.
        if let Some(known) = self.find(&identity) {
            return Ok(known);
        }
        let live = self.slots.iter().flatten().filter(|s| !s.retired).count();
        if live >= self.budget.slots as usize {
            self.retire_oldest_idle(after);
        }
        let index = self
            .slots
            .iter()
            .position(Option::is_none)
            .ok_or(ImportError::Full)?;
        self.generation += 1;
        let generation = self.generation;
        self.slots[index] = Some(Slot {
            generation,
            epoch: self.epoch,
            identity,
            fds: Arc::new(fds),
            leases: 0,
            keep: None,
            last_seq: self.head,
            retired: false,
        });
        for sub in &mut self.subs {
            sub.known[index] = false;
            // What still waits about the slot's former buffers is void; so the outbox of one that never reads is bounded.
            sub.outbox.retain(|o| !o.is_about(index));
            sub.outbox.push_back(Outgoing::AddBuffer {
                slot: index,
                generation,
            });
        }
        Ok(SlotId {
            index: index as u16,
            generation,
        })
    }

    fn retire_oldest_idle(&mut self, after: &mut Aftermath<K>) {
        let idle = |s: &Slot<K>| s.leases == 0 && s.keep.is_none() && !s.retired;
        let oldest = (0..SLOTS)
            .filter_map(|i| {
                self.slots[i]
                    .as_ref()
                    .filter(|s| idle(s))
                    .map(|s| (s.last_seq, i))
            })
            .min();
        if let Some((_, index)) = oldest {
            if let Some(slot) = &mut self.slots[index] {
                slot.retired = true;
            }
            self.settle(index, after);
        }
    }

    /// Publishes the frame in `id` to everybody who is started.
    pub(super) fn publish(
        &mut self,
        board: &Board,
        id: SlotId,
        meta: FrameMeta,
        keep: K,
        after: &mut Aftermath<K>,
    ) -> Result<u64, PublishError> {
        let index = usize::from(id.index);
        if let Err(error) = self.check_idle(id, after) {
            after.released.push(keep);
            return Err(error);
        }
        let seq = self.head + 1;
        self.sweep(seq, after);
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
                publish_ns: monotonic_ns(),
                meta,
            },
        );
        // The same buffer published twice in a row: its first owner is let go of.
        after.released.extend(slot.keep.replace(keep));
        slot.last_seq = seq;
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
        // Once per pause: while frames flow the thread stays on its timer.
        after.wake |= !self.reaping && self.has_leases();
        Ok(seq)
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

    fn ring(&self, after: &mut Aftermath<K>) {
        publish_fence();
        for sub in self.subs.iter().filter(|s| s.is_served()) {
            if sub.page.take_armed() {
                after.rings.push(Ring {
                    socket: Arc::clone(&sub.socket),
                    page: Arc::clone(&sub.page),
                });
            }
        }
    }

    /// Brings all books up to date, with `head` as the newest frame.
    pub(super) fn sweep(&mut self, head: u64, after: &mut Aftermath<K>) {
        let slots = &mut self.slots;
        let newest = self.newest;
        let mut retired = false;
        for sub in self.subs.iter_mut().filter(|s| s.doomed.is_none()) {
            let swept = sub.book.sweep(&sub.page, head, |index| {
                if let Some(slot) = &mut slots[index] {
                    slot.leases = slot.leases.saturating_sub(1);
                    if slot.leases == 0 && newest != Some(index) {
                        after.released.extend(slot.keep.take());
                        retired |= slot.retired;
                    }
                }
            });
            if let Err(reason) = swept {
                doom(
                    sub,
                    slots,
                    reason,
                    "its lease page or its holds broke the protocol",
                );
                self.counters.evicted += 1;
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

    /// Cuts a subscriber off: its leases end now, its socket is closed by the control thread.
    pub(super) fn evict(&mut self, id: u64, reason: Reason, text: &str, after: &mut Aftermath<K>) {
        let slots = &mut self.slots;
        if let Some(sub) = self
            .subs
            .iter_mut()
            .find(|s| s.id == id && s.doomed.is_none())
        {
            doom(sub, slots, reason, text);
            self.counters.evicted += 1;
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

    fn settle_all(&mut self, after: &mut Aftermath<K>) {
        for index in 0..SLOTS {
            self.settle(index, after);
        }
    }

    /// Lets go of a slot's frame, and of the slot itself if it is retired, once nobody has a lease on it.
    fn settle(&mut self, index: usize, after: &mut Aftermath<K>) {
        let Some(slot) = &mut self.slots[index] else {
            return;
        };
        if slot.leases > 0 || self.newest == Some(index) {
            return;
        }
        after.released.extend(slot.keep.take());
        if !slot.retired {
            return;
        }
        let generation = slot.generation;
        self.slots[index] = None;
        for sub in &mut self.subs {
            if std::mem::take(&mut sub.known[index]) {
                let message = Message::BufferRemove {
                    slot: index as u32,
                    generation,
                };
                sub.outbox.push_back(Outgoing::Plain(message));
                after.wake = true;
            }
        }
    }

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
        let demands = self
            .subs
            .iter()
            .filter(|s| s.doomed.is_none())
            .map(|s| s.demand)
            .chain([sub.demand]);
        admission::admit(self.budget, demands)
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
}

fn end_leases<K>(sub: &mut Sub, slots: &mut [Option<Slot<K>>]) {
    for index in sub.book.close() {
        if let Some(slot) = &mut slots[index] {
            slot.leases = slot.leases.saturating_sub(1);
        }
    }
}

fn doom<K>(sub: &mut Sub, slots: &mut [Option<Slot<K>>], reason: Reason, text: &str) {
    sub.page.revoke_all();
    end_leases(sub, slots);
    sub.doomed = Some((reason, text.to_owned()));
}
