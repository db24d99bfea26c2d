//! A stream's counters, over all its pipelines.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mos_camera_backends::{CapturePipeline, Stats};

use super::mappings::{Finding, FrameMemory};
use super::meter::{DropReports, Lost, Rate};
use super::status::{FrameClock, Memory, SeenFormat, StreamStats, SubscriberStats};
use super::violations::{ViolationKind, ViolationReports, Violations};

/// A stream's counters. They outlive the pipelines that they come from.
#[derive(Debug, Default)]
pub(super) struct Monitor(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    live: Option<Live>,
    /// Of the pipelines that are down.
    past: Totals,
    /// Of the last of them: a mapping may outlast its pipeline.
    past_memory: FrameMemory,
    rate: Rate,
    drops: DropReports,
    violations: ViolationReports,
    last: Details,
    last_format: Option<SeenFormat>,
}

#[derive(Debug)]
struct Live {
    generation: u64,
    pipeline: Arc<CapturePipeline>,
    /// Mappings of its dma-bufs that were found.
    mapped: u64,
    /// Its violations that were judged.
    judged: Violations,
}

impl Live {
    fn totals(&self, stats: &Stats) -> Totals {
        Totals::of(stats, self.mapped)
    }

    fn memory(&self) -> FrameMemory {
        FrameMemory {
            memories: self.pipeline.memories(),
            software: self.pipeline.is_software(),
        }
    }
}

/// The last violation of each kind, in words.
#[derive(Debug, Default)]
struct Details {
    map: Option<String>,
    mapping: Option<String>,
}

impl Details {
    fn of(&self, kind: ViolationKind) -> String {
        let detail = match kind {
            // The stream's fault has it: the gate's error ended the pipeline.
            ViolationKind::RefusedFrame => None,
            ViolationKind::RefusedMap => self.map.clone(),
            ViolationKind::MappedDmabuf => self.mapping.clone(),
        };
        detail.unwrap_or_default()
    }
}

/// Counters that add up over pipelines.
#[derive(Debug, Clone, Copy, Default)]
struct Totals {
    published: u64,
    copied: u64,
    violations: Violations,
    corrupt: u64,
    late: u64,
}

impl Totals {
    fn of(stats: &Stats, mapped: u64) -> Self {
        let bus = stats.bus.as_ref();
        Self {
            published: bus.map_or(0, |sink| sink.bus.published),
            copied: bus.map_or(0, |sink| sink.copied),
            violations: Violations {
                refused_frames: stats.refused_frames,
                refused_maps: stats.refused_maps,
                mapped_dmabufs: mapped,
            },
            corrupt: stats.corrupt,
            late: stats.late,
        }
    }

    const fn plus(self, other: Self) -> Self {
        Self {
            published: self.published + other.published,
            copied: self.copied + other.copied,
            violations: self.violations.plus(other.violations),
            corrupt: self.corrupt + other.corrupt,
            late: self.late + other.late,
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

/// Violations of one kind since they were last reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Breach {
    /// How the contract was broken.
    pub kind: ViolationKind,
    /// How often.
    pub count: u64,
    /// The last of them.
    pub detail: String,
}

/// What a look at the counters brought up.
#[derive(Debug, Default)]
pub(super) struct Sample {
    /// Losses that are due to be reported.
    pub drops: Vec<Drops>,
    /// Violations that are due to be reported.
    pub breaches: Vec<Breach>,
    /// The pipeline that runs, and its violations since the last look.
    pub new: Option<(u64, Violations)>,
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
            mapped: 0,
            judged: Violations::default(),
        });
    }

    /// Keeps the pipeline's totals and lets go of it; call before it is stopped.
    pub(super) fn detach(&self) {
        let mut inner = self.lock();
        if let Some(live) = inner.live.take() {
            let stats = live.pipeline.stats();
            inner.past = inner.past.plus(live.totals(&stats));
            inner.past_memory = live.memory();
            inner.last.map = stats.last_map.or(inner.last.map.take());
        }
    }

    /// The pipeline that runs, and the age of its newest frame.
    pub(super) fn newest_frame(&self) -> Option<(u64, Duration)> {
        let inner = self.lock();
        let live = inner.live.as_ref()?;
        let (_, newest) = live.pipeline.progress();
        Some((live.generation, age(newest)?))
    }

    /// The memory of its frames: of the pipeline that runs, and of the one before.
    pub(super) fn frame_memory(&self) -> FrameMemory {
        let inner = self.lock();
        let live = inner.live.as_ref().map(Live::memory).unwrap_or_default();
        let past = &inner.past_memory;
        FrameMemory {
            memories: [live.memories.as_slice(), &past.memories].concat(),
            software: live.software || past.software,
        }
    }

    /// Counts a mapping of its frames.
    pub(super) fn note_mapping(&self, finding: &Finding) {
        let mut inner = self.lock();
        let memory = finding.mapping.memory;
        match &mut inner.live {
            Some(live) if live.pipeline.memories().contains(&memory) => live.mapped += 1,
            _ => inner.past.violations.mapped_dmabufs += 1,
        }
        inner.last.mapping = Some(finding.detail());
    }

    /// What was last of a kind, in words.
    pub(super) fn detail(&self, kind: ViolationKind) -> String {
        self.lock().last.of(kind)
    }

    /// Takes a sample of the counters; call it about twice a second.
    pub(super) fn sample(&self, now: Duration) -> Sample {
        let mut inner = self.lock();
        let stats = inner.live.as_ref().map(|live| live.pipeline.stats());
        let live = stats
            .as_ref()
            .and_then(|stats| Some(inner.live.as_ref()?.totals(stats)))
            .unwrap_or_default();
        let totals = inner.past.plus(live);
        inner.rate.sample(now, totals.published);
        if let Some(map) = stats.as_ref().and_then(|stats| stats.last_map.clone()) {
            inner.last.map = Some(map);
        }
        Sample {
            drops: inner.drops_due(now, stats.as_ref()),
            breaches: inner.breaches_due(now, totals.violations),
            new: inner.judge(live.violations),
        }
    }

    /// All counters as they are now.
    pub(super) fn stats(&self) -> StreamStats {
        let mut inner = self.lock();
        let Some(stats) = inner.live.as_ref().map(|live| live.pipeline.stats()) else {
            return inner.without_pipeline();
        };
        inner.last_format = format(&stats).or(inner.last_format);
        let live = inner.live.as_ref().map(|live| live.totals(&stats));
        let totals = inner.past.plus(live.unwrap_or_default());
        StreamStats {
            last_frame_age: age(stats.last_frame_ns),
            delay: stats.delay,
            clock: clock(&stats),
            subscribers: subscribers(&stats),
            chain: stats.chain,
            software: stats.plan.software,
            plan: Some(stats.plan),
            session: stats.session,
            ..inner.counted(totals)
        }
    }
}

impl Inner {
    fn drops_due(&mut self, now: Duration, stats: Option<&Stats>) -> Vec<Drops> {
        let subscribers = stats.map(subscribers).unwrap_or_default();
        let lost: Vec<_> = subscribers.iter().map(|s| (s.id, s.lost)).collect();
        let due = self.drops.due(now, &lost);
        due.into_iter()
            .map(|(id, lost)| Drops {
                subscriber: id,
                name: name_of(&subscribers, id),
                lost,
            })
            .collect()
    }

    fn breaches_due(&mut self, now: Duration, so_far: Violations) -> Vec<Breach> {
        let due = self.violations.due(now, so_far);
        due.into_iter()
            .map(|(kind, count)| Breach {
                kind,
                count,
                detail: self.last.of(kind),
            })
            .collect()
    }

    /// What the pipeline that runs did since the last look, given all that it did.
    fn judge(&mut self, so_far: Violations) -> Option<(u64, Violations)> {
        let live = self.live.as_mut()?;
        let before = std::mem::replace(&mut live.judged, so_far);
        Some((live.generation, so_far.since(before)))
    }

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
            late: totals.late,
            fps: self.rate.per_second(),
            ..StreamStats::default()
        }
    }
}

fn clock(stats: &Stats) -> Option<FrameClock> {
    let clock = stats.bus.as_ref()?.clock?;
    let error = Duration::from_nanos(clock.error_ns.into());
    Some(FrameClock {
        source: clock.source.name(),
        error: (!error.is_zero()).then_some(error),
        camera_ahead_ns: clock.camera_ahead_ns,
    })
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
