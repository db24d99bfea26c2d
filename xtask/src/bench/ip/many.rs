//! 16 cameras at once.

use mos_testkit::RtspServerOptions;

use super::site;
use super::{Extent, Findings};
use crate::bench::bars::Bar;
use crate::bench::cameras;
use crate::error::Error;

const COUNT: u32 = 16;
const RATE: u32 = 15;
/// Full rate, less what start and end of the measurement can cost.
const FULL_RATE: f64 = 14.9;

pub(super) fn measure(extent: &Extent) -> Result<Findings, Error> {
    // One encoder for all: what is measured is who receives and decodes 16 times, not who paints and encodes 16 times.
    let server = site::server(
        RtspServerOptions {
            size: (640, 360),
            fps: RATE,
            key_int: RATE,
            bitrate: 1024,
            shared: true,
            ..RtspServerOptions::default()
        },
        extent.profile,
    )?;
    let names: Vec<_> = (0..COUNT).map(|number| format!("cam{number:02}")).collect();
    let of = |name: &String| site::camera(name, server.url(0), 100);
    let list: Vec<_> = names.iter().map(of).collect();
    let mut service = site::service(extent, &list, "many")?;
    let seconds = extent.seconds(20, 60);
    let (figures, cost) = cameras::measure(&names, seconds, &mut service)?;
    service.stop()?;
    let slowest = figures
        .iter()
        .map(|camera| camera.figures.fps)
        .fold(f64::NAN, f64::min);
    let drops: u64 = figures.iter().map(|camera| camera.figures.drops).sum();
    let mut findings = Findings::new("many");
    findings.bars = vec![
        Bar::at_least("fps of the slowest of 16 cameras", slowest, FULL_RATE),
        Bar::at_most("drops at depth 2, all cameras", drops as f64, 0.0),
    ];
    findings.fact(
        "run",
        format!("640x360 at {RATE} fps, RTSP over TCP, H.264 decoded in software, {seconds} s"),
    );
    findings.fact("service", format!("{:.0} % of one core", cost.cpu_percent));
    Ok(findings)
}
