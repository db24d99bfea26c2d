//! The producer's private state: buffers, subscribers, sequence. Every method is called with the lock held and never
//! waits; what has to happen without the lock (sends, dropping frames) is left in an [`Aftermath`].

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Instant;

use crate::admission::{Budget, Demand};
use crate::books::Book;
use crate::format::{Format, Layout};
use crate::memory::MemoryId;
use crate::shm::{LeasePage, SLOTS};
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
    pub(super) leases: u32,
    /// Keeps the frame's memory from being written again.
    pub(super) keep: Option<K>,
    pub(super) last_seq: u64,
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
    pub(super) fn is_about(&self, index: usize) -> bool {
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
    pub(super) const fn is_served(&self) -> bool {
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
    pub(super) newest: Option<usize>,
    pub(super) generation: u32,
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
}
