//! The service's memory: dma-bufs where the machine gives any, else memfds.

use std::io;
use std::os::fd::OwnedFd;

use mos_frame::allocation::{DmaHeap, Udmabuf};

/// Shared memory of at least `size` bytes, the best kind first.
pub(crate) fn allocate(size: usize) -> io::Result<OwnedFd> {
    let size = size as u64;
    DmaHeap::open()
        .and_then(|heap| heap.allocate(size))
        .or_else(|_| Udmabuf::open().and_then(|device| device.allocate(size)))
        .or_else(|_| mos_frame::memory::memfd("qmmf-standin", size))
}
