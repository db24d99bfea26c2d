//! Many pluggings while another camera streams.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use mos_camera_api::v1::State;
use mos_frame::{Frame, Subscriber, SubscriberOptions};
use mos_testkit::wait_until;
use mos_virtual_uvc::{Camera, CameraConfig, FormatKind};

use crate::harness::PATIENCE;
use crate::rig::{Rig, camera};

/// Cycles if `MOS_UVC_CYCLES` does not say another number.
const CYCLES: u32 = 30;
/// Until everything has happened once: registries, caches, pools.
const WARM_UP: u32 = 5;
const STREAM: &str = "cycles";
/// Looks in a row that find the same number of descriptors.
const STILL: u32 = 50;
const RSS_GROWTH_KIB: u64 = 2048;

pub(crate) async fn pluggings_cost_another_camera_no_frame_and_the_service_no_memory_and_no_descriptors(
    rig: &Rig,
) {
    let cycles = std::env::var("MOS_UVC_CYCLES").map_or(CYCLES, |text| text.parse().unwrap());
    let start = rig.told.mark();
    let config = camera(Some("Z1"), FormatKind::Nv12);
    let first = Camera::plug(&config).unwrap();
    rig.told.added(start).await;
    rig.stream(STREAM, "usb:1d6b:0102:Z1").await;
    drop(first);
    for cycle in 0..WARM_UP {
        one(rig, &config, cycle).await;
    }
    let before = Footprint::of(rig).await;
    let counter = Counter::start(rig);
    for cycle in 0..cycles {
        one(rig, &config, cycle).await;
    }
    let seen = counter.stop();
    let after = Footprint::of(rig).await;
    println!(
        "{cycles} pluggings: the other camera's {} frames, {:?} lost (on the bus, before it); memory {} KiB, then {}; descriptors {}, then {}; threads {}, then {}",
        seen.frames,
        seen.lost(),
        before.rss_kib,
        after.rss_kib,
        before.fds,
        after.fds,
        before.threads,
        after.threads
    );
    assert!(seen.frames > 0);
    assert_eq!(seen.lost(), (0, 0));
    assert!(
        after.rss_kib < before.rss_kib + RSS_GROWTH_KIB,
        "{before:?}, then {after:?}"
    );
    assert_eq!(after.fds, before.fds);
    // The runtime's threads for what blocks come and go by themselves.
    assert!(
        after.threads <= before.threads + 2,
        "{before:?}, then {after:?}"
    );
    rig.other_is_untouched().await;
}

/// Plugs it in, in ever other ports, waits for its frames, unplugs it.
async fn one(rig: &Rig, config: &CameraConfig, cycle: u32) {
    let mark = rig.told.mark();
    let camera = Camera::plug(&CameraConfig {
        port: Some((cycle % 4) as u8),
        ..config.clone()
    })
    .unwrap();
    rig.told.state(mark, STREAM, State::Streaming).await;
    let mark = rig.told.mark();
    camera.unplug().unwrap();
    rig.told.state(mark, STREAM, State::Absent).await;
}

/// What the service's process costs.
#[derive(Debug)]
struct Footprint {
    rss_kib: u64,
    fds: usize,
    threads: usize,
}

impl Footprint {
    /// Once nothing of the last pipeline is left.
    async fn of(rig: &Rig) -> Self {
        rig.service
            .wait_for(STREAM, "end of the pipeline", |status| {
                status.plan.is_none()
            })
            .await;
        let process = format!("/proc/{}", rig.service.pid().as_raw_nonzero().get());
        let status = fs::read_to_string(format!("{process}/status")).unwrap();
        let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let entries = |what: &str| fs::read_dir(format!("{process}/{what}")).unwrap().count();
        // This test's own connections to the service end a little later: once the number stands still they have.
        let mut fds = (entries("fd"), 0);
        let settled = wait_until("number of descriptors that stands still", PATIENCE, || {
            let now = entries("fd");
            fds = if now == fds.0 {
                (now, fds.1 + 1)
            } else {
                (now, 0)
            };
            (fds.1 == STILL).then_some(now)
        });
        Self {
            rss_kib: rss.unwrap().trim().trim_end_matches(" kB").parse().unwrap(),
            fds: settled.unwrap(),
            threads: entries("task"),
        }
    }
}

/// Counts the frames of the other camera, and those that are missing: on the bus by sequence, at the driver by time.
struct Counter {
    stop: Arc<AtomicBool>,
    thread: thread::JoinHandle<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    frames: u64,
    /// Number on the bus and capture time in nanoseconds of the first and the last.
    first: Option<(u64, u64)>,
    last: (u64, u64),
}

impl Seen {
    const INTERVAL_NS: u64 = 200_000_000;

    fn take(&mut self, frame: &Frame) {
        let now = (frame.seq(), frame.meta().capture_ns);
        self.frames += 1;
        self.first.get_or_insert(now);
        self.last = now;
    }

    /// Frames that are missing: on the bus by their numbers, and before it by the time, of which every interval gives one. A
    /// frame that is only late, as an emulated guest makes them, is not lost: the driver keeps to its schedule.
    fn lost(&self) -> (u64, u64) {
        let first = self.first.unwrap_or_default();
        let on_the_bus = self.last.0 - first.0 + 1 - self.frames;
        let intervals = (self.last.1 - first.1 + Self::INTERVAL_NS / 2) / Self::INTERVAL_NS;
        let sent = self.last.0 - first.0;
        (on_the_bus, intervals.saturating_sub(sent))
    }
}

impl Counter {
    fn start(rig: &Rig) -> Self {
        let options = SubscriberOptions {
            name: "counter".to_owned(),
            window: 8,
            ..SubscriberOptions::default()
        };
        let mut frames =
            Subscriber::connect(&rig.service.home.bus_socket("other"), options).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut seen = Seen::default();
            while !asked.load(Ordering::Relaxed) {
                if let Some(frame) = frames.next_timeout(Duration::from_secs(1)).unwrap() {
                    seen.take(&frame);
                }
            }
            seen
        });
        Self { stop, thread }
    }

    fn stop(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}
