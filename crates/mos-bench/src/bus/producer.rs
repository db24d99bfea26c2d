//! The producer of a run: publishes at a fixed pace and keeps an eye on itself.

use std::collections::BTreeSet;
use std::fs;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use mos_frame::{
    Budget, ClockSource, Format, FrameMeta, MemfdPool, PoolFrame, Publisher, PublisherOptions,
    monotonic_ns,
};

use crate::contender::Error;

/// A stream's socket in a folder of its own.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) path: PathBuf,
    pub(super) dir: tempfile::TempDir,
}

impl Place {
    pub(super) fn new() -> Result<Self, Error> {
        let dir = tempfile::tempdir()?;
        let path = mos_frame::socket_path(dir.path(), "bench");
        Ok(Self { path, dir })
    }
}

/// NV12 pictures and the number of buffers that they go round in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) buffers: u32,
}

impl Shape {
    pub(super) const VGA: (u32, u32) = (640, 480);
    pub(super) const HD: (u32, u32) = (1920, 1080);
    pub(super) const UHD: (u32, u32) = (3840, 2160);

    /// With as many buffers as `subscribers` of window 2 and hold 1 need, and a few to spare.
    pub(super) const fn for_subscribers((width, height): (u32, u32), subscribers: u32) -> Self {
        Self {
            width,
            height,
            buffers: subscribers + 8,
        }
    }
}

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
    /// Each publish call, nanoseconds.
    pub(super) publish_ns: Vec<u64>,
    /// `CLOCK_MONOTONIC` at the first frame.
    pub(super) start_ns: u64,
    /// When each frame was published, nanoseconds since the first.
    pub(super) published_ns: Vec<u64>,
    pub(super) seconds: f64,
}

impl Producer {
    pub(super) fn new(path: &Path, shape: Shape) -> Result<Self, Error> {
        let options = PublisherOptions {
            budget: Budget {
                slots: shape.buffers,
                in_flight: 1,
                fences: 0,
            },
            ..PublisherOptions::default()
        };
        let publisher = Publisher::bind(path, options)?;
        let format = Format::nv12_memfd(shape.width, shape.height, (0, 1));
        publisher.set_format(format.clone());
        let pool = MemfdPool::new(&publisher, &format, shape.buffers as usize)?;
        let producer = Self { publisher, pool };
        producer.touch();
        Ok(producer)
    }

    /// Writes both ends of every buffer once, so that memory that grows later is nobody's first touch.
    fn touch(&self) {
        let mut all: Vec<PoolFrame> = std::iter::from_fn(|| self.pool.acquire()).collect();
        for frame in &mut all {
            stamp(frame, 0);
        }
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

    /// Publishes one frame, stamped at both ends; gives the nanoseconds that the publish call took.
    pub(super) fn publish_one(&self) -> Result<u64, Error> {
        let mut frame = self
            .pool
            .acquire()
            .ok_or("no buffer is free: the budget does not hold")?;
        stamp(&mut frame, self.publisher.newest_seq() + 1);
        let meta = FrameMeta {
            capture_ns: monotonic_ns(),
            clock_source: ClockSource::Arrival,
            ..FrameMeta::default()
        };
        let before = monotonic_ns();
        frame.publish(&self.publisher, meta)?;
        Ok(monotonic_ns() - before)
    }

    /// Publishes `count` frames, `fps` a second; `before` is called ahead of each with its number.
    pub(super) fn publish(
        &self,
        count: u64,
        fps: u32,
        mut before: impl FnMut(u64) -> Result<(), Error>,
    ) -> Result<Stretch, Error> {
        // Written once up front: what this process gains in memory is then the bus's.
        let mut publish_ns = vec![u64::MAX; count as usize];
        let mut published_ns = vec![u64::MAX; count as usize];
        let (start, cpu) = (Instant::now(), process_cpu());
        let start_ns = monotonic_ns();
        for n in 0..count {
            before(n)?;
            sleep_until(start + due(n, fps));
            publish_ns[n as usize] = self.publish_one()?;
            published_ns[n as usize] = monotonic_ns() - start_ns;
        }
        Ok(Stretch {
            published: count,
            cpu: process_cpu().saturating_sub(cpu),
            publish_ns,
            start_ns,
            published_ns,
            seconds: start.elapsed().as_secs_f64(),
        })
    }

    /// CPU time of pacing and filling in `count` frames that are not published: what of a stretch is not the bus's.
    pub(super) fn only_pace(&self, count: u64, fps: u32) -> Result<Duration, Error> {
        let (start, cpu) = (Instant::now(), process_cpu());
        for n in 0..count {
            sleep_until(start + due(n, fps));
            let mut frame = self.pool.acquire().ok_or("no buffer is free")?;
            stamp(&mut frame, n);
        }
        Ok(process_cpu().saturating_sub(cpu))
    }

    /// Waits until `count` subscribers are there.
    pub(super) fn wait_for(&self, count: usize) -> Result<(), Error> {
        let deadline = Instant::now() + Duration::from_mins(1);
        while self.publisher.stats().subscribers.len() != count {
            if Instant::now() > deadline {
                return Err(format!("{count} subscribers did not come within a minute").into());
            }
            thread::sleep(LOOK);
        }
        Ok(())
    }

    /// Waits until the subscribers whose names start so have taken what is on offer: the end of the stream would take the
    /// last frame from them.
    pub(super) fn wait_until_taken(&self, names: &str) -> Result<(), Error> {
        let deadline = Instant::now() + Duration::from_secs(20);
        let open = || {
            let subscribers = self.publisher.stats().subscribers;
            let of_interest = subscribers.iter().filter(|s| s.name.starts_with(names));
            of_interest
                .map(|s| s.counters)
                .map(|c| c.offered - c.claimed - c.recalled)
                .sum::<u64>()
        };
        while open() > 0 {
            if Instant::now() > deadline {
                return Err("a subscriber did not take the last frame within 20 s".into());
            }
            thread::sleep(LOOK);
        }
        Ok(())
    }
}

/// Between two looks at the books.
const LOOK: Duration = Duration::from_millis(1);

/// When frame `n` of a pace is due, from the pace's start.
pub(super) fn due(n: u64, fps: u32) -> Duration {
    Duration::from_secs_f64(n as f64 / f64::from(fps))
}

/// Pacing: a camera's frame would come then.
pub(super) fn sleep_until(then: Instant) {
    thread::sleep(then.saturating_duration_since(Instant::now()));
}

fn stamp(frame: &mut PoolFrame, value: u64) {
    let bytes = frame.bytes_mut();
    let last = bytes.len() - 8;
    bytes[..8].copy_from_slice(&value.to_le_bytes());
    bytes[last..].copy_from_slice(&value.to_le_bytes());
}

/// CPU time of this process, user and system.
pub(super) fn process_cpu() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(now.tv_sec.cast_unsigned(), now.tv_nsec as u32)
}

/// Resident memory of this process in KiB, exactly: `smaps_rollup` counts pages, where `VmRSS` may lag behind (proc(5)).
pub(super) fn resident_kib() -> Result<u64, Error> {
    let rollup = fs::read_to_string("/proc/self/smaps_rollup")?;
    let line = rollup
        .lines()
        .find_map(|l| l.strip_prefix("Rss:"))
        .ok_or("no Rss in smaps_rollup")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// Open descriptors of this process.
pub(super) fn open_fds() -> Result<usize, Error> {
    Ok(fs::read_dir("/proc/self/fd")?.count())
}

/// Inode behind a descriptor.
pub(super) fn inode(fd: BorrowedFd<'_>) -> Result<u64, Error> {
    Ok(rustix::fs::fstat(fd.as_fd())?.st_ino)
}
