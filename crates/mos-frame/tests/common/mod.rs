//! What the bus tests share: a stream in a folder of its own, with stamped frames.

#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(unreachable_pub, clippy::unwrap_used, reason = "support of tests")]

pub mod own;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use mos_frame::{
    Budget, Format, Frame, FrameMeta, MemfdPool, PoolFrame, Publisher, PublisherOptions,
    Subscriber, SubscriberInfo, SubscriberOptions,
};

/// Generous: only a hang reaches it.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub struct Stream {
    pub publisher: Publisher<PoolFrame>,
    pub pool: MemfdPool,
    pub path: PathBuf,
    _dir: tempfile::TempDir,
}

impl Stream {
    pub fn new(buffers: u32) -> Self {
        Self::with(buffers, PublisherOptions::default())
    }

    pub fn with(buffers: u32, mut options: PublisherOptions) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = mos_frame::socket_path(dir.path(), "test");
        options.budget = Budget {
            slots: buffers,
            in_flight: 1,
            fences: 0,
        };
        let publisher = Publisher::bind(&path, options).unwrap();
        let pool = make_pool(&publisher, 64, 48, buffers as usize);
        Self {
            publisher,
            pool,
            path,
            _dir: dir,
        }
    }

    pub fn subscribe(&self, window: u32, hold: u32) -> Subscriber {
        Subscriber::connect(
            &self.path,
            SubscriberOptions {
                window,
                hold,
                ..Default::default()
            },
        )
        .unwrap()
    }

    /// Publishes one frame whose first and last bytes carry its sequence.
    pub fn publish(&self) -> u64 {
        publish_stamped(&self.publisher, &self.pool)
    }

    pub fn burst(&self, count: usize) {
        (0..count).for_each(|_| {
            self.publish();
        });
    }

    pub fn info(&self) -> Vec<SubscriberInfo> {
        self.publisher.stats().subscribers
    }

    /// Waits until the producer knows of `count` subscribers.
    pub fn wait_for_subscribers(&self, count: usize) {
        wait_until(&format!("{count} subscribers"), || {
            self.info().len() == count
        });
    }
}

pub fn make_pool(
    publisher: &Publisher<PoolFrame>,
    width: u32,
    height: u32,
    count: usize,
) -> MemfdPool {
    let format = Format::nv12_memfd(width, height, (30, 1));
    publisher.set_format(format.clone());
    MemfdPool::new(publisher, &format, count).unwrap()
}

pub fn publish_stamped(publisher: &Publisher<PoolFrame>, pool: &MemfdPool) -> u64 {
    let seq = publisher.newest_seq() + 1;
    let mut frame = acquire(pool);
    let bytes = frame.bytes_mut();
    let end = bytes.len() - 8;
    bytes[..8].copy_from_slice(&seq.to_le_bytes());
    bytes[end..].copy_from_slice(&seq.to_le_bytes());
    assert_eq!(frame.publish(publisher, FrameMeta::default()).unwrap(), seq);
    seq
}

/// The buffer that the budget keeps free: it is there, or in the hand of the control thread, which is about to let go of it.
fn acquire(pool: &MemfdPool) -> PoolFrame {
    let mut free = None;
    wait_until("the buffer that the budget keeps free", || {
        free = pool.acquire();
        free.is_some()
    });
    free.unwrap()
}

/// The sequence that is stamped into the pixels.
pub fn stamp(frame: &Frame) -> (u64, u64) {
    let map = frame.map().unwrap();
    let (first, last) = (map.plane(0).unwrap(), map.plane(1).unwrap());
    let word = |b: &[u8]| u64::from_le_bytes(b.try_into().unwrap());
    (word(&first[..8]), word(&last[last.len() - 8..]))
}

pub fn assert_whole(frame: &Frame) {
    assert_eq!(
        stamp(frame),
        (frame.seq(), frame.seq()),
        "the frame was overwritten while it was held"
    );
}

/// Looks again and again, with a pause that is no substitute for the event: what is waited for is another process's or
/// thread's doing and has no descriptor to wait on.
pub fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::yield_now();
    }
}
