//! The producer's private state: buffers, subscribers, sequence. Every method is called with the lock held and never
//! waits; what has to happen without the lock (sends, dropping frames) is left in an [`Aftermath`].

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::metrics::{Drains, Recent};
use crate::admission::{self, Budget, Demand};
use crate::books::Book;
use crate::format::{Format, Layout, monotonic_ns};
use crate::memory::MemoryId;
use crate::shm::{LeasePage, SLOTS};
use crate::socket::{self, Sent};
use crate::wire::{Message, Reason};

/// What to do once the lock is released.
#[derive(Debug)]
pub(super) struct Aftermath<K> {
    /// Frames whose leases all ended; dropped outside the lock, since that may wake their owner.
    pub(super) released: Vec<K>,
    /// Subscribers to ring.
    pub(super) rings: Vec<Arc<Bell>>,
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

/// A subscriber's doorbell. It is rung without the lock, so it counts by itself.
#[derive(Debug)]
pub(super) struct Bell {
    socket: Arc<OwnedFd>,
    page: Arc<LeasePage>,
    rung: AtomicU64,
    full: AtomicU64,
}

impl Bell {
    pub(super) fn new(socket: Arc<OwnedFd>, page: Arc<LeasePage>) -> Self {
        Self {
            socket,
            page,
            rung: AtomicU64::new(0),
            full: AtomicU64::new(0),
        }
    }

    /// Times the subscriber was woken.
    pub(super) fn rung(&self) -> u64 {
        self.rung.load(Relaxed)
    }

    /// Times its socket had no room for that.
    pub(super) fn full(&self) -> u64 {
        self.full.load(Relaxed)
    }

    /// Wakes the subscriber by a packet; does not wait.
    pub(super) fn ring(&self, packet: &[u8]) -> io::Result<()> {
        match socket::send(self.socket.as_fd(), packet, &[]) {
            Ok(Sent::Done) => {
                self.rung.fetch_add(1, Relaxed);
            }
            // It has something to wake up for.
            Ok(Sent::Full) => {
                self.full.fetch_add(1, Relaxed);
            }
            // The control thread sees to that.
            Ok(Sent::Gone) => {}
            // It still sleeps: let the next publish ring.
            Ok(Sent::Short) => self.page.rearm(),
            Err(error) => {
                self.page.rearm();
                return Err(error);
            }
        }
        Ok(())
    }
}

/// One buffer.
#[derive(Debug)]
pub(super) struct Slot<K> {
    pub(super) generation: u32,
    pub(super) epoch: u32,
    pub(super) identity: Identity,
    pub(super) fds: Arc<Vec<OwnedFd>>,
    /// Subscribers that were offered, or hold, the frame in it.
    pub(super) leases: u32,
    /// Keeps the frame's memory from being written again.
    pub(super) keep: Option<K>,
    pub(super) last_seq: u64,
    /// When that was published, `CLOCK_MONOTONIC`; 0 if nothing was.
    pub(super) published_ns: u64,
    /// Goes as soon as it is idle.
    pub(super) retired: bool,
}

impl<K> Slot<K> {
    /// Lets go of the frame in it, if there is one.
    pub(super) fn let_go(&mut self, busy: &mut u32, after: &mut Aftermath<K>) {
        if let Some(keep) = self.keep.take() {
            *busy -= 1;
            after.released.push(keep);
        }
    }
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
    /// Whether it makes a buffer of this slot known.
    pub(super) const fn adds(&self, index: usize) -> bool {
        matches!(self, Self::AddBuffer { slot, .. } if *slot == index)
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

/// Descriptors that come with WELCOME.
pub(super) const WELCOME_FDS: u32 = 2;

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
    pub(super) bell: Arc<Bell>,
    pub(super) book: Book,
    /// By slot: its announcement went out.
    pub(super) known: Box<[bool]>,
    pub(super) outbox: VecDeque<Outgoing>,
    pub(super) tx: Tx,
    /// Descriptors of each buffer announcement that it has not acknowledged.
    pub(super) unacked: VecDeque<u8>,
    /// Descriptors that it was sent with WELCOME, or acknowledged, but not seen to read: it may say what is not so.
    pub(super) doubtful: u32,
    pub(super) started: bool,
    /// Newest frame that it was not offered because it came later.
    pub(super) joined_at: u64,
    /// When it was taken on, `CLOCK_MONOTONIC`.
    pub(super) admitted_ns: u64,
    /// By when it has to be started.
    pub(super) deadline: Instant,
    /// It is to be cut off; its leases are gone already.
    pub(super) doomed: Option<(Reason, String)>,
}

impl Sub {
    /// Descriptors that it was sent and may not have read.
    pub(super) fn unread(&self) -> u32 {
        let buffers: u32 = self.unacked.iter().map(|n| u32::from(*n)).sum();
        buffers + self.doubtful
    }

    /// Asks the kernel whether it really read what it acknowledged.
    pub(super) fn believe(&mut self) {
        if self.doubtful > 0 && socket::is_all_received(self.socket.as_fd()) {
            self.doubtful = 0;
        }
    }

    pub(super) const fn is_served(&self) -> bool {
        self.started && self.doomed.is_none()
    }
}

#[derive(Debug)]
pub(super) struct State<K> {
    pub(super) slots: Vec<Option<Slot<K>>>,
    pub(super) subs: Vec<Sub>,
    pub(super) format: Option<Format>,
    pub(super) epoch: u32,
    pub(super) head: u64,
    pub(super) budget: Budget,
    /// Slots of buffers that can be published again.
    pub(super) live: u32,
    /// Slots that have a frame on the bus, offered, held or kept for late joiners.
    pub(super) busy: u32,
    /// Least number of buffers without one since the budget was set.
    pub(super) spare_low: u32,
    pub(super) refusals: Recent,
    pub(super) evictions: Recent,
    pub(super) drains: Drains,
    /// Slot of the newest frame, kept for late joiners.
    pub(super) newest: Option<usize>,
    pub(super) generation: u32,
    /// The control thread looks for released frames from time to time.
    pub(super) reaping: bool,
    /// It looks seldom, for frames flow and buffers are plenty: who finds them short wakes it.
    pub(super) at_ease: bool,
    /// The publisher is being dropped.
    pub(super) stopping: bool,
    /// Room for the rings of a publish, kept from one to the next: to allocate it anew would make sleepers wait.
    pub(super) room_for_rings: Vec<Arc<Bell>>,
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
            live: 0,
            busy: 0,
            spare_low: budget.slots,
            refusals: Recent::default(),
            evictions: Recent::default(),
            drains: Drains::default(),
            newest: None,
            generation: 0,
            reaping: false,
            at_ease: false,
            stopping: false,
            room_for_rings: Vec::new(),
        }
    }

    pub(super) fn sub(&mut self, id: u64) -> Option<&mut Sub> {
        self.subs.iter_mut().find(|s| s.id == id)
    }

    /// Buffers of the budget without a frame on the bus.
    pub(super) const fn spare(&self) -> u32 {
        self.budget.slots.saturating_sub(self.busy)
    }

    /// Whether the source may soon wait for a buffer, as far as it has shown the buffers that it has.
    pub(super) const fn is_short(&self) -> bool {
        let Budget {
            slots,
            in_flight,
            fences,
        } = self.budget;
        let pool = if self.live < slots { self.live } else { slots };
        let spare = pool.saturating_sub(self.busy);
        spare <= in_flight.saturating_add(fences).saturating_add(1)
    }

    /// Whether the newest frame was published within this time.
    pub(super) fn published_within(&self, time: Duration) -> bool {
        let newest = self.newest.and_then(|index| self.slots[index].as_ref());
        let age = newest.map(|slot| monotonic_ns().saturating_sub(slot.published_ns));
        age.is_some_and(|age| u128::from(age) <= time.as_nanos())
    }

    pub(super) const fn set_budget(&mut self, budget: Budget) {
        self.budget = budget;
        self.spare_low = self.spare();
    }

    /// Buffers that the subscribers' windows and holds can keep busy.
    pub(super) fn budget_used(&self) -> u32 {
        admission::needed(self.demands())
    }

    pub(super) fn demands(&self) -> impl Iterator<Item = Demand> + '_ {
        let there = self.subs.iter().filter(|s| s.doomed.is_none());
        there.map(|s| s.demand)
    }
}
