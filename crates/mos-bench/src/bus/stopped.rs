//! One subscriber is stopped (SIGSTOP) while three others go on; beside it the same run without that.

use rustix::process::Signal;
use serde::Serialize;

use super::producer::{Producer, open_fds, resident_kib};
use super::subscriber::{Process, Seen};
use super::{Error, Place};
use crate::report::Bar;

const FPS: u32 = 60;
const HEALTHY: u32 = 3;
/// Frames before anything is measured or stopped.
const WARM_UP: u64 = 60;

#[derive(Debug, Serialize)]
pub(super) struct Figures {
    seconds: u32,
    fps: u32,
    healthy_subscribers: u32,
    with: Outcome,
    control: Outcome,
}

#[derive(Debug, Serialize)]
struct Outcome {
    published: u64,
    producer_fps: f64,
    /// Frames that the healthy subscribers did not get.
    lost: u64,
    torn: u64,
    publish_p50_us: f64,
    publish_p999_us: f64,
    wake_p50_us: f64,
    wake_p99_us: f64,
    rss_growth_kib: i64,
    fd_growth: i64,
    /// Subscribers that were cut off.
    evicted: u64,
}

impl Outcome {
    fn print(&self, name: &str) {
        println!(
            "  {name}: {} frames at {:.2} a second, {} lost, {} torn; publish p50 {:.0} us, p99.9 {:.0} us; \
             wake p50 {:.0} us, p99 {:.0} us; memory {:+} KiB, descriptors {:+}",
            self.published,
            self.producer_fps,
            self.lost,
            self.torn,
            self.publish_p50_us,
            self.publish_p999_us,
            self.wake_p50_us,
            self.wake_p99_us,
            self.rss_growth_kib,
            self.fd_growth,
        );
    }
}

impl Figures {
    pub(super) fn bars(&self) -> Vec<Bar> {
        let (with, control) = (&self.with, &self.control);
        vec![
            Bar::at_most(
                "frames lost at healthy subscribers, one stopped",
                with.lost as f64,
                0.0,
            ),
            Bar::at_most(
                "frames lost at healthy subscribers, control run",
                control.lost as f64,
                0.0,
            ),
            Bar::at_most(
                "producer's rate lost to one stopped subscriber (%)",
                100.0 * (1.0 - with.producer_fps / control.producer_fps).max(0.0),
                0.5,
            ),
            Bar::at_most(
                "producer's descriptors gained, one stopped",
                with.fd_growth as f64,
                0.0,
            ),
            Bar::at_most(
                "producer's memory gained over control, one stopped (KiB)",
                (with.rss_growth_kib - control.rss_growth_kib) as f64,
                256.0,
            ),
            Bar::at_most(
                "frames overwritten while held",
                (with.torn + control.torn) as f64,
                0.0,
            ),
            Bar::at_most(
                "honest subscribers evicted",
                (with.evicted + control.evicted) as f64,
                0.0,
            ),
        ]
    }
}

pub(super) fn measure(seconds: u32) -> Result<Figures, Error> {
    println!(
        "\none stopped subscriber: {seconds} s at {FPS} a second, 1080p, beside {HEALTHY} healthy ones"
    );
    let control = run(seconds, false)?;
    control.print("control");
    let with = run(seconds, true)?;
    with.print("stopped");
    Ok(Figures {
        seconds,
        fps: FPS,
        healthy_subscribers: HEALTHY,
        with,
        control,
    })
}

fn run(seconds: u32, stop: bool) -> Result<Outcome, Error> {
    let place = Place::new()?;
    let producer = Producer::new(&place.path, 1920, 1080)?;
    let healthy = (0..HEALTHY)
        .map(|n| Process::start(&place.path, &format!("healthy-{n}"), true))
        .collect::<Result<Vec<_>, _>>()?;
    let victim = Process::start(&place.path, "victim", true)?;
    producer.wait_for(HEALTHY as usize + 1)?;
    let warm_up = producer.publish(WARM_UP, FPS)?;
    if stop {
        victim.signal(Signal::STOP)?;
    }
    let (rss, fds) = (resident_kib()?, open_fds()?);
    let stretch = producer.publish(u64::from(seconds * FPS), FPS)?;
    let (rss_after, fds_after) = (resident_kib()?, open_fds()?);
    let evicted = producer.publisher.stats().evicted;
    if stop {
        victim.signal(Signal::CONT)?;
    }
    producer.wait_until_taken("healthy")?;
    drop(producer);
    let seen = healthy
        .into_iter()
        .map(Process::finish)
        .collect::<Result<Vec<_>, _>>()?;
    let resumed = victim.finish()?;
    let published = warm_up.published + stretch.published;
    let worst =
        |of: fn(&Seen) -> u64| seen.iter().map(of).max().unwrap_or_default() as f64 / 1000.0;
    Ok(Outcome {
        published,
        producer_fps: stretch.published as f64 / stretch.seconds,
        lost: seen
            .iter()
            .map(|s| published.saturating_sub(s.frames).max(s.missed))
            .sum(),
        torn: seen.iter().chain([&resumed]).map(|s| s.torn).sum(),
        publish_p50_us: stretch.publish_ns.value_at_quantile(0.5) as f64 / 1000.0,
        publish_p999_us: stretch.publish_ns.value_at_quantile(0.999) as f64 / 1000.0,
        wake_p50_us: worst(|s| s.wake_p50_ns),
        wake_p99_us: worst(|s| s.wake_p99_ns),
        rss_growth_kib: rss_after as i64 - rss as i64,
        fd_growth: fds_after as i64 - fds as i64,
        evicted,
    })
}
