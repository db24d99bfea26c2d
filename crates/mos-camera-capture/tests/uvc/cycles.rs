//! Many pluggings while another camera streams.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use mos_camera_api::v1::State;
use mos_frame::{Frame, Subscriber, SubscriberOptions};
use mos_virtual_uvc::{Camera, CameraConfig, FormatKind};

use crate::rig::{Rig, camera, ready};

/// Cycles if `MOS_UVC_CYCLES` does not say another number.
const CYCLES: u32 = 30;
/// Until everything has happened once: registries, caches, pools.
const WARM_UP: u32 = 5;
const RSS_GROWTH_KIB: u64 = 2048;

#[tokio::test]
async fn pluggings_cost_another_camera_no_frame_and_the_service_no_memory_and_no_descriptors() {
    if !ready("pluggings_cost_another_camera_no_frame_and_the_service_no_memory_and_no_descriptors")
    {
        return;
    }
    let cycles = std::env::var("MOS_UVC_CYCLES").map_or(CYCLES, |text| text.parse().unwrap());
    let rig = Rig::start().await;
    let config = camera(Some("Z1"), FormatKind::Nv12);
    let first = Camera::plug(&config).unwrap();
    rig.told.added(0).await;
    rig.stream("usb", "usb:1d6b:0102:Z1").await;
    drop(first);
    for cycle in 0..WARM_UP {
        one(&rig, &config, cycle).await;
    }
    let before = Footprint::of(&rig).await;
    let counter = Counter::start(&rig);
    for cycle in 0..cycles {
        one(&rig, &config, cycle).await;
    }
    let seen = counter.stop();
    let after = Footprint::of(&rig).await;
    println!(
        "{cycles} pluggings: the other camera's {} frames, {} lost; memory {} KiB, then {}; descriptors {}, then {}; threads {}, then {}",
        seen.frames,
        seen.lost,
        before.rss_kib,
        after.rss_kib,
        before.fds,
        after.fds,
        before.threads,
        after.threads
    );
    assert!(seen.frames > 0);
    assert_eq!(seen.lost, 0);
    assert!(
        after.rss_kib < before.rss_kib + RSS_GROWTH_KIB,
        "{before:?}, then {after:?}"
    );
    assert_eq!((after.fds, after.threads), (before.fds, before.threads));
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
    rig.told.state(mark, "usb", State::Streaming).await;
    let mark = rig.told.mark();
    camera.unplug().unwrap();
    rig.told.state(mark, "usb", State::Absent).await;
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
            .wait_for("usb", "end of the pipeline", |status| status.plan.is_none())
            .await;
        let process = format!("/proc/{}", rig.service.pid().as_raw_nonzero().get());
        let status = fs::read_to_string(format!("{process}/status")).unwrap();
        let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let entries = |what: &str| fs::read_dir(format!("{process}/{what}")).unwrap().count();
        Self {
            rss_kib: rss.unwrap().trim().trim_end_matches(" kB").parse().unwrap(),
            fds: entries("fd"),
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
    lost: u64,
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
            let mut last: Option<(u64, u64)> = None;
            while !asked.load(Ordering::Relaxed) {
                let Some(frame) = frames.next_timeout(Duration::from_secs(1)).unwrap() else {
                    continue;
                };
                let now = stamp(&frame);
                seen.frames += 1;
                seen.lost += last.map_or(0, |last| lost_between(last, now));
                last = Some(now);
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

/// What tells of losses: the number on the bus, and the capture time in nanoseconds.
fn stamp(frame: &Frame) -> (u64, u64) {
    (frame.seq(), frame.meta().capture_ns)
}

/// Frames lost between two: on the bus, or before it where the time between them has room for more than one.
fn lost_between(last: (u64, u64), now: (u64, u64)) -> u64 {
    const INTERVAL_NS: u64 = 200_000_000;
    let on_the_bus = now.0 - last.0 - 1;
    let in_time = (now.1.saturating_sub(last.1) + INTERVAL_NS / 2) / INTERVAL_NS;
    on_the_bus.max(in_time.saturating_sub(1))
}
