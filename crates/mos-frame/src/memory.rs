//! Memory behind descriptors: memfds, seals, mappings, identity.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::ptr::{self, NonNull};

use rustix::fs::{MemfdFlags, OFlags, SealFlags};
use rustix::mm::{MapFlags, ProtFlags};

/// Identity of a memory object, whatever descriptor number it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MemoryId {
    device: u64,
    inode: u64,
}

impl MemoryId {
    pub(crate) const fn new(device: u64, inode: u64) -> Self {
        Self { device, inode }
    }

    /// Number of the file system that the object lives in (`st_dev`). All dma-bufs of a machine have the same, which nothing else has.
    pub const fn device(&self) -> u64 {
        self.device
    }

    /// Number of the object in that file system (`st_ino`).
    pub const fn inode(&self) -> u64 {
        self.inode
    }
}

/// Identity of the memory behind `fd`.
///
/// It is unique while the object lives, so whoever compares identities has to hold a descriptor of the object.
pub fn memory_id(fd: BorrowedFd<'_>) -> io::Result<MemoryId> {
    let stat = rustix::fs::fstat(fd)?;
    Ok(MemoryId {
        device: stat.st_dev,
        inode: stat.st_ino,
    })
}

/// Whether `fd` is a dma-buf, by what the kernel says in `/proc/self/fdinfo` (`exp_name`, Documentation/filesystems/proc.rst).
pub fn is_dmabuf(fd: BorrowedFd<'_>) -> bool {
    fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd()))
        .is_ok_and(|info| info.lines().any(|line| line.starts_with("exp_name:")))
}

/// New anonymous memory of `size` bytes, zeroed, that can be sealed.
pub fn memfd(name: &str, size: u64) -> io::Result<OwnedFd> {
    let fd = rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    rustix::fs::ftruncate(&fd, size)?;
    Ok(fd)
}

/// Fixes the size of a memfd for ever, so that no mapping of it can fault.
pub fn seal_size(fd: BorrowedFd<'_>) -> io::Result<()> {
    Ok(rustix::fs::fcntl_add_seals(
        fd,
        SealFlags::SHRINK | SealFlags::GROW,
    )?)
}

/// Fixes the size and forbids new writable mappings and writes; writable mappings that exist go on working.
///
/// `F_SEAL_FUTURE_WRITE`, Linux 5.1, fcntl(2).
pub fn seal_read_only(fd: BorrowedFd<'_>) -> io::Result<()> {
    let seals = SealFlags::SHRINK | SealFlags::GROW | SealFlags::FUTURE_WRITE | SealFlags::SEAL;
    Ok(rustix::fs::fcntl_add_seals(fd, seals)?)
}

/// Whether the memory can't shrink below a mapping: a memfd that is sealed so, or a dma-buf.
pub(crate) fn has_fixed_size(fd: BorrowedFd<'_>) -> bool {
    rustix::fs::fcntl_get_seals(fd).is_ok_and(|seals| seals.contains(SealFlags::SHRINK))
        || is_dmabuf(fd)
}

/// Whether nobody who is sent this descriptor can write to its memory: a memfd sealed against writers to come, or a dma-buf
/// that is open for reading only (`V4L2` `VIDIOC_EXPBUF` with `O_RDONLY`; a dma-buf can't be opened again for writing).
pub fn is_read_only(fd: BorrowedFd<'_>) -> bool {
    let sealed = |seals: SealFlags| seals.intersects(SealFlags::FUTURE_WRITE | SealFlags::WRITE);
    if rustix::fs::fcntl_get_seals(fd).is_ok_and(sealed) {
        return true;
    }
    let for_reading =
        rustix::fs::fcntl_getfl(fd).is_ok_and(|f| f & OFlags::RWMODE == OFlags::RDONLY);
    for_reading && is_dmabuf(fd)
}

/// Bytes of the memory behind `fd`.
pub(crate) fn size_of(fd: BorrowedFd<'_>) -> io::Result<u64> {
    // dma-bufs say 0 in fstat and their size by seeking (Documentation/driver-api/dma-buf.rst).
    match rustix::fs::seek(fd, rustix::fs::SeekFrom::End(0)) {
        Ok(size) => Ok(size),
        Err(_) => Ok(rustix::fs::fstat(fd)?.st_size.cast_unsigned()),
    }
}

/// A shared mapping of a descriptor, unmapped on drop.
#[derive(Debug)]
pub(crate) struct Mapping {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: a mapping is plain memory of the process; it is not tied to the thread that made it. Access goes through
// atomics (shm) or through methods whose callers answer for exclusive access.
unsafe impl Send for Mapping {}
// SAFETY: as above; `&Mapping` gives nothing but the address and the length.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps `len` bytes of `fd` for reading.
    pub(crate) fn read_only(fd: BorrowedFd<'_>, len: usize) -> io::Result<Self> {
        Self::new(fd, len, ProtFlags::READ)
    }

    /// Maps `len` bytes of `fd` for reading and writing.
    pub(crate) fn read_write(fd: BorrowedFd<'_>, len: usize) -> io::Result<Self> {
        Self::new(fd, len, ProtFlags::READ | ProtFlags::WRITE)
    }

    fn new(fd: BorrowedFd<'_>, len: usize, prot: ProtFlags) -> io::Result<Self> {
        if len == 0 || size_of(fd)? < len as u64 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the memory is smaller than its description says",
            ));
        }
        // SAFETY: the kernel picks the address, so no memory of this process is replaced.
        let start =
            unsafe { rustix::mm::mmap(ptr::null_mut(), len, prot, MapFlags::SHARED, fd, 0)? };
        let start = NonNull::new(start.cast())
            .ok_or_else(|| io::Error::other("mmap gave a null address"))?;
        Ok(Self { start, len })
    }

    pub(crate) const fn start(&self) -> NonNull<u8> {
        self.start
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the range is exactly what mmap gave, and no borrow of it outlives `self`.
        let unmapped = unsafe { rustix::mm::munmap(self.start.as_ptr().cast(), self.len) };
        debug_assert!(unmapped.is_ok(), "munmap of an own mapping: {unmapped:?}");
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn identity_follows_the_object_not_the_number() {
        let a = memfd("a", 4096).unwrap();
        let b = memfd("b", 4096).unwrap();
        let again = a.try_clone().unwrap();
        assert_eq!(
            memory_id(a.as_fd()).unwrap(),
            memory_id(again.as_fd()).unwrap()
        );
        assert_ne!(memory_id(a.as_fd()).unwrap(), memory_id(b.as_fd()).unwrap());
    }

    #[test]
    fn sealed_memory_can_be_read_but_not_written_by_newcomers() {
        let fd = memfd("sealed", 4096).unwrap();
        let writer = Mapping::read_write(fd.as_fd(), 4096).unwrap();
        seal_read_only(fd.as_fd()).unwrap();
        assert!(Mapping::read_write(fd.as_fd(), 4096).is_err());
        let reader = Mapping::read_only(fd.as_fd(), 4096).unwrap();
        // SAFETY: both mappings live, and nothing else touches the byte.
        let seen = unsafe {
            writer.start().write_volatile(7);
            reader.start().read_volatile()
        };
        assert_eq!(seen, 7);
        assert!(has_fixed_size(fd.as_fd()));
    }

    #[test]
    fn a_memfd_is_read_only_by_its_seal_alone() {
        let fd = memfd("open", 4096).unwrap();
        let own = format!("/proc/self/fd/{}", fd.as_raw_fd());
        let reader = fs::File::open(own).unwrap();
        // It could be opened again for writing.
        assert!(!is_read_only(fd.as_fd()) && !is_read_only(reader.as_fd()));
        seal_size(fd.as_fd()).unwrap();
        assert!(!is_read_only(fd.as_fd()));
        seal_read_only(fd.as_fd()).unwrap();
        assert!(is_read_only(fd.as_fd()) && is_read_only(reader.as_fd()));
    }

    #[test]
    fn memory_that_is_too_small_is_not_mapped() {
        let fd = memfd("small", 4096).unwrap();
        assert_eq!(
            Mapping::read_only(fd.as_fd(), 8192).unwrap_err().kind(),
            io::ErrorKind::UnexpectedEof
        );
    }

    #[test]
    fn a_memfd_is_no_dmabuf() {
        assert!(!is_dmabuf(memfd("x", 4096).unwrap().as_fd()));
    }
}
