//! The times of frames against what the camera itself says about the frame of that number, over a wire with jitter.

use std::time::{Duration, Instant};

use mos_testkit::{RtspServer, RtspServerOptions};

use super::proxy::{Manner, Proxy};
use super::site;
use super::viewer::{Frame, Viewer};
use super::{Extent, Findings, quantile};
use crate::bench::bars::Bar;
use crate::bench::cameras::{run_for, wait_for_all};
use crate::error::Error;
use crate::ui::Step;

const STREAM: &str = "cam";
const JITTER: Duration = Duration::from_millis(50);
const BAR_MS: f64 = 5.0;

pub(super) fn measure(extent: &Extent) -> Result<Findings, Error> {
    let server = site::server(
        RtspServerOptions {
            counter: true,
            times: true,
            ..RtspServerOptions::default()
        },
        extent.profile,
    )?;
    let proxy = Proxy::start(server.port(), Manner { jitter: JITTER })?;
    let cameras = [site::camera(STREAM, proxy.url("/cam0"), 100)];
    let mut service = site::service(extent, &cameras, "clocks")?;
    let ctl = service.ctl();
    wait_for_all(&ctl, &mut service, 1)?;
    let viewer = Viewer::start(extent.profile, &ctl, STREAM, true)?;

    let time = extent.time(40, 600);
    let mut step = Step::begin(format!("clocks for {} s", time.as_secs()));
    let (mut frames, began) = (Vec::new(), Instant::now());
    while began.elapsed() < time {
        run_for(Duration::from_secs(1), &mut service, &mut step, "measuring")?;
        frames.extend(viewer.take()?);
        drop(proxy.take());
    }
    step.end("done");
    service.stop()?;
    Ok(findings(&server, &frames, time))
}

/// What is wrong with a frame's times, in milliseconds.
struct Apart {
    wall: f64,
    capture: f64,
    bound: f64,
}

fn apart(server: &RtspServer, frame: &Frame) -> Option<Apart> {
    let truth = server.time_of(frame.counter?)?;
    let ms = |ours: u64, theirs: u64| (ours as f64 - theirs as f64) / 1e6;
    Some(Apart {
        wall: ms(frame.wall_ns?, truth.wall_ns),
        capture: ms(frame.capture_ns, truth.monotonic_ns),
        bound: f64::from(frame.error_ns) / 1e6,
    })
}

fn findings(server: &RtspServer, frames: &[Frame], time: Duration) -> Findings {
    let apart: Vec<_> = frames
        .iter()
        .filter_map(|frame| apart(server, frame))
        .collect();
    let of = |field: fn(&Apart) -> f64| apart.iter().map(field).collect::<Vec<_>>();
    let wall = of(|a| a.wall.abs());
    let way = quantile(&of(|a| a.capture), 0.0);
    let placed: Vec<_> = apart.iter().map(|a| a.capture - way).collect();
    let within = apart
        .iter()
        .filter(|a| a.bound > 0.0 && a.capture - way <= a.bound)
        .count();
    let bounded = apart.iter().filter(|a| a.bound > 0.0).count();
    let mut sources: Vec<_> = frames.iter().map(|frame| frame.clock.as_str()).collect();
    sources.dedup();
    let mut findings = Findings::new("clocks");
    findings.bars = vec![
        Bar::at_most(
            "time of day against the camera's, ms, p99",
            quantile(&wall, 0.99),
            BAR_MS,
        ),
        Bar::at_most(
            "capture time, less the shortest way, ms, p99",
            quantile(&placed, 0.99),
            BAR_MS,
        ),
    ];
    findings.fact(
        "frames",
        format!("{} of {} with a time of day", apart.len(), frames.len()),
    );
    findings.fact("clock sources, in order", sources.join(", "));
    findings.fact(
        "time of day",
        format!(
            "p50 {:.3} ms, longest {:.3} ms",
            quantile(&wall, 0.5),
            quantile(&wall, 1.0)
        ),
    );
    findings.fact(
        "capture time",
        format!(
            "shortest way {way:.2} ms; p50 {:.2} ms, longest {:.2} ms above it",
            quantile(&placed, 0.5),
            quantile(&placed, 1.0)
        ),
    );
    findings.fact(
        "error bound told",
        format!(
            "p50 {:.2} ms; holds for {within} of {bounded} frames",
            quantile(&of(|a| a.bound), 0.5)
        ),
    );
    findings.fact(
        "run",
        format!(
            "640x480 at 30 fps, RTSP over TCP, each frame held 0 to {} ms, {} s",
            JITTER.as_millis(),
            time.as_secs()
        ),
    );
    findings
}
