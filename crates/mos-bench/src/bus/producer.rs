//! The producer of a run: publishes at a fixed rate and keeps an eye on itself.

use std::collections::BTreeSet;
use std::fs;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use mos_frame::{
    Budget, ClockSource, Format, FrameMeta, MemfdPool, PoolFrame, Publisher, PublisherOptions,
    monotonic_ns,
};

use super::Error;

/// Buffers of the pool: enough for all subscribers of any run here.
const BUFFERS: u32 = 24;

#[derive(Debug)]
pub(super) struct Producer {
    pub(super) publisher: Publisher<PoolFrame>,
    pool: MemfdPool,
}

/// What one stretch of publishing took.
#[derive(Debug)]
pub(super) struct Stretch {
    pub(super) published: u64,
    pub(super) cpu: Duration,
    /// Publish calls, nanoseconds.
    pub(super) publish_ns: Histogram<u64>,
    pub(super) seconds: f64,
}

impl Producer {
    pub(super) fn new(path: &Path, width: u32, height: u32) -> Result<Self, Error> {
        let budget = Budget {
            slots: BUFFERS,
            in_flight: 1,
            fences: 0,
        };
        let options = PublisherOptions {
            budget,
            ..PublisherOptions::default()
        };
        let publisher = Publisher::bind(path, options)?;
        let format = Format::nv12_memfd(width, height, (0, 1));
        publisher.set_format(format.clone());
        let pool = MemfdPool::new(&publisher, &format, BUFFERS as usize)?;
        Ok(Self { publisher, pool })
    }

    /// Memory objects of the pool, by inode: a subscriber that sees any other got a copy.
    pub(super) fn inodes() -> Result<BTreeSet<u64>, Error> {
        let mut inodes = BTreeSet::new();
        for entry in fs::read_dir("/proc/self/fd")? {
            let path = entry?.path();
            if fs::read_link(&path).is_ok_and(|target| {
                target
                    .to_string_lossy()
                    .starts_with("/memfd:mos-frame-pool")
            }) {
                inodes.insert(std::os::unix::fs::MetadataExt::ino(&fs::metadata(&path)?));
            }
        }
        Ok(inodes)
    }

    /// Publishes `count` frames, `fps` a second, each stamped at both ends.
    pub(super) fn publish(&self, count: u64, fps: u32) -> Result<Stretch, Error> {
        let mut publish_ns = Histogram::new(3)?;
        let (start, cpu) = (Instant::now(), process_cpu());
        for n in 0..count {
            // Pacing: the frame is due then, as a camera's would be.
            let due = start + Duration::from_secs_f64(n as f64 / f64::from(fps));
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let mut frame = self
                .pool
                .acquire()
                .ok_or("no buffer is free: the budget does not hold")?;
            let stamp = self.publisher.newest_seq() + 1;
            let bytes = frame.bytes_mut();
            let last = bytes.len() - 8;
            bytes[..8].copy_from_slice(&stamp.to_le_bytes());
            bytes[last..].copy_from_slice(&stamp.to_le_bytes());
            let meta = FrameMeta {
                capture_ns: monotonic_ns(),
                clock_source: ClockSource::Arrival,
                ..FrameMeta::default()
            };
            let before = monotonic_ns();
            frame.publish(&self.publisher, meta)?;
            publish_ns.record(monotonic_ns() - before)?;
        }
        Ok(Stretch {
            published: count,
            cpu: process_cpu().saturating_sub(cpu),
            publish_ns,
            seconds: start.elapsed().as_secs_f64(),
        })
    }

    /// Waits until `count` subscribers are served.
    pub(super) fn wait_for(&self, count: usize) -> Result<(), Error> {
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.publisher.stats().subscribers.len() != count {
            if Instant::now() > deadline {
                return Err(format!("{count} subscribers did not come within 20 s").into());
            }
            thread::yield_now();
        }
        Ok(())
    }
}

impl Producer {
    /// Waits until the subscribers whose names start so have taken what is on offer: the end of the stream would take the
    /// last frame from them.
    pub(super) fn wait_until_taken(&self, names: &str) -> Result<(), Error> {
        let deadline = Instant::now() + Duration::from_secs(5);
        let open = |producer: &Self| {
            let subscribers = producer.publisher.stats().subscribers;
            let of_interest = subscribers
                .iter()
                .filter(|s| s.name.starts_with(names))
                .map(|s| s.counters);
            of_interest
                .map(|c| c.offered - c.claimed - c.recalled)
                .sum::<u64>()
        };
        while open(self) > 0 {
            if Instant::now() > deadline {
                return Err("a subscriber did not take the last frame within 5 s".into());
            }
            thread::yield_now();
        }
        Ok(())
    }
}

/// CPU time of this process.
pub(super) fn process_cpu() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(now.tv_sec.cast_unsigned(), now.tv_nsec as u32)
}

/// Resident memory of this process in KiB (`/proc/self/status`, `VmRSS`).
pub(super) fn resident_kib() -> Result<u64, Error> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find_map(|l| l.strip_prefix("VmRSS:"))
        .ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// Open descriptors of this process.
pub(super) fn open_fds() -> Result<usize, Error> {
    Ok(fs::read_dir("/proc/self/fd")?.count())
}

/// Inode behind a descriptor.
pub(super) fn inode(fd: BorrowedFd<'_>) -> Result<u64, Error> {
    Ok(rustix::fs::fstat(fd)?.st_ino)
}
