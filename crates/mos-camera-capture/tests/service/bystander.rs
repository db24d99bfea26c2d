//! A subscriber of the camera that nothing is done to: it must not notice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use mos_frame::SubscriberStats;
use mos_testkit::wait_until;

use crate::harness::{PATIENCE, Service};

/// Frames that have to arrive to show that a stream goes on.
const SOME: u64 = 15;

/// Longest time between the captures of two frames that arrive one after the other. At 30 frames a second it is 33 ms;
/// this is what a loaded machine of two cores keeps, and less than any time-out of a camera or of the service.
const LONGEST_GAP: Duration = Duration::from_secs(3);

/// Reads the frames of the stream `other` in a thread of its own.
#[derive(Debug)]
pub(crate) struct Bystander {
    seen: Arc<AtomicU64>,
    end: Arc<AtomicBool>,
    thread: Option<JoinHandle<Seen>>,
}

/// What arrived.
#[derive(Debug, Default)]
struct Seen {
    stats: SubscriberStats,
    last_capture_ns: Option<u64>,
    longest_gap: Duration,
}

impl Seen {
    fn frame(&mut self, capture_ns: u64) {
        let gap = self
            .last_capture_ns
            .map_or(0, |last| capture_ns.saturating_sub(last));
        self.longest_gap = self.longest_gap.max(Duration::from_nanos(gap));
        self.last_capture_ns = Some(capture_ns);
    }
}

impl Bystander {
    /// Subscribes to `other` once it streams, and reads on.
    pub(crate) async fn watch(service: &Service) -> Self {
        service
            .wait_state("other", mos_camera_api::v1::State::Streaming)
            .await;
        let mut subscriber = service.subscribe("other", "bystander");
        let (seen, end) = (
            Arc::new(AtomicU64::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let thread = std::thread::spawn({
            let (seen, end) = (Arc::clone(&seen), Arc::clone(&end));
            move || {
                let mut all = Seen::default();
                while !end.load(Ordering::Relaxed) {
                    let wait = Duration::from_millis(100);
                    if let Some(frame) = subscriber.next_timeout(wait).unwrap() {
                        all.frame(frame.meta().capture_ns);
                        seen.fetch_add(1, Ordering::Relaxed);
                    }
                }
                all.stats = subscriber.stats();
                all
            }
        });
        Self {
            seen,
            end,
            thread: Some(thread),
        }
    }

    /// Frames go on arriving.
    pub(crate) fn goes_on(&self) {
        let before = self.seen.load(Ordering::Relaxed);
        wait_until("frames of the other camera", PATIENCE, || {
            (self.seen.load(Ordering::Relaxed) >= before + SOME).then_some(())
        })
        .unwrap();
    }

    /// Frames went on arriving all the time: the connection was never lost, and the camera never stood still.
    pub(crate) fn did_not_notice(mut self) {
        self.goes_on();
        self.end.store(true, Ordering::Relaxed);
        let Seen {
            stats, longest_gap, ..
        } = self.thread.take().unwrap().join().unwrap();
        assert_eq!(
            stats.reconnects, 0,
            "the other camera's stream broke off: {stats:?}"
        );
        assert!(
            longest_gap < LONGEST_GAP,
            "the other camera stood still for {longest_gap:?}; {} frames missed: {stats:?}",
            stats.missed
        );
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
    }
}
