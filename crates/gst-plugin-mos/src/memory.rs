//! What the memory of a buffer is, by what the kernel says, not by what its label says.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use gst_allocators::FdMemory;
use mos_frame::memory as fd_memory;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::SealFlags;
use rustix::io::Errno;

/// What a block of memory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A dma-buf.
    DmaBuf,
    /// Anonymous shared memory of the kernel.
    Memfd,
    /// A descriptor of something else, such as a file or a device.
    OtherFd,
    /// Memory of this process only.
    System,
}

/// The descriptor behind a block of memory, if there is one.
pub(crate) fn fd_of(memory: &gst::MemoryRef) -> Option<BorrowedFd<'_>> {
    let fd = memory.downcast_memory_ref::<FdMemory>()?.fd();
    // SAFETY: a GstFdMemory keeps its descriptor open while it lives, and the result borrows the memory. -1 is ruled out.
    (fd >= 0).then(|| unsafe { BorrowedFd::borrow_raw(fd) })
}

/// Tells kinds of memory apart; cheap for memory like the one that was seen before.
///
/// All dma-bufs are inodes of one kernel-internal file system, and so are all memfds. So a file system that was looked
/// at once (`/proc/self/fdinfo`, `F_GET_SEALS`) answers for every later buffer, at the price of one `fstat(2)`.
#[derive(Debug, Default)]
pub(crate) struct Probe {
    known: Vec<(u64, Kind)>,
}

impl Probe {
    /// What `memory` is.
    pub(crate) fn kind(&mut self, memory: &gst::MemoryRef) -> Kind {
        fd_of(memory).map_or(Kind::System, |fd| self.kind_of_fd(fd))
    }

    fn kind_of_fd(&mut self, fd: BorrowedFd<'_>) -> Kind {
        let Ok(stat) = rustix::fs::fstat(fd) else {
            return Kind::OtherFd;
        };
        if let Some((_, kind)) = self.known.iter().find(|(device, _)| *device == stat.st_dev) {
            return *kind;
        }
        let kind = look_at(fd);
        // Other descriptors come from real file systems, whose number says nothing about the next one.
        if kind != Kind::OtherFd {
            self.known.push((stat.st_dev, kind));
        }
        kind
    }
}

fn look_at(fd: BorrowedFd<'_>) -> Kind {
    if fd_memory::is_dmabuf(fd) {
        Kind::DmaBuf
    } else if is_memfd(fd) {
        Kind::Memfd
    } else {
        Kind::OtherFd
    }
}

/// Files in a mounted tmpfs answer `F_GET_SEALS` too, but can never be sealed against shrinking: `F_SEAL_SEAL` alone.
fn is_memfd(fd: BorrowedFd<'_>) -> bool {
    rustix::fs::fcntl_get_seals(fd).is_ok_and(|seals| seals != SealFlags::SEAL)
}

/// Whether nobody who gets this descriptor can write to the memory (`F_SEAL_FUTURE_WRITE`, fcntl(2)).
pub(crate) fn is_read_only(fd: BorrowedFd<'_>) -> bool {
    let needed = SealFlags::FUTURE_WRITE | SealFlags::SHRINK | SealFlags::GROW;
    rustix::fs::fcntl_get_seals(fd).is_ok_and(|seals| seals.contains(needed))
}

/// Whether caps promise nothing about the memory.
#[cfg(feature = "development")]
pub(crate) fn is_plain(caps: &gst::CapsRef) -> bool {
    caps.features(0)
        .is_none_or(|features| features.is_equal(gst::CAPS_FEATURES_MEMORY_SYSTEM_MEMORY.as_ref()))
}

/// Waits until no device writes to these dma-bufs any more; false if that takes longer than `timeout`.
///
/// `poll(2)` of a dma-buf for input waits for its write fences (Documentation/driver-api/dma-buf.rst, "Implicit Fence
/// Poll Support").
pub(crate) fn wait_written(fds: &[BorrowedFd<'_>], timeout: Duration) -> std::io::Result<bool> {
    let deadline = Instant::now() + timeout;
    for &fd in fds {
        let mut polled = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match poll(&mut polled, Timespec::try_from(left).ok().as_ref()) {
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
                Ok(0) => return Ok(false),
                Ok(_) => break,
            }
        }
    }
    Ok(true)
}

/// Fixes the size of a memfd, so that no reader can be made to fault by its shrinking.
pub(crate) fn fix_size(fd: BorrowedFd<'_>) -> std::io::Result<()> {
    let sealed = SealFlags::SHRINK | SealFlags::GROW;
    if rustix::fs::fcntl_get_seals(fd)?.contains(sealed) {
        Ok(())
    } else {
        fd_memory::seal_size(fd)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::os::fd::{AsFd, IntoRawFd, OwnedFd};

    use gst_allocators::prelude::*;
    use gst_allocators::{DmaBufAllocator, FdAllocator, FdMemoryFlags};

    use super::*;

    pub(crate) fn fd_memory_of(fd: OwnedFd, size: usize) -> gst::Memory {
        // SAFETY: the descriptor is handed over to the memory, which closes it.
        unsafe {
            FdAllocator::new()
                .alloc_fd(fd.into_raw_fd(), size, FdMemoryFlags::empty())
                .unwrap()
        }
    }

    #[test]
    fn kinds_come_from_the_kernel_not_from_the_label() {
        gst::init().unwrap();
        let memfd = || mos_frame::memory::memfd("probe", 4096).unwrap();
        // SAFETY: the descriptor is handed over to the memory.
        let mislabelled = unsafe {
            DmaBufAllocator::new()
                .alloc_dmabuf(memfd().into_raw_fd(), 4096)
                .unwrap()
        };
        let file = OwnedFd::from(tempfile::tempfile().unwrap());
        let mut probe = Probe::default();
        for round in 0..2 {
            assert_eq!(
                probe.kind(&gst::Memory::with_size(16)),
                Kind::System,
                "round {round}"
            );
            assert_eq!(
                probe.kind(&fd_memory_of(memfd(), 4096)),
                Kind::Memfd,
                "round {round}"
            );
            assert_eq!(probe.kind(&mislabelled), Kind::Memfd, "round {round}");
            assert_eq!(
                probe.kind(&fd_memory_of(file.try_clone().unwrap(), 16)),
                Kind::OtherFd,
                "round {round}"
            );
        }
    }

    #[test]
    fn a_writer_that_does_not_finish_is_not_waited_for_for_ever() {
        // A pipe polls like a dma-buf with a fence: not readable, then readable.
        let (read, write) = rustix::pipe::pipe().unwrap();
        assert!(!wait_written(&[read.as_fd()], Duration::from_millis(1)).unwrap());
        rustix::io::write(&write, &[1]).unwrap();
        assert!(wait_written(&[read.as_fd()], Duration::from_mins(1)).unwrap());
        assert!(wait_written(&[], Duration::ZERO).unwrap());
    }

    #[test]
    fn only_sealed_memory_is_read_only() {
        let fd = mos_frame::memory::memfd("seal", 4096).unwrap();
        assert!(!is_read_only(fd.as_fd()));
        mos_frame::memory::seal_read_only(fd.as_fd()).unwrap();
        assert!(is_read_only(fd.as_fd()));
    }
}
