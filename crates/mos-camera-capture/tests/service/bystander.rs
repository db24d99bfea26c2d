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

/// Reads the frames of the stream `other` in a thread of its own.
#[derive(Debug)]
pub(crate) struct Bystander {
    seen: Arc<AtomicU64>,
    end: Arc<AtomicBool>,
    thread: Option<JoinHandle<SubscriberStats>>,
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
                while !end.load(Ordering::Relaxed) {
                    if subscriber
                        .next_timeout(Duration::from_millis(100))
                        .unwrap()
                        .is_some()
                    {
                        seen.fetch_add(1, Ordering::Relaxed);
                    }
                }
                subscriber.stats()
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

    /// Frames went on arriving all the time: the connection was never lost.
    pub(crate) fn did_not_notice(mut self) {
        self.goes_on();
        self.end.store(true, Ordering::Relaxed);
        let stats = self.thread.take().unwrap().join().unwrap();
        assert_eq!(
            stats.reconnects, 0,
            "the other camera's stream broke off: {stats:?}"
        );
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
    }
}
