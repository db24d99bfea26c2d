//! A frame of the bus as a buffer.

use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::Arc;

use gst_allocators::prelude::*;
use gst_allocators::{DmaBufAllocator, FdAllocator, FdMemoryFlags};
use gst_video::{VideoFormat, VideoFrameFlags, VideoMeta};
use mos_frame::{Layout, MemoryKind};

use super::release::Lease;
use crate::lease;

/// Makes buffers of frames, without touching a pixel.
#[derive(Debug, Default)]
pub(crate) struct Wrapper {
    dmabuf: DmaBufAllocator,
    memfd: FdAllocator,
}

impl Wrapper {
    /// A buffer with one read-only memory for each descriptor of the frame, and its planes in a `GstVideoMeta`.
    ///
    /// The frame's lease ends when the last user of the memories lets go of them.
    pub(crate) fn wrap(&self, lease: Lease) -> Result<gst::Buffer, gst::glib::BoolError> {
        let lease = Arc::new(lease);
        let frame = lease.frame();
        let mut buffer = gst::Buffer::new();
        let writable = buffer.make_mut();
        let fds: Vec<BorrowedFd<'_>> = frame.fds().collect();
        for (index, fd) in fds.iter().enumerate() {
            writable.append_memory(self.memory(*fd, index as u8, &lease)?);
        }
        add_planes(writable, frame)?;
        Ok(buffer)
    }

    fn memory(
        &self,
        fd: BorrowedFd<'_>,
        index: u8,
        lease: &Arc<Lease>,
    ) -> Result<gst::Memory, gst::glib::BoolError> {
        let frame = lease.frame();
        let size = frame.layout().bytes_of(index) as usize;
        let flags = FdMemoryFlags::DONT_CLOSE;
        // SAFETY: the descriptor belongs to the frame, and the lease below keeps the frame as long as the memory lives.
        let mut memory = unsafe {
            match frame.format().memory {
                MemoryKind::DmaBuf => {
                    self.dmabuf
                        .alloc_dmabuf_with_flags(fd.as_raw_fd(), size, flags)?
                }
                MemoryKind::Memfd => self.memfd.alloc_fd(fd.as_raw_fd(), size, flags)?,
            }
        };
        let exclusive = memory
            .get_mut()
            .ok_or_else(|| gst::glib::bool_error!("new memory is shared"))?;
        set_read_only(exclusive);
        lease::attach(exclusive, Arc::clone(lease));
        Ok(memory)
    }
}

/// Whoever wants to write gets a copy from GStreamer: the frame belongs to all subscribers.
fn set_read_only(memory: &mut gst::MemoryRef) {
    // SAFETY: `&mut` makes us the only user of a live memory; flags may be changed until it is shared.
    unsafe {
        (*memory.as_mut_ptr()).mini_object.flags |= gst::ffi::GST_MEMORY_FLAG_READONLY;
    }
}

fn add_planes(
    buffer: &mut gst::BufferRef,
    frame: &mos_frame::Frame,
) -> Result<(), gst::glib::BoolError> {
    let (format, layout) = (frame.format(), frame.layout());
    let (offsets, strides) = planes(layout);
    let none = VideoFrameFlags::empty();
    VideoMeta::add_full(
        buffer,
        none,
        VideoFormat::Nv12,
        format.width,
        format.height,
        &offsets,
        &strides,
    )?;
    Ok(())
}

/// Offsets of the planes from the start of the buffer, whose memories follow each other, and their strides.
fn planes(layout: &Layout) -> (Vec<usize>, Vec<i32>) {
    let start_of = |fd: u8| (0..fd).map(|before| layout.bytes_of(before)).sum::<u64>();
    layout
        .planes
        .iter()
        .map(|plane| {
            (
                (start_of(plane.fd) + plane.offset) as usize,
                plane.stride as i32,
            )
        })
        .unzip()
}

#[cfg(test)]
mod tests {
    use mos_frame::Plane;

    use super::*;

    #[test]
    fn offsets_count_through_all_memories() {
        let plane = |fd, offset, size| Plane {
            fd,
            offset,
            stride: 64,
            size,
        };
        let cases = [
            (vec![plane(0, 0, 2048), plane(0, 2048, 1024)], vec![0, 2048]),
            (vec![plane(0, 0, 2048), plane(1, 0, 1024)], vec![0, 2048]),
            (
                vec![plane(0, 4096, 2048), plane(1, 512, 1024)],
                vec![4096, 4096 + 2048 + 512],
            ),
        ];
        for (planes_of, expected) in cases {
            let layout = Layout { planes: planes_of };
            assert_eq!(planes(&layout), (expected, vec![64, 64]), "{layout:?}");
        }
    }
}
