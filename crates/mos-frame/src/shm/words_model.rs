//! The shared words of a model: loom's atomics, which remember every value that a thread may still see. The same interface
//! as `words.rs`.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use loom::sync::atomic::AtomicU64;
pub(super) use loom::sync::atomic::{AtomicU32, fence};

/// What a peer is given to see the same words.
pub(crate) type Handle<'a> = &'a Arc<[AtomicU64]>;

/// What the peer may do with the words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Peer {
    Reads,
    Writes,
}

/// Words that this side made.
#[derive(Debug)]
pub(super) struct OwnWords(Words);

impl OwnWords {
    pub(super) fn new(_name: &str, count: usize, _peer: Peer) -> io::Result<Self> {
        Ok(Self(Words((0..count).map(|_| AtomicU64::new(0)).collect())))
    }

    pub(super) fn handle(&self) -> Handle<'_> {
        &self.0.0
    }
}

impl std::ops::Deref for OwnWords {
    type Target = Words;

    fn deref(&self) -> &Words {
        &self.0
    }
}

/// Words that both sides write.
#[derive(Debug)]
pub(super) struct Words(Arc<[AtomicU64]>);

impl Words {
    pub(super) fn map(handle: Handle<'_>, _count: usize) -> io::Result<Self> {
        Ok(Self(Arc::clone(handle)))
    }

    pub(super) fn load(&self, index: usize, order: Ordering) -> u64 {
        self.0[index].load(order)
    }

    pub(super) fn store(&self, index: usize, value: u64, order: Ordering) {
        self.0[index].store(value, order);
    }

    pub(super) fn exchange(
        &self,
        index: usize,
        (from, to): (u64, u64),
        (order, failure): (Ordering, Ordering),
    ) -> Result<(), u64> {
        self.0[index]
            .compare_exchange(from, to, order, failure)
            .map(drop)
    }
}

/// Words that only the peer writes.
#[derive(Debug)]
pub(super) struct ReadWords(Arc<[AtomicU64]>);

impl ReadWords {
    pub(super) fn map(handle: Handle<'_>, _count: usize) -> io::Result<Self> {
        Ok(Self(Arc::clone(handle)))
    }

    pub(super) fn load(&self, index: usize, order: Ordering) -> u64 {
        self.0[index].load(order)
    }
}
