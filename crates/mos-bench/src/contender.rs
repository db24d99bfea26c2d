//! What every system that is measured beside the bus has to be able to do: carry frames to subscribers once, and say what
//! that cost.
//!
//! The benchmark owns the schedule. It calls [`Contender::run`] many times, all contenders in turn and in random order, and
//! takes medians; so a contender does one run, starts and stops its processes itself, and keeps nothing between runs.
//! `peers` holds the foreign ones; the bus itself is one too.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

/// Whatever ends a benchmark early.
pub(crate) type Error = Box<dyn std::error::Error>;

/// Names that bars look for; a contender of the kind calls itself so.
pub(crate) const BUS: &str = "bus";
pub(crate) const BUS_ELEMENTS: &str = "mosframesink";
/// The least that a delivery costs between two processes.
pub(crate) const FLOOR: &str = "SEQPACKET";
pub(crate) const SHM: &str = "shmsink";
pub(crate) const UNIXFD: &str = "unixfdsink";

/// What is compared with what: elements only with elements, programs only with programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Lane {
    /// A program that calls a library.
    Native,
    /// A GStreamer element at both ends.
    Elements,
}

/// What one run has to carry: NV12 frames at a fixed pace, each to every subscriber.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Load {
    pub(crate) subscribers: u32,
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// Frames a second.
    pub(crate) fps: u32,
    /// Frames that are measured, after a warm-up of the contender's choice.
    pub(crate) frames: u64,
}

/// One run. Only deliveries within the measured stretch count, and only the CPU time of that stretch.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Run {
    /// Frames that reached a subscriber, summed over the subscribers.
    pub(crate) deliveries: u64,
    /// User and system time of the producer and all subscribers, nanoseconds.
    pub(crate) cpu_ns: u64,
    /// Part of it that is not the transport's: the same source and the same sinks with nothing in between, measured next to
    /// this run; for programs the pace alone.
    pub(crate) baseline_ns: u64,
    /// From publishing to the subscriber's waking, nanoseconds, one a delivery; empty where the contender can't tell.
    #[serde(skip)]
    pub(crate) wake_ns: Vec<u64>,
    /// Frames whose stamps showed that they were overwritten while in use; `None` where nobody looked.
    pub(crate) torn: Option<u64>,
}

impl Run {
    /// CPU of the transport per delivery, microseconds; `None` if nothing was delivered.
    pub(crate) fn us_per_delivery(&self) -> Option<f64> {
        let cpu = self.cpu_ns.saturating_sub(self.baseline_ns) as f64 / 1000.0;
        (self.deliveries > 0).then(|| cpu / self.deliveries as f64)
    }
}

/// A run in which one subscriber is stopped (SIGSTOP). `load.subscribers` counts it: the others are healthy.
/// `load.frames` says nothing here, the times do.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct StopPlan {
    pub(crate) load: Load,
    /// Running before the stop.
    pub(crate) before: Duration,
    /// Stopped.
    pub(crate) stopped: Duration,
    /// After that the stopped one is killed (SIGKILL), and the rest goes on this long.
    pub(crate) after_kill: Duration,
}

/// What happened in a run with a stopped subscriber.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct StopStory {
    /// One entry a second from the run's start, as frames of that second.
    pub(crate) timeline: Vec<Second>,
    /// Growth of the producer's resident memory from just before the stop to the worst moment before the kill, shared memory included.
    pub(crate) rss_growth_kib: Option<i64>,
    /// The same of its descriptors.
    pub(crate) fd_growth: Option<i64>,
    /// Frames overwritten while in use, at any subscriber; `None` where nobody looked.
    pub(crate) torn: Option<u64>,
}

impl StopStory {
    /// The lowest rates while one is stopped, and from the second after the kill on: systems may need that to recover.
    pub(crate) fn lowest(&self, plan: &StopPlan) -> [Second; 2] {
        let stop = plan.before.as_secs_f64().ceil() as usize;
        let kill = (plan.before + plan.stopped).as_secs_f64().floor() as usize;
        let of = |from: usize, to: usize| {
            let end = to.min(self.timeline.len());
            let part = self.timeline.get(from..end).unwrap_or_default();
            let least = |of: fn(&Second) -> u64| part.iter().map(of).min().unwrap_or_default();
            Second {
                produced: least(|s| s.produced),
                healthy: least(|s| s.healthy),
            }
        };
        [of(stop, kill), of(kill + 1, usize::MAX)]
    }
}

/// One second of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Second {
    /// Frames that the producer got rid of.
    pub(crate) produced: u64,
    /// Frames that the worst healthy subscriber got.
    pub(crate) healthy: u64,
}

/// A system under test.
pub(crate) trait Contender {
    /// Short name for tables and plots: one of the names above, or its own (`iceoryx2`).
    fn name(&self) -> String;

    /// What it is compared with.
    fn lane(&self) -> Lane;

    /// Versions, launch lines, settings: what a reader needs to judge whether the comparison is fair.
    fn conditions(&self) -> BTreeMap<String, String>;

    /// One run.
    fn run(&mut self, load: &Load) -> Result<Run, Error>;

    /// One run with a stopped subscriber; `None` if that can't be tried with this system.
    fn stop(&mut self, plan: &StopPlan) -> Result<Option<StopStory>, Error>;
}

/// A contender that is not there, and why: never silently left out.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Absent {
    pub(crate) name: String,
    pub(crate) why: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_rates_are_of_their_part_of_the_run() {
        let second = Duration::from_secs;
        let plan = StopPlan {
            load: Load {
                subscribers: 3,
                width: 2,
                height: 2,
                fps: 60,
                frames: 0,
            },
            before: second(1),
            stopped: second(2),
            after_kill: second(3),
        };
        let at = |produced, healthy| Second { produced, healthy };
        let story = StopStory {
            timeline: vec![
                at(0, 0),
                at(60, 60),
                at(59, 7),
                at(0, 0),
                at(60, 58),
                at(61, 60),
            ],
            ..StopStory::default()
        };
        assert_eq!(story.lowest(&plan), [at(59, 7), at(60, 58)]);
        // A run that died early has nothing left to show.
        let dead = StopStory {
            timeline: vec![at(60, 60)],
            ..StopStory::default()
        };
        assert_eq!(dead.lowest(&plan), [at(0, 0); 2]);
    }

    #[test]
    fn the_baseline_is_not_the_transports() {
        let run = |deliveries, cpu_ns, baseline_ns| Run {
            deliveries,
            cpu_ns,
            baseline_ns,
            ..Run::default()
        };
        let cases = [
            (run(10, 50_000, 0), Some(5.0)),
            (run(10, 50_000, 20_000), Some(3.0)),
            // Noise may make the baseline dearer than the run: that is nothing, not less than nothing.
            (run(10, 50_000, 60_000), Some(0.0)),
            (run(0, 50_000, 0), None),
        ];
        for (run, us) in cases {
            assert_eq!(run.us_per_delivery(), us, "{run:?}");
        }
    }
}
