//! Sealed frames: dma-bufs that elements can import and hand on, but not reach with the CPU through GStreamer.
//!
//! A frame is wrapped, not changed: a new buffer has the same times, flags and metas, and for each block of memory one of
//! [`SealedAllocator`] with the same descriptor, offset and sizes. Each block keeps the original buffer, so that the pool
//! it belongs to can't fill it again while anybody has the block, in whatever buffer it is by then.

use std::os::fd::AsRawFd;
use std::sync::Arc;

use gst::glib;
use gst::meta::MetaTransformCopy;
use gst::prelude::*;
use gst_allocators::FdMemoryFlags;
use gst_allocators::prelude::*;

mod allocator;
mod original;
mod refusals;

use allocator::SealedAllocator;
pub(crate) use original::original;
use refusals::Refusals;

use crate::memory;

/// Seals frames, and knows how often somebody tried to map one.
#[derive(Debug)]
pub(crate) struct Sealer {
    allocator: SealedAllocator,
    refusals: Arc<Refusals>,
}

impl Sealer {
    /// Lines about refused mappings are written in the name of `owner`.
    pub(crate) fn new(owner: &impl IsA<gst::Object>) -> Self {
        let refusals = Arc::default();
        Self {
            allocator: SealedAllocator::new(Arc::clone(&refusals), owner.upcast_ref()),
            refusals,
        }
    }

    /// Attempts to map or copy a sealed frame.
    pub(crate) fn refused(&self) -> u64 {
        self.refusals.count()
    }

    /// The last of them: thread and access.
    pub(crate) fn last(&self) -> Option<String> {
        self.refusals.last().map(|attempt| attempt.to_string())
    }

    /// The frame in memory that refuses to be mapped; every block of it has to have a descriptor. Touches no pixel and makes
    /// no system call.
    pub(crate) fn seal(&self, original: &gst::Buffer) -> Result<gst::Buffer, glib::BoolError> {
        let mut sealed = gst::Buffer::new();
        let writable = sealed.make_mut();
        for memory in original.iter_memories() {
            writable.append_memory(self.wrap(memory, original)?);
        }
        let described = gst::BufferCopyFlags::FLAGS | gst::BufferCopyFlags::TIMESTAMPS;
        original.copy_into(writable, described, ..)?;
        copy_metas(original, writable)?;
        Ok(sealed)
    }

    fn wrap(
        &self,
        memory: &gst::MemoryRef,
        buffer: &gst::Buffer,
    ) -> Result<gst::Memory, glib::BoolError> {
        let fd = memory::fd_of(memory)
            .ok_or_else(|| glib::bool_error!("a block of memory has no descriptor"))?;
        let flags = FdMemoryFlags::DONT_CLOSE;
        // SAFETY: the descriptor is that of the original memory, which the buffer kept below holds open.
        let mut block = unsafe {
            self.allocator
                .alloc_dmabuf_with_flags(fd.as_raw_fd(), memory.maxsize(), flags)?
        };
        let new = block
            .get_mut()
            .ok_or_else(|| glib::bool_error!("new memory is shared"))?;
        new.resize(memory.offset()..memory.offset() + memory.size());
        set_flags(new, memory);
        original::keep(new, buffer.clone());
        memory::carry_over(memory, new);
        Ok(block)
    }
}

/// What holds for the original holds for the wrapper, except that it may always be shared: the original is kept either way.
const KEPT_FLAGS: gst::ffi::GstMemoryFlags =
    gst::ffi::GST_MEMORY_FLAG_READONLY | gst::ffi::GST_MEMORY_FLAG_PHYSICALLY_CONTIGUOUS;

fn set_flags(block: &mut gst::MemoryRef, original: &gst::MemoryRef) {
    let flags = original.flags().bits() & KEPT_FLAGS | gst::ffi::GST_MEMORY_FLAG_NOT_MAPPABLE;
    // SAFETY: `&mut` makes us the only user of a live memory; flags may be changed until it is shared.
    unsafe {
        (*block.as_mut_ptr()).mini_object.flags |= flags;
    }
}

/// Copies all metas. Not by `gst_buffer_copy_into`: without the memories it leaves out those that describe memory, such as
/// `GstVideoMeta`, and with them it would copy pixels of memory that must not be shared.
///
/// A meta without a function for that can't be copied by anybody and stays behind, as in any copy of a buffer.
fn copy_metas(from: &gst::BufferRef, to: &mut gst::BufferRef) -> Result<(), glib::BoolError> {
    let whole = MetaTransformCopy::new(..);
    for meta in from.iter_meta::<gst::Meta>() {
        // SAFETY: a live meta has its info for ever.
        let can = unsafe { (*(*meta.as_ptr()).info).transform_func.is_some() };
        if can {
            meta.transform(to, &whole)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
