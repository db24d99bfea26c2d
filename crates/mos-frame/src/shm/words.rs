//! Memory that two processes share, as 64-bit words: the only way to it. Nothing outside gets an address, a slice or a
//! reference into it, and who may only read has no method that writes. `words_model.rs` is the same on loom's atomics.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

pub(super) use std::sync::atomic::{AtomicU32, fence};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::memory::{self, Mapping};

// A load from memory that is mapped read-only is sound up to the size of a pointer (`core::sync::atomic`, "Atomic accesses
// to read-only memory").
#[cfg(not(target_pointer_width = "64"))]
compile_error!(
    "mos-frame needs a 64-bit target: subscribers load 64-bit words from read-only memory"
);

/// What a peer is given to map the same words.
pub(crate) type Handle<'a> = BorrowedFd<'a>;

/// What the peer may do with the words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Peer {
    Reads,
    Writes,
}

/// Words that this process made; the peer maps them by the descriptor.
#[derive(Debug)]
pub(super) struct OwnWords {
    words: Words,
    fd: OwnedFd,
}

impl OwnWords {
    /// Makes `count` words of 0, sealed so that their size stays and nobody can change what the peer may do.
    pub(super) fn new(name: &str, count: usize, peer: Peer) -> io::Result<Self> {
        let fd = memory::memfd(name, bytes(count))?;
        let words = Words(Mapping::read_write(fd.as_fd(), count * 8)?);
        match peer {
            Peer::Reads => memory::seal_read_only(fd.as_fd())?,
            Peer::Writes => {
                memory::seal_size(fd.as_fd())?;
                rustix::fs::fcntl_add_seals(&fd, rustix::fs::SealFlags::SEAL)?;
            }
        }
        Ok(Self { words, fd })
    }

    pub(super) fn handle(&self) -> Handle<'_> {
        self.fd.as_fd()
    }
}

impl std::ops::Deref for OwnWords {
    type Target = Words;

    fn deref(&self) -> &Words {
        &self.words
    }
}

/// Words that both sides write. What is loaded is whatever the peer left there: untrusted.
#[derive(Debug)]
pub(super) struct Words(Mapping);

impl Words {
    /// Maps `count` words that a peer made; refuses memory that could shrink under us.
    pub(super) fn map(handle: Handle<'_>, count: usize) -> io::Result<Self> {
        check_size_is_fixed(handle)?;
        Ok(Self(Mapping::read_write(handle, count * 8)?))
    }

    pub(super) fn load(&self, index: usize, order: Ordering) -> u64 {
        word(&self.0, index).load(order)
    }

    pub(super) fn store(&self, index: usize, value: u64, order: Ordering) {
        word(&self.0, index).store(value, order);
    }

    /// Replaces `from` by `to`; else gives the word as it is.
    pub(super) fn exchange(
        &self,
        index: usize,
        (from, to): (u64, u64),
        (order, failure): (Ordering, Ordering),
    ) -> Result<(), u64> {
        word(&self.0, index)
            .compare_exchange(from, to, order, failure)
            .map(drop)
    }
}

/// Words that only the peer writes.
#[derive(Debug)]
pub(super) struct ReadWords(Mapping);

impl ReadWords {
    /// Maps `count` words that a peer made; refuses memory that could shrink under us.
    pub(super) fn map(handle: Handle<'_>, count: usize) -> io::Result<Self> {
        check_size_is_fixed(handle)?;
        Ok(Self(Mapping::read_only(handle, count * 8)?))
    }

    pub(super) fn load(&self, index: usize, order: Ordering) -> u64 {
        word(&self.0, index).load(order)
    }
}

fn check_size_is_fixed(handle: Handle<'_>) -> io::Result<()> {
    if memory::has_fixed_size(handle) {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidData,
        "the shared memory is not sealed against shrinking",
    ))
}

const fn bytes(count: usize) -> u64 {
    count as u64 * 8
}

/// Word `index`; panics past the end, which only a bug here can ask for: indices from a peer are checked before.
fn word(mapping: &Mapping, index: usize) -> &AtomicU64 {
    assert!(
        index < mapping.len() / 8,
        "word {index} is outside the mapping"
    );
    // SAFETY: in bounds by the assertion, aligned because a mapping starts on a page, alive as long as `mapping`. Every
    // access of this process is atomic: the reference does not leave this file, and nobody else is given the address of this
    // mapping. A peer that accesses its own mapping otherwise can only hand us other values, which are untrusted input anyway.
    // Memory that is mapped for reading only is only loaded from, by `ReadWords`.
    unsafe { AtomicU64::from_ptr(mapping.start().cast::<u64>().add(index).as_ptr()) }
}
