//! Received frames: owned handles that end their lease on drop.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use super::session::Keep;
use crate::format::{Format, FrameMeta, Layout};
use crate::shm::{Descriptor, Hold};

/// A buffer that the producer made known.
#[derive(Debug)]
pub(super) struct Buffer {
    pub(super) generation: u32,
    pub(super) epoch: u32,
    pub(super) format: Arc<Format>,
    pub(super) layout: Layout,
    pub(super) fds: Vec<OwnedFd>,
}

/// The lease itself; released on drop, by the process that claimed it.
#[derive(Debug)]
pub(super) struct Claim {
    hold: Hold<Keep>,
}

impl Claim {
    pub(super) const fn new(hold: Hold<Keep>) -> Self {
        Self { hold }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // A forked child has a copy of the handle, not of the lease: its parent still reads the frame.
        if !self.hold.keep().origin.is_here() {
            self.hold.disown();
        }
    }
}

/// A frame of a camera. While it lives its memory is not written; dropping it gives the buffer back, without a system call.
///
/// It owns all it needs: it outlives its [`Subscriber`](crate::Subscriber), the producer's stream and a change of format.
/// The subscription's share of the budget is free again when its subscriber and all its frames are dropped.
pub struct Frame {
    claim: Claim,
    buffer: Arc<Buffer>,
    descriptor: Descriptor,
    session: u64,
    revocable: bool,
}

impl Frame {
    pub(super) const fn new(
        claim: Claim,
        buffer: Arc<Buffer>,
        descriptor: Descriptor,
        session: u64,
        revocable: bool,
    ) -> Self {
        Self {
            claim,
            buffer,
            descriptor,
            session,
            revocable,
        }
    }

    /// Number of the frame, from 1, rising by one per published frame of a session.
    pub const fn seq(&self) -> u64 {
        self.descriptor.seq
    }

    /// Number of the producer's session; a restarted producer has another, and its sequence starts anew.
    pub const fn session(&self) -> u64 {
        self.session
    }

    /// Counts format changes of the session, from 1.
    pub fn epoch(&self) -> u32 {
        self.buffer.epoch
    }

    /// Number of the buffer within the session: the same memory has the same number.
    pub fn buffer_id(&self) -> u32 {
        self.buffer.generation
    }

    /// Its format.
    pub fn format(&self) -> &Format {
        &self.buffer.format
    }

    /// Where its planes lie.
    pub fn layout(&self) -> &Layout {
        &self.buffer.layout
    }

    /// Times and flags, as the producer gave them.
    pub const fn meta(&self) -> &FrameMeta {
        &self.descriptor.meta
    }

    /// When it was published, nanoseconds of `CLOCK_MONOTONIC`.
    pub const fn publish_ns(&self) -> u64 {
        self.descriptor.publish_ns
    }

    /// The descriptor that holds a plane: a dma-buf or a memfd. `None` if there is no such plane.
    pub fn fd(&self, plane: usize) -> Option<BorrowedFd<'_>> {
        let plane = self.buffer.layout.planes.get(plane)?;
        self.buffer.fds.get(usize::from(plane.fd)).map(AsFd::as_fd)
    }

    /// All descriptors, in the order in which [`Plane::fd`](crate::Plane::fd) numbers them.
    pub fn fds(&self) -> impl ExactSizeIterator<Item = BorrowedFd<'_>> {
        self.buffer.fds.iter().map(AsFd::as_fd)
    }

    /// Whether the producer can take the frame back while it is held (a hold of 0). What was read from such a frame counts
    /// only if [`Self::is_valid`] says so afterwards.
    pub const fn is_revocable(&self) -> bool {
        self.revocable
    }

    /// Whether the lease still stands. False once the producer took it back: by the window of a hold of 0, or because this
    /// subscriber was cut off.
    pub fn is_valid(&self) -> bool {
        self.claim.hold.stands()
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame")
            .field("seq", &self.seq())
            .field("epoch", &self.epoch())
            .field("buffer", &self.buffer_id())
            .field("format", self.format())
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "cpu-access")]
mod cpu {
    use std::io;
    use std::ops::Deref;
    use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
    use std::sync::Arc;

    use super::Frame;
    use crate::format::MemoryKind;
    use crate::memory::{self, Mapping};

    /// `DMA_BUF_IOCTL_SYNC`, include/uapi/linux/dma-buf.h.
    const SYNC: libc::Ioctl = 0x4008_6200;
    const SYNC_READ: u64 = 1;
    const SYNC_END: u64 = 1 << 2;

    impl Frame {
        /// Maps the frame for reading by the CPU; development builds only.
        ///
        /// Errors: `Unsupported` for a revocable frame (its memory may change under the reader), `InvalidData` if its memory
        /// could shrink, `UnexpectedEof` if it is smaller than its planes, else what the kernel says.
        pub fn map(&self) -> io::Result<MappedFrame<'_>> {
            MappedFrame::new(Lease::Borrowed(self))
        }

        /// As [`Self::map`], for a mapping that outlives this handle: it keeps the frame held by itself.
        pub fn map_shared(self: &Arc<Self>) -> io::Result<MappedFrame<'static>> {
            MappedFrame::new(Lease::Shared(Arc::clone(self)))
        }

        fn map_memory(&self) -> io::Result<Vec<Mapping>> {
            if self.is_revocable() {
                let text = "a frame with a hold of 0 can be taken back while it is read; subscribe with a hold of at least 1";
                return Err(io::Error::new(io::ErrorKind::Unsupported, text));
            }
            if !self.fds().all(memory::has_fixed_size) {
                let text =
                    "the frame's memory could shrink while it is read; the producer has to seal it";
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            }
            let mut maps = Vec::with_capacity(self.buffer.fds.len());
            for (index, fd) in self.buffer.fds.iter().enumerate() {
                let len = usize::try_from(self.layout().bytes_of(index as u8))
                    .map_err(io::Error::other)?;
                maps.push(Mapping::read_only(fd.as_fd(), len)?);
            }
            Ok(maps)
        }
    }

    /// What keeps the frame while it is mapped.
    #[derive(Debug)]
    enum Lease<'a> {
        Borrowed(&'a Frame),
        Shared(Arc<Frame>),
    }

    impl Deref for Lease<'_> {
        type Target = Frame;

        fn deref(&self) -> &Frame {
            match self {
                Self::Borrowed(frame) => frame,
                Self::Shared(frame) => frame,
            }
        }
    }

    /// A frame's pixels, readable while this lives.
    #[derive(Debug)]
    pub struct MappedFrame<'a> {
        // Before `frame`: what was mapped is unmapped while it is still held.
        maps: Vec<Mapping>,
        frame: Lease<'a>,
    }

    impl<'a> MappedFrame<'a> {
        fn new(frame: Lease<'a>) -> io::Result<Self> {
            let mapped = Self {
                maps: frame.map_memory()?,
                frame,
            };
            mapped.sync(SYNC_READ)?;
            Ok(mapped)
        }

        /// The frame.
        pub fn frame(&self) -> &Frame {
            &self.frame
        }

        /// Bytes of a plane, `stride` bytes a row; `None` if there is no such plane.
        ///
        /// A producer that cuts this subscriber off while it reads takes the lease with it, and may write to the memory again:
        /// look at [`Frame::is_valid`] afterwards where a torn picture would matter.
        pub fn plane(&self, index: usize) -> Option<&[u8]> {
            let plane = self.frame.layout().planes.get(index)?;
            let map = self.maps.get(usize::from(plane.fd))?;
            // SAFETY: `map` covers offset + size of every plane of its descriptor (`bytes_of`), and lives as long as `self`. The
            // lease keeps the producer from writing. Who is cut off loses it, and then the bytes can change under the slice, as
            // with any file that is mapped: this rests on a producer that does so only to one that broke the protocol, and the
            // memory can't shrink (checked in `map`), so nothing worse than other numbers is read.
            Some(unsafe {
                std::slice::from_raw_parts(
                    map.start().as_ptr().add(plane.offset as usize),
                    plane.size as usize,
                )
            })
        }

        fn sync(&self, flags: u64) -> io::Result<()> {
            if self.frame.format().memory != MemoryKind::DmaBuf {
                return Ok(());
            }
            self.frame.fds().try_for_each(|fd| sync(fd, flags))
        }
    }

    impl Drop for MappedFrame<'_> {
        fn drop(&mut self) {
            if let Err(error) = self.sync(SYNC_READ | SYNC_END) {
                tracing::warn!(seq = self.frame.seq(), %error, "the end of a CPU access could not be told to the dma-buf");
            }
        }
    }

    fn sync(fd: BorrowedFd<'_>, flags: u64) -> io::Result<()> {
        loop {
            // SAFETY: the ioctl reads one u64 (struct dma_buf_sync) and changes no memory of this process.
            let rc = unsafe { libc::ioctl(fd.as_raw_fd(), SYNC, &raw const flags) };
            if rc == 0 {
                return Ok(());
            }
            let error = io::Error::last_os_error();
            if !matches!(error.raw_os_error(), Some(libc::EINTR | libc::EAGAIN)) {
                return Err(error);
            }
        }
    }
}

#[cfg(feature = "cpu-access")]
pub use cpu::MappedFrame;
