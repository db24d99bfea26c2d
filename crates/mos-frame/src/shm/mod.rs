//! Memory that two processes share, reached only through types of its own: no slice, no reference to plain data.

mod board;
mod lease;

pub(crate) use board::{Board, BoardReader, Descriptor};
pub(crate) use lease::{LeasePage, LeaseView, State, publish_fence, unpack};

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::AtomicU64;

use crate::memory::Mapping;

/// Most buffers of a stream.
pub(crate) const SLOTS: usize = 256;
/// Most frames that a window can span; also the length of the board's ring.
pub(crate) const RING: usize = 256;

/// A mapping seen as 64-bit atomic words.
#[derive(Debug)]
struct Words {
    mapping: Mapping,
}

impl Words {
    fn read_only(fd: BorrowedFd<'_>, count: usize) -> io::Result<Self> {
        Ok(Self {
            mapping: Mapping::read_only(fd, count * 8)?,
        })
    }

    fn read_write(fd: BorrowedFd<'_>, count: usize) -> io::Result<Self> {
        Ok(Self {
            mapping: Mapping::read_write(fd, count * 8)?,
        })
    }

    /// Word `index`; panics past the end, which only a bug here can ask for: indices from a peer are checked before.
    fn at(&self, index: usize) -> &AtomicU64 {
        assert!(
            index < self.mapping.len() / 8,
            "word {index} is outside the page"
        );
        // SAFETY: in bounds by the assertion, aligned because a mapping starts on a page, alive as long as `self`. All
        // access from every process is by atomic operations of this type (a peer that does otherwise can only hand us
        // other values, which are untrusted input anyway). A read-only mapping is only ever loaded from: its two users
        // (`BoardReader`, which has no storing method) see to that.
        unsafe { self.mapping.start().cast::<AtomicU64>().add(index).as_ref() }
    }
}
