//! What the service adds: from the moment that a frame's last packet leaves for it to the frame's publication.
//!
//! The wire between camera and service notes packets, and computes each frame's time of day by the camera's sender reports;
//! frames on the bus carry the same time, which is what the two are matched by.

use std::time::{Duration, Instant};

use mos_testkit::RtspServerOptions;

use super::proxy::{Manner, Proxy, Sent, timestamp};
use super::site;
use super::viewer::{Frame, Viewer};
use super::{Extent, Findings, quantile};
use crate::bench::bars::Bar;
use crate::bench::cameras::{run_for, wait_for_all};
use crate::error::Error;
use crate::rig::subscriber::Subscriber;
use crate::ui::Step;

const STREAM: &str = "cam";
const RATE: u32 = 30;
/// Two frames' time.
const BAR_MS: f64 = 2000.0 / RATE as f64;
/// What medians may differ by from the first to the last tenth of the run.
const GROWTH_MS: f64 = 5.0;
/// Of the frames with a time of day, those that a packet has to be found for.
const MATCHED: f64 = 0.95;

pub(super) fn measure(extent: &Extent) -> Result<Findings, Error> {
    let server = site::server(
        RtspServerOptions {
            size: (1280, 720),
            fps: RATE,
            key_int: RATE,
            bitrate: 4096,
            ..RtspServerOptions::default()
        },
        extent.profile,
    )?;
    let proxy = Proxy::start(server.port(), Manner::default())?;
    let cameras = [site::camera(STREAM, proxy.url("/cam0"), 0)];
    let mut service = site::service(extent, &cameras, "latency")?;
    let ctl = service.ctl();
    wait_for_all(&ctl, &mut service, 1)?;
    let viewer = Viewer::start(extent.profile, &ctl, STREAM, false)?;
    let mut slow = Subscriber::start(&ctl, STREAM, "slow", &["--work-ms", "200"])?;

    let time = extent.time(40, 600);
    let mut step = Step::begin(format!("latency for {} s", time.as_secs()));
    let (mut wire, mut frames) = (Wire::default(), Vec::new());
    let began = Instant::now();
    while began.elapsed() < time {
        run_for(Duration::from_secs(1), &mut service, &mut step, "measuring")?;
        wire.note(&proxy.take());
        frames.extend(viewer.take()?);
    }
    slow.interrupt()?;
    let slow = slow.finish(Duration::from_secs(10))?;
    step.end("done");
    service.stop()?;
    Ok(findings(&wire, &frames, time, slow.drops))
}

fn findings(wire: &Wire, frames: &[Frame], time: Duration, slow_drops: u64) -> Findings {
    let dated: Vec<_> = frames
        .iter()
        .filter(|frame| frame.wall_ns.is_some())
        .collect();
    let latencies: Vec<_> = dated
        .iter()
        .filter_map(|frame| wire.latency_ms(frame))
        .collect();
    let tenth = (latencies.len() / 10).max(1).min(latencies.len());
    let growth =
        quantile(&latencies[latencies.len() - tenth..], 0.5) - quantile(&latencies[..tenth], 0.5);
    let mut findings = Findings::new("latency");
    findings.bars = vec![
        Bar::at_most(
            "last packet to publication, ms, p99",
            quantile(&latencies, 0.99),
            BAR_MS,
        ),
        Bar::at_most(
            "growth of the median from first to last tenth, ms",
            growth,
            GROWTH_MS,
        ),
        Bar::at_least(
            "part of the dated frames that was matched",
            latencies.len() as f64 / dated.len() as f64,
            MATCHED,
        ),
    ];
    findings.fact(
        "frames",
        format!(
            "{} of {}, {} with a time of day",
            latencies.len(),
            frames.len(),
            dated.len()
        ),
    );
    findings.fact(
        "latency",
        format!(
            "p50 {:.2} ms, longest {:.2} ms",
            quantile(&latencies, 0.5),
            quantile(&latencies, 1.0)
        ),
    );
    findings.fact(
        "run",
        format!(
            "1280x720 at {RATE} fps, RTSP over TCP, latency 0, {} s",
            time.as_secs()
        ),
    );
    findings.fact(
        "slow subscriber beside",
        format!("{slow_drops} frames dropped by it alone"),
    );
    findings
}

/// What went over the wire.
#[derive(Debug, Default)]
struct Wire {
    /// The newest sender report: time of day in nanoseconds since 1970 and RTP timestamp.
    report: Option<(i64, u32)>,
    /// Time of day of each frame, and when its last packet left.
    frames: Vec<(i64, u64)>,
}

impl Wire {
    fn note(&mut self, sent: &[Sent]) {
        for packet in sent {
            match packet.channel {
                0 => self.note_media(packet),
                1 => self.report = sender_report(&packet.head).or(self.report),
                _ => {}
            }
        }
    }

    fn note_media(&mut self, packet: &Sent) {
        let last = packet.head.get(1).is_some_and(|byte| byte & 0x80 != 0);
        if let Some((rtp, (wall, at))) = timestamp(&packet.head).filter(|_| last).zip(self.report) {
            let ticks = i64::from(rtp.wrapping_sub(at).cast_signed());
            self.frames.push((wall + ticks * 100_000 / 9, packet.at_ns));
        }
    }

    /// From the frame's last packet to its publication; `None` if it was not seen on the wire.
    fn latency_ms(&self, frame: &Frame) -> Option<f64> {
        const CLOSE_NS: u64 = 3_000_000;
        let wall = i64::try_from(frame.wall_ns?).ok()?;
        let after = self.frames.partition_point(|(found, _)| *found < wall);
        let near = self.frames.get(after.saturating_sub(1)..)?.iter().take(2);
        let (found, at) = near.min_by_key(|(found, _)| found.abs_diff(wall))?;
        let close = found.abs_diff(wall) < CLOSE_NS;
        close.then(|| (frame.publish_ns as f64 - *at as f64) / 1e6)
    }
}

/// Time of day and RTP timestamp of a sender report (RFC 3550, 6.4.1).
fn sender_report(rtcp: &[u8]) -> Option<(i64, u32)> {
    const SENDER_REPORT: u8 = 200;
    const NTP_TO_UNIX: i64 = 2_208_988_800;
    let word = |at: usize| Some(u32::from_be_bytes(rtcp.get(at..at + 4)?.try_into().ok()?));
    (*rtcp.get(1)? == SENDER_REPORT).then_some(())?;
    let (seconds, fraction, rtp) = (word(8)?, word(12)?, word(16)?);
    let fraction = (u64::from(fraction) * 1_000_000_000) >> 32;
    let seconds = i64::from(seconds) - NTP_TO_UNIX;
    Some((seconds * 1_000_000_000 + i64::try_from(fraction).ok()?, rtp))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_matched_by_the_cameras_time_of_day() {
        let mut report = vec![0x80, 200, 0, 6, 0, 0, 0, 1];
        report.extend((2_208_988_800u32 + 100).to_be_bytes());
        report.extend(0x8000_0000u32.to_be_bytes());
        report.extend(90_000u32.to_be_bytes());
        let media = |marker: u8, rtp: u32, at_ns| Sent {
            at_ns,
            channel: 0,
            head: [[0x80, marker | 0x60, 0, 1], rtp.to_be_bytes()].concat(),
        };
        let mut wire = Wire::default();
        wire.note(&[
            media(0x80, 1, 1),
            Sent {
                at_ns: 2,
                channel: 1,
                head: report,
            },
            media(0, 99_000, 3_000_000),
            media(0x80, 99_000, 5_000_000),
            media(0x80, 102_000, 35_000_000),
        ]);
        let frame = |wall_ns, publish_ns| Frame {
            session: 1,
            publish_ns,
            capture_ns: 0,
            wall_ns: Some(wall_ns),
            clock: String::new(),
            error_ns: 0,
            counter: None,
        };
        assert_eq!(
            wire.latency_ms(&frame(100_600_000_100, 9_000_000)),
            Some(4.0)
        );
        assert_eq!(
            wire.latency_ms(&frame(100_633_000_000, 36_000_000)),
            Some(1.0)
        );
        assert_eq!(wire.latency_ms(&frame(100_615_000_000, 9_000_000)), None);
    }
}
