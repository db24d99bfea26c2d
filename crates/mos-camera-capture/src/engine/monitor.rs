//! A stream's counters, over all its pipelines.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mos_camera_backends::{CapturePipeline, Stats};

use super::meter::{DropReports, Lost, Rate};
use super::status::{Memory, SeenFormat, StreamStats, SubscriberStats};

/// A stream's counters. They outlive the pipelines that they come from.
#[derive(Debug, Default)]
pub(super) struct Monitor(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    live: Option<Live>,
    /// Of the pipelines that are down.
    past: Totals,
    rate: Rate,
    drops: DropReports,
    last_format: Option<SeenFormat>,
}

#[derive(Debug)]
struct Live {
    generation: u64,
    pipeline: Arc<CapturePipeline>,
}

/// Counters that add up over pipelines.
#[derive(Debug, Clone, Copy, Default)]
struct Totals {
    published: u64,
    copied: u64,
    violations: u64,
    corrupt: u64,
}

impl Totals {
    fn of(stats: &Stats) -> Self {
        let bus = stats.bus.as_ref();
        Self {
            published: bus.map_or(0, |sink| sink.bus.published),
            copied: bus.map_or(0, |sink| sink.copied),
            violations: stats.violations,
            corrupt: stats.corrupt,
        }
    }

    const fn plus(self, other: Self) -> Self {
        Self {
            published: self.published + other.published,
            copied: self.copied + other.copied,
            violations: self.violations + other.violations,
            corrupt: self.corrupt + other.corrupt,
        }
    }
}

/// A subscriber's losses since they were last reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Drops {
    /// The subscriber's number.
    pub subscriber: u64,
    /// The subscriber's name.
    pub name: String,
    /// What it lost.
    pub lost: Lost,
}

impl Monitor {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts what this pipeline does.
    pub(super) fn attach(&self, generation: u64, pipeline: Arc<CapturePipeline>) {
        self.lock().live = Some(Live {
            generation,
            pipeline,
        });
    }

    /// Keeps the pipeline's totals and lets go of it; call before it is stopped.
    pub(super) fn detach(&self) {
        let mut inner = self.lock();
        if let Some(live) = inner.live.take() {
            inner.past = inner.past.plus(Totals::of(&live.pipeline.stats()));
        }
    }

    /// The pipeline that runs, and the age of its newest frame.
    pub(super) fn newest_frame(&self) -> Option<(u64, Duration)> {
        let inner = self.lock();
        let live = inner.live.as_ref()?;
        let (_, newest) = live.pipeline.progress();
        Some((live.generation, age(newest)?))
    }

    /// Takes a sample of the counters; call it about twice a second. Gives the losses that are due to be reported.
    pub(super) fn sample(&self, now: Duration) -> Vec<Drops> {
        let mut inner = self.lock();
        let stats = inner.live.as_ref().map(|live| live.pipeline.stats());
        let totals = stats.as_ref().map(Totals::of).unwrap_or_default();
        let published = inner.past.plus(totals).published;
        inner.rate.sample(now, published);
        let subscribers = stats.as_ref().map(subscribers).unwrap_or_default();
        let lost: Vec<_> = subscribers.iter().map(|s| (s.id, s.lost)).collect();
        let due = inner.drops.due(now, &lost);
        due.into_iter()
            .map(|(id, lost)| Drops {
                subscriber: id,
                name: name_of(&subscribers, id),
                lost,
            })
            .collect()
    }

    /// All counters as they are now.
    pub(super) fn stats(&self) -> StreamStats {
        let mut inner = self.lock();
        let Some(stats) = inner.live.as_ref().map(|live| live.pipeline.stats()) else {
            return inner.without_pipeline();
        };
        inner.last_format = format(&stats).or(inner.last_format);
        let totals = inner.past.plus(Totals::of(&stats));
        StreamStats {
            last_frame_age: age(stats.last_frame_ns),
            subscribers: subscribers(&stats),
            chain: stats.chain,
            software: stats.plan.software,
            plan: Some(stats.plan),
            ..inner.counted(totals)
        }
    }
}

impl Inner {
    fn without_pipeline(&self) -> StreamStats {
        self.counted(self.past)
    }

    fn counted(&self, totals: Totals) -> StreamStats {
        StreamStats {
            format: self.last_format,
            published: totals.published,
            copied: totals.copied,
            violations: totals.violations,
            corrupt: totals.corrupt,
            fps: self.rate.per_second(),
            ..StreamStats::default()
        }
    }
}

fn age(newest_ns: Option<u64>) -> Option<Duration> {
    Some(Duration::from_nanos(
        mos_frame::monotonic_ns().saturating_sub(newest_ns?),
    ))
}

fn name_of(subscribers: &[SubscriberStats], id: u64) -> String {
    subscribers
        .iter()
        .find(|s| s.id == id)
        .map(|s| s.name.clone())
        .unwrap_or_default()
}

fn subscribers(stats: &Stats) -> Vec<SubscriberStats> {
    let all = stats.bus.iter().flat_map(|sink| &sink.bus.subscribers);
    all.map(subscriber).collect()
}

fn subscriber(info: &mos_frame::SubscriberInfo) -> SubscriberStats {
    let counters = &info.counters;
    SubscriberStats {
        id: info.id,
        name: info.name.clone(),
        pid: info.pid,
        uid: info.uid,
        window: info.window,
        hold: info.hold,
        offered: counters.offered,
        claimed: counters.claimed,
        lost: Lost {
            recalled: counters.recalled,
            skipped: counters.skipped,
        },
        held: counters.held,
    }
}

/// The format on the bus; none before the first frame.
fn format(stats: &Stats) -> Option<SeenFormat> {
    use mos_camera_backends::pipeline::Memory as Found;
    let (picture, bus) = (stats.picture?, stats.bus.as_ref()?);
    let memory = match stats.memory {
        Found::Unknown => return None,
        Found::DmaBuf => Memory::DmaBuf,
        // What has no descriptor is copied into a memfd.
        Found::Memfd | Found::System => Memory::Memfd,
    };
    Some(SeenFormat {
        size: (picture.width, picture.height),
        framerate: picture.framerate,
        memory,
        epoch: bus.bus.epoch,
    })
}
