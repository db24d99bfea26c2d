//! What the kernel says about processes: their descriptors, their mappings, their CPU time.
//!
//! Source: `proc_pid_fd(5)`, `proc_pid_fdinfo(5)`, `proc_pid_maps(5)`, and `Documentation/driver-api/dma-buf.rst`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mos_frame::mappings::{DmabufMapping, dmabufs};

/// A dma-buf that a process has a descriptor of, however many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dmabuf {
    /// Number of the file system that it lives in; of all dma-bufs the same.
    pub(crate) device: u64,
    /// Who allocated its memory, by the kernel's word.
    pub(crate) exporter: String,
    /// Bytes.
    pub(crate) size: u64,
}

/// Memory that a process shares with others.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// By inode.
    pub(crate) dmabufs: BTreeMap<u64, Dmabuf>,
    /// Size in bytes of the largest other shared memory (a memfd, a file in memory) that it has open or mapped.
    pub(crate) largest_other_memory: u64,
}

/// Looks at a process's descriptors and mappings.
pub(crate) fn shared_memory(pid: u32) -> Shared {
    let mut found = Shared {
        largest_other_memory: largest_mapping(pid),
        ..Shared::default()
    };
    for entry in fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten() {
        // A descriptor that was closed since it was listed is none.
        let Ok(target) = fs::read_link(entry.path()) else {
            continue;
        };
        let Ok(metadata) = fs::metadata(entry.path()) else {
            continue;
        };
        let number = entry.file_name();
        let info = format!("/proc/{pid}/fdinfo/{}", number.to_string_lossy());
        let info = match fs::read_to_string(info) {
            Err(error) if is_gone(&error) => continue,
            info => info.unwrap(),
        };
        if let Some(exporter) = field(&info, "exp_name:") {
            let dmabuf = Dmabuf {
                device: metadata.dev(),
                exporter: exporter.to_owned(),
                size: field(&info, "size:").unwrap_or_default().parse().unwrap(),
            };
            found.dmabufs.insert(metadata.ino(), dmabuf);
        } else if is_memory(&target) {
            found.largest_other_memory = found.largest_other_memory.max(metadata.len());
        }
    }
    found
}

/// Size in bytes of the largest mapping of shared memory that is no dma-buf; its descriptor may be closed by now.
fn largest_mapping(pid: u32) -> u64 {
    let maps = fs::read(format!("/proc/{pid}/maps")).unwrap();
    let maps = String::from_utf8_lossy(&maps);
    let sizes = maps.lines().filter_map(|line| {
        // start-end perms offset device inode path
        let (addresses, rest) = line.split_once(' ')?;
        let (start, end) = addresses.split_once('-')?;
        let path = rest
            .split_ascii_whitespace()
            .skip(4)
            .collect::<Vec<_>>()
            .join(" ");
        let size = u64::from_str_radix(end, 16).ok()? - u64::from_str_radix(start, 16).ok()?;
        (rest.as_bytes().get(3) == Some(&b's') && is_memory(Path::new(&path))).then_some(size)
    });
    sizes.max().unwrap_or(0)
}

fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines()
        .find_map(|line| line.strip_prefix(name))
        .map(str::trim)
}

/// A memfd, a file of `/dev/shm` or one without a name.
fn is_memory(target: &Path) -> bool {
    let target = target.to_string_lossy();
    ["/memfd:", "/dev/shm/", "anon_inode:"]
        .iter()
        .any(|start| target.starts_with(start))
        || target.ends_with(" (deleted)")
}

/// The dma-bufs that any process of this machine has mapped, with the process, and how many processes were looked at.
pub(crate) fn mapped_anywhere(device: u64) -> (Vec<(u32, DmabufMapping)>, usize) {
    let (mut found, mut looked_at) = (Vec::new(), 0);
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse() else {
            continue;
        };
        let maps = match fs::read(format!("/proc/{pid}/maps")) {
            // It ended since it was listed, and maps nothing.
            Err(error) if is_gone(&error) => continue,
            maps => maps.unwrap(),
        };
        looked_at += 1;
        let mapped = dmabufs(&String::from_utf8_lossy(&maps), Some(device));
        found.extend(mapped.into_iter().map(|mapping| (pid, mapping)));
    }
    (found, looked_at)
}

/// `ENOENT` or `ESRCH`: what was listed is not there any more. Anything else would mean that we may not look.
fn is_gone(error: &io::Error) -> bool {
    const ESRCH: i32 = 3;
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(ESRCH)
}

/// The processes of this machine that have mapped a V4L2 node's own memory (`V4L2_MEMORY_MMAP`): the same pages as the
/// dma-bufs that the node exports, by another door.
pub(crate) fn nodes_mapped_anywhere() -> Vec<u32> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_string_lossy().parse().ok());
    pids.filter(|pid: &u32| {
        let maps = fs::read(format!("/proc/{pid}/maps")).unwrap_or_default();
        String::from_utf8_lossy(&maps)
            .lines()
            .any(|line| line.contains(" /dev/video"))
    })
    .collect()
}

/// The V4L2 nodes that a process has open.
pub(crate) fn open_nodes(pid: u32) -> BTreeSet<PathBuf> {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
    descriptors
        .filter_map(|entry| fs::read_link(entry.path()).ok())
        .filter(|target| target.to_string_lossy().starts_with("/dev/video"))
        .collect()
}

/// CPU time of all threads of a process so far, in user space and in the kernel, in nanoseconds (the first number of
/// `/proc/PID/task/TID/schedstat`, Documentation/scheduler/sched-stats.rst).
pub(crate) fn cpu_time(pid: u32) -> Duration {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    let spent = threads.map(|thread| {
        let schedstat = match fs::read_to_string(thread.path().join("schedstat")) {
            // The thread ended since it was listed.
            Err(error) if is_gone(&error) => return 0,
            schedstat => schedstat.unwrap(),
        };
        let on_cpu = schedstat.split_ascii_whitespace().next().unwrap();
        on_cpu.parse::<u64>().unwrap()
    });
    Duration::from_nanos(spent.sum())
}

/// The kernel's own list of dma-bufs: exporter by inode; none where debugfs is not mounted.
pub(crate) fn kernels_list() -> Option<BTreeMap<u64, String>> {
    let text = fs::read_to_string("/sys/kernel/debug/dma_buf/bufinfo").ok()?;
    let row = |line: &str| {
        // size flags mode count exp_name ino name
        let columns: Vec<&str> = line.split_ascii_whitespace().collect();
        columns.first()?.parse::<u64>().ok()?;
        Some((columns.get(5)?.parse().ok()?, (*columns.get(4)?).to_owned()))
    };
    Some(text.lines().filter_map(row).collect())
}
