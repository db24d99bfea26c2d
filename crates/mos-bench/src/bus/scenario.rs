//! Three healthy subscribers while a fourth misbehaves: it is stopped, slow or killed; beside it a run where it does not.

use std::fmt;
use std::time::Duration;

use rustix::process::Signal;
use serde::Serialize;

use super::process::Process;
use super::producer::{Place, Producer, Shape, Stretch, open_fds, resident_kib};
use super::subscriber::{self, Seen};
use crate::contender::{Error, Second};
use crate::stats::Times;

pub(super) const FPS: u32 = 60;
const HEALTHY: u32 = 3;
/// Frames before anything is measured or done.
const WARM_UP: u64 = 60;
/// What a slow subscriber does with each frame: six frames' time.
const SLOW_MS: &str = "100";

/// What the fourth subscriber does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// Nothing special.
    Control,
    /// SIGSTOP for the whole run.
    Stopped,
    /// It works for six frames' time on each frame.
    Slow,
    /// SIGKILL after a third of the run.
    Killed,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Control => "control",
            Self::Stopped => "one stopped",
            Self::Slow => "one slow",
            Self::Killed => "one killed",
        })
    }
}

/// What a run came to.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Outcome {
    pub(super) kind: Kind,
    pub(super) seconds: u32,
    pub(super) fps: u32,
    pub(super) healthy_subscribers: u32,
    pub(super) published: u64,
    pub(super) producer_fps: f64,
    /// Frames that the healthy subscribers did not get, summed.
    pub(super) lost: u64,
    /// Frames overwritten while somebody held them, the misbehaving one included.
    pub(super) torn: u64,
    /// Subscribers that were cut off.
    pub(super) evicted: u64,
    /// Publish calls.
    pub(super) publish: Times,
    /// Wake-up of the healthy subscribers.
    pub(super) wake: Times,
    /// Producer's growth over the run.
    pub(super) rss_growth_kib: i64,
    pub(super) fd_growth: i64,
}

/// One run of `seconds`, at 60 frames of 1080p a second.
pub(super) fn run(kind: Kind, seconds: u32) -> Result<Outcome, Error> {
    let place = Place::new()?;
    let producer = Producer::new(&place.path, Shape::for_subscribers(Shape::HD, HEALTHY + 1))?;
    let healthy = subscriber::start_many(&place.path, "healthy", HEALTHY, &["--check"])?;
    let extra: &[&str] = match kind {
        Kind::Slow => &["--check", "--work-ms", SLOW_MS],
        _ => &["--check"],
    };
    let mut victim = Some(Process::start(&subscriber::arguments(
        &place.path,
        "victim",
        extra,
    ))?);
    producer.wait_for(HEALTHY as usize + 1)?;
    let warm_up = producer.publish(WARM_UP, FPS, |_| Ok(()))?;
    if let (Kind::Stopped, Some(victim)) = (kind, &victim) {
        victim.signal(Signal::STOP)?;
    }
    let (rss, fds) = (resident_kib()?, open_fds()?);
    let count = u64::from(seconds * FPS);
    let stretch = producer.publish(count, FPS, |n| {
        if kind == Kind::Killed
            && n == count / 3
            && let Some(victim) = victim.take()
        {
            victim.kill()?;
        }
        Ok(())
    })?;
    let (rss_after, fds_after) = (resident_kib()?, open_fds()?);
    let evicted = producer.publisher.stats().evicted;
    if let (Kind::Stopped, Some(victim)) = (kind, &victim) {
        victim.signal(Signal::CONT)?;
    }
    producer.wait_until_taken("healthy")?;
    drop(producer);
    let seen = subscriber::finish_all(healthy)?;
    let misbehaved: Option<Seen> = victim.map(Process::finish).transpose()?;
    let published = warm_up.published + stretch.published;
    let wake: Vec<u64> = seen.iter().flat_map(|s| &s.wake_ns).copied().collect();
    Ok(Outcome {
        kind,
        seconds,
        fps: FPS,
        healthy_subscribers: HEALTHY,
        published,
        producer_fps: stretch.published as f64 / stretch.seconds,
        lost: seen
            .iter()
            .map(|s| published.saturating_sub(s.frames).max(s.missed))
            .sum(),
        torn: seen.iter().chain(&misbehaved).map(|s| s.torn).sum(),
        evicted,
        publish: Times::of(&stretch.publish_ns),
        wake: Times::of(&wake),
        // An old descriptor of the killed one goes: that is no growth either.
        rss_growth_kib: rss_after as i64 - rss as i64,
        fd_growth: fds_after as i64 - fds as i64,
    })
}

/// Frames of each full second: what the producer published, and what the worst of the subscribers got.
pub(super) fn timeline(stretch: &Stretch, seen: &[Seen]) -> Vec<Second> {
    let second = Duration::from_secs(1).as_nanos() as u64;
    let full = stretch.seconds.round() as usize;
    let bin = |times: &mut dyn Iterator<Item = u64>| {
        let mut bins = vec![0_u64; full];
        for time in times {
            if let Some(bin) = bins.get_mut((time / second) as usize) {
                *bin += 1;
            }
        }
        bins
    };
    let produced = bin(&mut stretch.published_ns.iter().copied());
    let got: Vec<Vec<u64>> = seen
        .iter()
        .map(|s| {
            bin(&mut s
                .arrived_ns
                .iter()
                .filter_map(|t| t.checked_sub(stretch.start_ns)))
        })
        .collect();
    (0..full)
        .map(|n| Second {
            produced: produced[n],
            healthy: got.iter().map(|bins| bins[n]).min().unwrap_or_default(),
        })
        .collect()
}

impl Outcome {
    /// A line for people.
    pub(super) fn line(&self) -> String {
        format!(
            "  {:<12} {} frames at {:.2} a second, {} lost, {} torn, {} evicted; publish p50 {:.1} us, p99.9 {:.0} us; \
             wake p50 {:.0} us, p99 {:.0} us; memory {:+} KiB, descriptors {:+}",
            self.kind.to_string(),
            self.published,
            self.producer_fps,
            self.lost,
            self.torn,
            self.evicted,
            self.publish.p50_us,
            self.publish.p999_us,
            self.wake.p50_us,
            self.wake.p99_us,
            self.rss_growth_kib,
            self.fd_growth,
        )
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_timeline_counts_the_worst_subscriber_and_no_warm_up() {
        let second = 1_000_000_000;
        let stretch = Stretch {
            published: 4,
            cpu: Duration::ZERO,
            publish_ns: vec![],
            start_ns: 100,
            published_ns: vec![0, second / 2, second, second + 1],
            seconds: 2.01,
        };
        let seen = |arrived_ns: Vec<u64>| Seen {
            frames: 0,
            missed: 0,
            torn: 0,
            cpu_ns: 0,
            wake_ns: vec![],
            arrived_ns,
            inodes: BTreeSet::new(),
        };
        let both = [
            seen(vec![50, 100, 101 + second / 2, 100 + second]),
            seen(vec![100, 102 + second, 103 + second, 100 + 2 * second]),
        ];
        let expected = [(2, 1), (2, 1)].map(|(produced, healthy)| Second { produced, healthy });
        assert_eq!(timeline(&stretch, &both), expected);
    }
}
