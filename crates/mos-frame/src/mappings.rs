//! Which dma-bufs this process has mapped, by what the kernel says.
//!
//! A production build maps no frame; this is how that is watched in a process that also runs code of others (drivers'
//! libraries, GStreamer elements). Looking maps nothing.
//!
//! Source: `/proc/self/maps` ([proc_pid_maps(5)]) lists every mapping with the device and inode of the file behind it. A
//! dma-buf's file lives in a kernel-internal file system of its own (`dma_buf_init` in `drivers/dma-buf/dma-buf.c`), so its
//! device number, which [`MemoryId::device`] of any dma-buf tells, is shared by all dma-bufs and by nothing else. The path
//! shown is `/dmabuf:` and the name that somebody gave it (`dmabuffs_dname` there); since a file could be called so, the
//! path counts only where no dma-buf is known yet.
//!
//! Not seen: a mapping that ended before the look, and one that its exporter moved to another file (i915 moves it to the
//! shmem file behind). Memory of a device node (`/dev/video0` with `VIDIOC_QUERYBUF`) is that node's and does not count,
//! unless the driver imported a dma-buf for it, which the kernel then shows as the dma-buf.
//!
//! [proc_pid_maps(5)]: https://man7.org/linux/man-pages/man5/proc_pid_maps.5.html

use std::fs;
use std::io;
use std::ops::Range;

use crate::memory::MemoryId;

/// A range of a process's addresses that shows a dma-buf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DmabufMapping {
    /// The dma-buf; the same as [`memory_id`](crate::memory::memory_id) says of its descriptor.
    pub memory: MemoryId,
    /// Addresses, in bytes.
    pub range: Range<u64>,
    /// Whether the process can write through it.
    pub writable: bool,
    /// Name that somebody gave the dma-buf (`DMA_BUF_SET_NAME`); empty without one. The kernel writes a line feed as `\012`.
    pub name: String,
}

/// The dma-bufs among the mappings in `maps`, the text of `/proc/PID/maps`.
///
/// `device` is [`MemoryId::device`] of any dma-buf of this machine. Without it the kernel's path has to do: `/dmabuf:` on a
/// file system without a device. A line that can't be read is no mapping of a dma-buf.
pub fn dmabufs(maps: &str, device: Option<u64>) -> Vec<DmabufMapping> {
    let is_dmabuf = |line: &Line<'_>| match device {
        Some(device) => line.memory.device() == device,
        None => line.path.starts_with(PATH) && rustix::fs::major(line.memory.device()) == 0,
    };
    let lines = maps.lines().filter_map(Line::parse).filter(is_dmabuf);
    lines.map(Line::mapping).collect()
}

/// The dma-bufs that this process has mapped now; `device` as for [`dmabufs`].
///
/// Reads `/proc/self/maps`, whose lines are each true but not all of one moment. It costs microseconds for each mapping of
/// the process: for a look now and then, not for each frame.
pub fn mapped_dmabufs(device: Option<u64>) -> io::Result<Vec<DmabufMapping>> {
    let maps = fs::read("/proc/self/maps")?;
    Ok(dmabufs(&String::from_utf8_lossy(&maps), device))
}

/// How the kernel begins the path of a dma-buf.
const PATH: &str = "/dmabuf:";

/// A line of the file: `start-end perms offset major:minor inode path`, where all but the inode are hexadecimal.
struct Line<'a> {
    range: Range<u64>,
    writable: bool,
    memory: MemoryId,
    path: &'a str,
}

impl<'a> Line<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (range, rest) = line.split_once(' ')?;
        let (permissions, rest) = rest.split_once(' ')?;
        let (_offset, rest) = rest.split_once(' ')?;
        let (device, rest) = rest.split_once(' ')?;
        let (inode, path) = rest.split_once(' ').unwrap_or((rest, ""));
        let (start, end) = range.split_once('-')?;
        let (major, minor) = device.split_once(':')?;
        let device = rustix::fs::makedev(
            u32::from_str_radix(major, 16).ok()?,
            u32::from_str_radix(minor, 16).ok()?,
        );
        Some(Self {
            range: hex(start)?..hex(end)?,
            writable: permissions.contains('w'),
            memory: MemoryId::new(device, inode.parse().ok()?),
            path: path.trim_start_matches(' '),
        })
    }

    fn mapping(self) -> DmabufMapping {
        DmabufMapping {
            memory: self.memory,
            range: self.range,
            writable: self.writable,
            name: self.path.strip_prefix(PATH).unwrap_or_default().to_owned(),
        }
    }
}

fn hex(digits: &str) -> Option<u64> {
    u64::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;
    use crate::memory::{Mapping, memfd, memory_id};

    /// As Linux 6.12 shows them: a program, the heap, a camera's node, a memfd, three dma-bufs, and two files that are
    /// called like dma-bufs.
    const MAPS: &str = "\
55d0c8c00000-55d0c8c21000 r-xp 00002000 fe:01 1835023                    /usr/bin/mos-camera-capture
55d0ca000000-55d0ca0a1000 rw-p 00000000 00:00 0                          [heap]
7f10a0000000-7f10a0200000 rw-s 00000000 00:06 512                        /dev/video0
7f10a0400000-7f10a0438000 rw-s 00000000 00:01 2051                       /memfd:mos-nv12 (deleted)
7f10a0500000-7f10a0528000 r--s 00000000 00:0d 77                         /dmabuf:
7f10a0528000-7f10a0550000 rw-s 00001000 00:0d 78                         /dmabuf:front yard  1
7f10a0550000-7f10a0578000 rw-s 00000000 00:0d 77                         /dmabuf:
7f10a0600000-7f10a0628000 rw-s 00000000 fe:01 99                         /dmabuf:fake
7f10a0700000-7f10a0728000 rw-s 00000000 00:2a 98                         /dmabuf:fake
7f10a0800000-7f10a0801000 rw-p 00000000 00:00 0 
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
";

    fn seen(maps: &str, device: Option<u64>) -> Vec<(u64, bool, String)> {
        dmabufs(maps, device)
            .into_iter()
            .map(|m| (m.memory.inode(), m.writable, m.name))
            .collect()
    }

    #[test]
    fn only_files_of_the_dma_bufs_file_system_count() {
        let by_device = seen(MAPS, Some(rustix::fs::makedev(0, 0x0d)));
        let real = [
            (77, false, String::new()),
            (78, true, "front yard  1".to_owned()),
            (77, true, String::new()),
        ];
        assert_eq!(by_device, real);
        assert!(seen(MAPS, Some(rustix::fs::makedev(0, 0x0e))).is_empty());
    }

    #[test]
    fn without_a_known_dma_buf_the_path_decides_where_there_is_no_device() {
        let inodes: Vec<_> = seen(MAPS, None).iter().map(|m| m.0).collect();
        // 98 is a file in a tmpfs whose owner called it so: the price of not knowing the device.
        assert_eq!(inodes, [77, 78, 77, 98]);
    }

    #[test]
    fn ranges_and_large_device_numbers() {
        let maps = "7f0-7f8 rw-s 00000000 00:1234 5   /dmabuf:x\n";
        let found = dmabufs(maps, Some(rustix::fs::makedev(0, 0x1234)));
        assert_eq!(found[0].range, 0x7f0..0x7f8);
        // `st_dev` of a minor above 255 is not just the number (`new_encode_dev` in linux/kdev_t.h).
        assert_eq!(found[0].memory.device(), 0x120_0034);
    }

    #[test]
    fn lines_that_are_none_are_left_out() {
        let device = Some(rustix::fs::makedev(0, 0x0d));
        for line in [
            "",
            "\n",
            "7f0-7f8",
            "7f0-7f8 rw-s",
            "7f0-7f8 rw-s 0 00:0d",
            "7f0 rw-s 0 00:0d 7 /dmabuf:",
            "7f0-xyz rw-s 0 00:0d 7 /dmabuf:",
            "7f0-7f8 rw-s 0 000d 7 /dmabuf:",
            "7f0-7f8 rw-s 0 00:0d seven /dmabuf:",
        ] {
            assert!(seen(line, device).is_empty(), "{line:?}");
        }
    }

    /// A memfd in the place of a dma-buf: device and inode in the file are those of `fstat`, and a mapping goes with its end.
    #[test]
    fn what_is_mapped_is_listed_until_it_is_unmapped() {
        let fd = memfd("mappings", 8192).unwrap();
        let id = memory_id(fd.as_fd()).unwrap();
        let ranges = || -> Vec<_> {
            let mapped = mapped_dmabufs(Some(id.device())).unwrap();
            let own = mapped.into_iter().filter(|m| m.memory == id);
            own.map(|m| (m.range, m.writable)).collect()
        };
        assert!(ranges().is_empty());
        let mapping = Mapping::read_only(fd.as_fd(), 8192).unwrap();
        let start = mapping.start().as_ptr().addr() as u64;
        assert_eq!(ranges(), [(start..start + 8192, false)]);
        drop(mapping);
        assert!(ranges().is_empty());
    }
}
