//! What the memory of a buffer is, by what the kernel says, not by what its label says.

use std::os::fd::BorrowedFd;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use gst::glib;
use gst::glib::translate::IntoGlib;
use gst_allocators::FdMemory;
use mos_frame::memory::{self as fd_memory, MemoryId};
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

/// What the kernel said about a block of memory. None of it changes while the block lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) kind: Kind,
    /// `None` without a descriptor, or with one that the kernel does not know.
    pub(crate) id: Option<MemoryId>,
    /// Whether nobody who gets the descriptor can write to it. A seal can still come, so `false` is not remembered.
    pub(crate) read_only: bool,
}

/// Held while a block's facts are read or changed: two sinks may have the same block, and each copies what it reads.
static REMEMBERING: Mutex<()> = Mutex::new(());
/// Of this copy of the code alone: a process may have another (a plugin beside a linked one), whose `Facts` may differ.
static FACTS: LazyLock<glib::Quark> = LazyLock::new(|| {
    glib::Quark::from_str(format!("mos-memory-facts-{:p}", &raw const REMEMBERING))
});

/// What was found out about this block before.
///
/// On the block itself, not in a table by address or descriptor: both are used again for other memory.
pub(crate) fn remembered(memory: &gst::MemoryRef) -> Option<Facts> {
    let _guard = REMEMBERING.lock().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: a live block is asked for data that only `remember` sets, which is a `Facts`; it can't be replaced meanwhile.
    unsafe {
        let block = memory.as_ptr().cast_mut().cast();
        let facts = gst::ffi::gst_mini_object_get_qdata(block, FACTS.into_glib());
        facts.cast::<Facts>().as_ref().copied()
    }
}

fn remember(memory: &gst::MemoryRef, facts: Facts) {
    let facts = Box::into_raw(Box::new(facts));
    let _guard = REMEMBERING.lock().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: the function locks the block's data by itself and needs no writable block. The box is handed over and comes
    // back exactly once, to `forget`, when the block is freed or its facts are replaced.
    unsafe {
        let block = memory.as_ptr().cast_mut().cast();
        gst::ffi::gst_mini_object_set_qdata(block, FACTS.into_glib(), facts.cast(), Some(forget));
    }
}

/// Remembers of `to` what is remembered of `from`, which is the same memory in another block.
pub(crate) fn carry_over(from: &gst::MemoryRef, to: &gst::MemoryRef) {
    if let Some(facts) = remembered(from) {
        remember(to, facts);
    }
}

/// Called by GStreamer once for each `Facts` that was set.
unsafe extern "C" fn forget(facts: glib::ffi::gpointer) {
    // SAFETY: the pointer is the box of `remember`.
    drop(unsafe { Box::from_raw(facts.cast::<Facts>()) });
}

/// Tells kinds of memory apart; cheap for memory like the one that was seen before, and free for a block that was.
///
/// All dma-bufs are inodes of one kernel-internal file system, and so are all memfds. So a file system that was looked
/// at once (`/proc/self/fdinfo`, `F_GET_SEALS`) answers for every later buffer, at the price of one `fstat(2)`.
#[derive(Debug, Default)]
pub(crate) struct Probe {
    known: Vec<(u64, Kind)>,
}

impl Probe {
    /// What `memory` is.
    #[cfg(test)]
    pub(crate) fn kind(&mut self, memory: &gst::MemoryRef) -> Kind {
        self.facts(memory).kind
    }

    /// What the kernel says about `memory`.
    pub(crate) fn facts(&mut self, memory: &gst::MemoryRef) -> Facts {
        if let Some(facts) = remembered(memory) {
            return facts;
        }
        let Some(fd) = fd_of(memory) else {
            return Facts {
                kind: Kind::System,
                id: None,
                read_only: false,
            };
        };
        let kind = self.kind_of_fd(fd);
        let facts = Facts {
            kind,
            id: fd_memory::memory_id(fd).ok(),
            // Whether a dma-buf is read-only its exporter knows.
            read_only: kind == Kind::Memfd && is_read_only(fd),
        };
        if facts.read_only || kind == Kind::DmaBuf {
            remember(memory, facts);
        }
        facts
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
        gst::init().unwrap();
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
    fn facts_stay_with_a_block_and_go_with_it() {
        gst::init().unwrap();
        let sealed = || {
            let fd = mos_frame::memory::memfd("facts", 4096).unwrap();
            mos_frame::memory::seal_read_only(fd.as_fd()).unwrap();
            fd
        };
        let (first, second) = (sealed(), sealed());
        let id = |fd: &OwnedFd| mos_frame::memory::memory_id(fd.as_fd()).unwrap();
        let (first_id, second_id) = (id(&first), id(&second));
        let mut probe = Probe::default();
        let block = fd_memory_of(first, 4096);
        assert_eq!(remembered(&block), None);
        let facts = probe.facts(&block);
        assert_eq!((facts.id, facts.read_only), (Some(first_id), true));
        assert_eq!(remembered(&block), Some(facts));
        // A part of it is a block of its own.
        assert_eq!(remembered(&block.share(0..16)), None);
        drop(block);
        // Another block, maybe at the same address with the same descriptor's number.
        let block = fd_memory_of(second, 4096);
        assert_eq!(remembered(&block), None);
        assert_eq!(probe.facts(&block).id, Some(second_id));
    }

    #[test]
    fn a_seal_that_comes_later_is_noticed() {
        gst::init().unwrap();
        let fd = mos_frame::memory::memfd("facts", 4096).unwrap();
        let block = fd_memory_of(fd.try_clone().unwrap(), 4096);
        let mut probe = Probe::default();
        assert!(!probe.facts(&block).read_only);
        mos_frame::memory::seal_read_only(fd.as_fd()).unwrap();
        assert!(probe.facts(&block).read_only);
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
