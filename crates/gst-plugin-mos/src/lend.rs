//! Memory over a descriptor that somebody else owns, for peers of tests.

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

use gst::glib;
use gst_allocators::prelude::*;
use gst_allocators::{DmaBufAllocator, FdAllocator, FdMemoryFlags};

use crate::lease;

/// A block of `size` bytes over a descriptor that the block does not close; it holds `fd` until its last user lets go.
///
/// `labelled` makes it GStreamer's dma-buf memory, whatever is behind the descriptor; else it is its plain descriptor memory.
pub fn lend(fd: Arc<OwnedFd>, size: usize, labelled: bool) -> Result<gst::Memory, glib::BoolError> {
    let (raw, flags) = (fd.as_raw_fd(), FdMemoryFlags::DONT_CLOSE);
    // SAFETY: the descriptor stays open as long as the block, which holds the `Arc` from here on.
    let mut block = unsafe {
        if labelled {
            DmaBufAllocator::new().alloc_dmabuf_with_flags(raw, size, flags)?
        } else {
            FdAllocator::new().alloc_fd(raw, size, flags)?
        }
    };
    let exclusive = block
        .get_mut()
        .ok_or_else(|| glib::bool_error!("new memory is shared"))?;
    lease::attach(exclusive, fd);
    Ok(block)
}
