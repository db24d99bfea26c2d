//! Dma-bufs for producers that make their pictures in software: simulators, tests, development builds.
//!
//! Two devices of the kernel hand them out: a dma-heap (`linux/dma-heap.h`,
//! Documentation/userspace-api/dma-buf-alloc-exchange.rst) and udmabuf, which makes one of a memfd's pages (`linux/udmabuf.h`). Whoever writes to such memory with the CPU
//! tells so with `DMA_BUF_IOCTL_SYNC` (Documentation/driver-api/dma-buf.rst).

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use rustix::fs::SealFlags;

use crate::memory;

/// The system's heap: pages of ordinary memory.
#[derive(Debug)]
pub struct DmaHeap(File);

impl DmaHeap {
    /// Where it is.
    pub const PATH: &str = "/dev/dma_heap/system";

    /// Opens it. Fails if the kernel has none, or if this user may not.
    pub fn open() -> io::Result<Self> {
        Ok(Self(File::open(Self::PATH)?))
    }

    /// A dma-buf of at least `size` bytes, in whole pages, zeroed.
    pub fn allocate(&self, size: u64) -> io::Result<OwnedFd> {
        let mut request = HeapRequest {
            len: whole_pages(size)?,
            fd: 0,
            fd_flags: (libc::O_RDWR | libc::O_CLOEXEC).cast_unsigned(),
            heap_flags: 0,
        };
        // SAFETY: the ioctl reads and writes a `dma_heap_allocation_data`, which `request` is.
        let rc = unsafe { libc::ioctl(self.0.as_raw_fd(), HEAP_ALLOC, &raw mut request) };
        if rc < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the call succeeded, so this is a new descriptor that nobody else owns.
        Ok(unsafe { OwnedFd::from_raw_fd(request.fd.cast_signed()) })
    }
}

/// The device that makes dma-bufs of memfds.
#[derive(Debug)]
pub struct Udmabuf(File);

impl Udmabuf {
    /// Where it is.
    pub const PATH: &str = "/dev/udmabuf";

    /// Opens it. Fails if the kernel has none (module `udmabuf`), or if this user may not (Debian: group `kvm`).
    pub fn open() -> io::Result<Self> {
        let device = File::options().read(true).write(true).open(Self::PATH)?;
        Ok(Self(device))
    }

    /// A dma-buf of at least `size` bytes, in whole pages, zeroed. The kernel allows 64 MiB each, unless told otherwise
    /// (`udmabuf.size_limit_mb`).
    pub fn allocate(&self, size: u64) -> io::Result<OwnedFd> {
        let size = whole_pages(size)?;
        let pages = memory::memfd("mos-udmabuf", size)?;
        // The device takes no memory that could shrink, and none that can't be written.
        rustix::fs::fcntl_add_seals(&pages, SealFlags::SHRINK)?;
        let request = UdmabufRequest {
            memfd: pages.as_raw_fd().cast_unsigned(),
            flags: UDMABUF_CLOEXEC,
            offset: 0,
            size,
        };
        // SAFETY: the ioctl reads a `udmabuf_create`, which `request` is.
        let rc = unsafe { libc::ioctl(self.0.as_raw_fd(), UDMABUF_CREATE, &raw const request) };
        if rc < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the call succeeded, so this is a new descriptor that nobody else owns. It keeps the pages; the memfd may go.
        Ok(unsafe { OwnedFd::from_raw_fd(rc) })
    }
}

/// `struct dma_heap_allocation_data`.
#[repr(C)]
struct HeapRequest {
    len: u64,
    fd: u32,
    fd_flags: u32,
    heap_flags: u64,
}

/// `struct udmabuf_create`.
#[repr(C)]
struct UdmabufRequest {
    memfd: u32,
    flags: u32,
    offset: u64,
    size: u64,
}

/// `_IOWR('H', 0x0, struct dma_heap_allocation_data)`
const HEAP_ALLOC: libc::Ioctl =
    rustix::ioctl::opcode::read_write::<HeapRequest>(b'H', 0) as libc::Ioctl;
/// `_IOW('u', 0x42, struct udmabuf_create)`
const UDMABUF_CREATE: libc::Ioctl =
    rustix::ioctl::opcode::write::<UdmabufRequest>(b'u', 0x42) as libc::Ioctl;
/// `UDMABUF_FLAGS_CLOEXEC`
const UDMABUF_CLOEXEC: u32 = 1;

fn whole_pages(size: u64) -> io::Result<u64> {
    let none = || io::Error::from(io::ErrorKind::InvalidInput);
    let pages = size.checked_next_multiple_of(rustix::param::page_size() as u64);
    pages.filter(|&size| size > 0).ok_or_else(none)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_whole_pages() {
        let page = rustix::param::page_size() as u64;
        for (asked, given) in [
            (1, Some(page)),
            (page, Some(page)),
            (page + 1, Some(2 * page)),
            (0, None),
            (u64::MAX, None),
        ] {
            assert_eq!(whole_pages(asked).ok(), given, "{asked}");
        }
    }

    /// The numbers as a C compiler has them, with Debian's `linux/dma-heap.h` and `linux/udmabuf.h` on x86-64 and arm64.
    #[test]
    fn requests_are_the_kernels() {
        assert_eq!(HEAP_ALLOC, 0xc018_4800);
        assert_eq!(UDMABUF_CREATE, 0x4018_7542);
    }
}
