//! From `StartCapture` to the first frame on the bus, of a camera that runs on its own with a key frame a second.

use std::time::{Duration, Instant};

use mos_testkit::RtspServerOptions;
use rustix::time::{ClockId, clock_gettime};

use super::site::{self, PATIENCE};
use super::viewer::Viewer;
use super::{Extent, Findings, quantile};
use crate::bench::bars::Bar;
use crate::bench::cameras::pause;
use crate::error::Error;
use crate::ui::Step;

const STREAM: &str = "cam";
const RATE: u32 = 30;
const BAR_S: f64 = 1.3;

pub(super) fn measure(extent: &Extent) -> Result<Findings, Error> {
    let server = site::server(
        RtspServerOptions {
            fps: RATE,
            key_int: RATE,
            shared: true,
            ..RtspServerOptions::default()
        },
        extent.profile,
    )?;
    // Somebody else watches all the time, so that the camera's key frames come when they come.
    let cameras = ["other", STREAM].map(|name| site::camera(name, server.url(0), 100));
    let mut service = site::service(extent, &cameras, "first-frame")?;
    let ctl = service.ctl();
    site::wait_for(&ctl, &mut service, "streaming", |all| {
        !all.is_empty() && all.iter().all(crate::rig::ctl::Stream::streams)
    })?;
    ctl.run(&["stop", STREAM])?;
    let viewer = Viewer::start(extent.profile, &ctl, STREAM, false)?;
    let mut step = Step::begin(format!("{} starts", extent.starts));
    let mut took = Vec::new();
    for start in 0..extent.starts {
        // Golden steps through the second between two key frames: each start meets another part of it.
        pause(
            Duration::from_secs(1) + Duration::from_secs(1).mul_f64(f64::from(start) * 0.618 % 1.0),
        )?;
        drop(viewer.take()?);
        let before = now_ns();
        ctl.run(&["start", STREAM])?;
        let first = first_frame(&viewer)?;
        took.push(first.saturating_sub(before) as f64 / 1e9);
        ctl.run(&["stop", STREAM])?;
        step.tick(&format!("{start} done"));
    }
    step.end("done");
    service.stop()?;
    let mut findings = Findings::new("first-frame");
    findings.bars = vec![Bar::at_most(
        "StartCapture to first frame, s, p95",
        quantile(&took, 0.95),
        BAR_S,
    )];
    findings.fact(
        "starts",
        format!(
            "{}: least {:.2} s, median {:.2} s, longest {:.2} s; the start of mosctl is within",
            took.len(),
            quantile(&took, 0.0),
            quantile(&took, 0.5),
            quantile(&took, 1.0)
        ),
    );
    findings.fact("camera", format!("640x480 at {RATE} fps, H.264 with a key frame every {RATE} frames, RTSP over TCP, latency 100 ms"));
    Ok(findings)
}

/// When the next frame was published.
fn first_frame(viewer: &Viewer) -> Result<u64, Error> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Some(frame) = viewer.take()?.first() {
            return Ok(frame.publish_ns);
        }
        pause(Duration::from_millis(10))?;
    }
    Err(Error::NotMet(
        "no frame within a minute of a start".to_owned(),
    ))
}

fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec.cast_unsigned() * 1_000_000_000 + now.tv_nsec.cast_unsigned()
}
