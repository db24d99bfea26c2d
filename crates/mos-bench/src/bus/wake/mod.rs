//! From publishing to waking: the bus beside the floors, what the kernel's own ways to wake a process cost at the same fan-out.
//!
//! Every frame draws at random by which way it goes, within one run and to the same processes. Taking turns would not do: where
//! one way's frame leaves processes and cores decides over the next one's time (strict alternation gave the bus a false ratio
//! of 1.85 on a machine where it is 1.0). For the same reason everybody has a core; see `cores`.

mod cores;
mod floors;
mod listener;
mod page;

use std::collections::BTreeMap;
use std::time::Instant;

use mos_frame::monotonic_ns;
use serde::{Deserialize, Serialize};

use super::process::Process;
use super::producer::{Place, Producer, Shape, due, sleep_until};
use crate::contender::Error;
use crate::stats::{Random, Times, distribution, median};
use cores::Cores;
use floors::Floors;
pub(crate) use listener::{ListenArgs, listen};

/// A way to tell processes that a frame is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Way {
    Bus,
    /// A message of 64 bytes to each subscriber's socket: the floor for anything that serves subscribers it does not trust.
    Seqpacket,
    /// The same with a descriptor.
    SeqpacketFd,
    /// One write to an eventfd per subscriber.
    Eventfd,
    /// One call for all of them, who share a word: the physical floor.
    Futex,
}

impl Way {
    pub(super) const ALL: [Self; 5] = [
        Self::Bus,
        Self::Seqpacket,
        Self::SeqpacketFd,
        Self::Eventfd,
        Self::Futex,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Bus => "bus",
            Self::Seqpacket => "SEQPACKET",
            Self::SeqpacketFd => "SEQPACKET + fd",
            Self::Eventfd => "eventfd",
            Self::Futex => "futex",
        }
    }

    /// The two that are judged by each other get most of the frames.
    fn draw(random: &mut Random) -> Self {
        match random.below(9) {
            0..3 => Self::Bus,
            3..6 => Self::Seqpacket,
            6 => Self::SeqpacketFd,
            7 => Self::Eventfd,
            _ => Self::Futex,
        }
    }
}

/// Fan-outs that the bars judge.
pub(super) const JUDGED: [u32; 3] = [1, 4, 16];
/// Rate of the bar on p99.
pub(super) const FAST: u32 = 1000;
const FAN_OUTS: [u32; 4] = [1, 4, 16, 64];
const RATES: [u32; 3] = [30, 60, FAST];

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) struct Shot {
    pub(super) subscribers: u32,
    pub(super) fps: u32,
    pub(super) size: &'static str,
}

/// How long to measure, seconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Effort {
    /// A cell of the table at 30 and at 60 frames a second.
    pub(super) slow: f64,
    /// One at 1000.
    pub(super) fast: f64,
    /// Runs at 1000 frames a second for the bar on p99.
    pub(super) runs: usize,
    /// Also 4K, and 30 frames a second.
    pub(super) whole_table: bool,
}

/// One line of the table.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Cell {
    #[serde(flatten)]
    pub(super) shot: Shot,
    pub(super) ways: BTreeMap<Way, Times>,
    /// Share of the bus's frames that were taken; a subscriber that is late skips frames.
    pub(super) bus_delivered: f64,
    /// Bus / SEQPACKET.
    pub(super) p50_ratio: f64,
    pub(super) p99_ratio: f64,
}

/// p99 bus / SEQPACKET of several runs.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Repeated {
    pub(super) subscribers: u32,
    pub(super) p99_ratios: Vec<f64>,
    pub(super) median: f64,
}

/// Distribution of one way, for a plot: (microseconds, share).
#[derive(Debug, Clone)]
pub(super) struct Curve {
    pub(super) subscribers: u32,
    pub(super) way: Way,
    pub(super) points: Vec<(f64, f64)>,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct Figures {
    pub(super) cells: Vec<Cell>,
    pub(super) repeated: Vec<Repeated>,
    pub(super) evicted: u64,
    #[serde(skip)]
    pub(super) curves: Vec<Curve>,
}

pub(super) fn measure(effort: Effort, seed: u64) -> Result<Figures, Error> {
    let mut random = Random::new(seed);
    let mut order = shots(effort);
    random.shuffle(&mut order);
    let mut runs: BTreeMap<Shot, Vec<Run>> = BTreeMap::new();
    for shot in order {
        runs.entry(shot)
            .or_default()
            .push(Run::measure(shot, effort, &mut random)?);
    }
    let evicted = runs.values().flatten().map(|run| run.evicted).sum();
    let repeated = JUDGED
        .iter()
        .filter_map(|n| repeated(*n, runs.iter()))
        .collect();
    let pooled: BTreeMap<Shot, Run> = runs
        .into_iter()
        .map(|(shot, runs)| (shot, Run::pooled(runs)))
        .collect();
    let curves = pooled
        .iter()
        .filter(|(shot, _)| shot.fps == FAST && shot.size == "VGA")
        .flat_map(|(shot, run)| run.curves(shot.subscribers))
        .collect();
    let cells = pooled.iter().map(|(shot, run)| run.cell(*shot)).collect();
    Ok(Figures {
        cells,
        repeated,
        evicted,
        curves,
    })
}

/// Everything to measure; what the bar on p99 needs comes several times.
fn shots(effort: Effort) -> Vec<Shot> {
    let mut shots = Vec::new();
    for subscribers in FAN_OUTS {
        for fps in RATES {
            for size in ["VGA", "4K"] {
                let judged = JUDGED.contains(&subscribers) && fps == FAST && size == "VGA";
                let wanted = effort.whole_table || (size == "VGA" && fps != 30);
                let times = if judged {
                    effort.runs
                } else {
                    usize::from(wanted)
                };
                let shot = Shot {
                    subscribers,
                    fps,
                    size,
                };
                shots.extend(std::iter::repeat_n(shot, times));
            }
        }
    }
    shots
}

/// Wakes everybody `count` times, each by a way that is drawn; gives the number of frames that went by the bus.
fn paced(
    producer: &Producer,
    floors: &Floors,
    count: u64,
    fps: u32,
    random: &mut Random,
) -> Result<u64, Error> {
    let start = Instant::now();
    let mut by_bus = 0;
    for n in 0..count {
        sleep_until(start + due(n, fps));
        // Drawn after the sleep: nobody can prepare.
        match Way::draw(random) {
            Way::Bus => {
                producer.publish_one()?;
                by_bus += 1;
            }
            other => floors.wake(other, monotonic_ns())?,
        }
    }
    Ok(by_bus)
}

/// Samples of one run, nanoseconds.
#[derive(Debug, Default)]
struct Run {
    samples: BTreeMap<Way, Vec<u64>>,
    /// Bus frames times subscribers.
    possible: u64,
    evicted: u64,
}

impl Run {
    fn measure(shot: Shot, effort: Effort, random: &mut Random) -> Result<Self, Error> {
        let place = Place::new()?;
        let size = if shot.size == "4K" {
            Shape::UHD
        } else {
            Shape::VGA
        };
        let producer = Producer::new(&place.path, Shape::for_subscribers(size, shot.subscribers))?;
        let mut floors = Floors::new(place.dir.path())?;
        let allowed = cores::allowed()?;
        let cores = Cores::of(&allowed).ok_or("no core to run on")?;
        let listen = |n| listener::arguments(&place.path, floors.path(), cores.of_listener(n));
        let listeners = (0..shot.subscribers)
            .map(|n| Process::start(&listen(n)))
            .collect::<Result<Vec<_>, _>>()?;
        floors.accept(shot.subscribers)?;
        producer.wait_for(listeners.len())?;
        let seconds = if shot.fps == FAST {
            effort.fast
        } else {
            effort.slow
        };
        let count = (seconds * f64::from(shot.fps)) as u64;
        // This thread only: the bus's own thread, made above, goes where the scheduler likes.
        cores::stay_on(&[cores.producer])?;
        let by_bus = paced(&producer, &floors, count, shot.fps, random);
        cores::stay_on(&allowed)?;
        let by_bus = by_bus?;
        producer.wait_until_taken("")?;
        let evicted = producer.publisher.stats().evicted;
        drop(producer);
        floors.end()?;
        let mut run = Self {
            // Cold ones are no samples.
            possible: by_bus.saturating_sub(listener::COLD as u64) * u64::from(shot.subscribers),
            evicted,
            samples: BTreeMap::new(),
        };
        for listener in listeners {
            let heard: BTreeMap<Way, Vec<u64>> = listener.finish()?;
            for (way, samples) in heard {
                run.samples.entry(way).or_default().extend(samples);
            }
        }
        Ok(run)
    }

    fn pooled(runs: Vec<Self>) -> Self {
        let mut all = Self::default();
        for run in runs {
            all.possible += run.possible;
            all.evicted += run.evicted;
            for (way, samples) in run.samples {
                all.samples.entry(way).or_default().extend(samples);
            }
        }
        all
    }

    fn times(&self) -> BTreeMap<Way, Times> {
        let of = |(way, samples): (&Way, &Vec<u64>)| (*way, Times::of(samples));
        self.samples.iter().map(of).collect()
    }

    /// Bus / SEQPACKET of some figure.
    fn ratio(&self, of: fn(&Times) -> f64) -> f64 {
        let times = self.times();
        let of_way = |way| times.get(&way).map_or(f64::NAN, of);
        of_way(Way::Bus) / of_way(Way::Seqpacket)
    }

    fn cell(&self, shot: Shot) -> Cell {
        let taken = self.samples.get(&Way::Bus).map_or(0, Vec::len);
        Cell {
            shot,
            ways: self.times(),
            bus_delivered: taken as f64 / self.possible.max(1) as f64,
            p50_ratio: self.ratio(|t| t.p50_us),
            p99_ratio: self.ratio(|t| t.p99_us),
        }
    }

    fn curves(&self, subscribers: u32) -> Vec<Curve> {
        let curve = |(way, samples): (&Way, &Vec<u64>)| Curve {
            subscribers,
            way: *way,
            points: distribution(samples, 200),
        };
        self.samples.iter().map(curve).collect()
    }
}

fn repeated<'a>(
    subscribers: u32,
    mut runs: impl Iterator<Item = (&'a Shot, &'a Vec<Run>)>,
) -> Option<Repeated> {
    let judged =
        |shot: &Shot| shot.subscribers == subscribers && shot.fps == FAST && shot.size == "VGA";
    let (_, runs) = runs.find(|(shot, _)| judged(shot))?;
    let p99_ratios: Vec<f64> = runs.iter().map(|run| run.ratio(|t| t.p99_us)).collect();
    Some(Repeated {
        subscribers,
        median: median(&p99_ratios),
        p99_ratios,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const EFFORT: Effort = Effort {
        slow: 1.0,
        fast: 1.0,
        runs: 5,
        whole_table: true,
    };

    #[test]
    fn the_whole_table_is_measured_and_the_judged_ones_five_times() {
        let all = shots(EFFORT);
        let mut once = all.clone();
        once.sort();
        once.dedup();
        assert_eq!(once.len(), 4 * 3 * 2);
        for subscribers in JUDGED {
            let judged = Shot {
                subscribers,
                fps: 1000,
                size: "VGA",
            };
            assert_eq!(all.iter().filter(|shot| **shot == judged).count(), 5);
        }
    }

    #[test]
    fn ratios_compare_the_bus_with_the_raw_socket() {
        let run = |bus: &[u64], raw: &[u64]| Run {
            samples: BTreeMap::from([(Way::Bus, bus.to_vec()), (Way::Seqpacket, raw.to_vec())]),
            possible: 4,
            evicted: 0,
        };
        let one = run(&[2000, 3000], &[1000, 1000]);
        assert!((one.ratio(|t| t.p50_us) - 2.0).abs() < 1e-9);
        assert!((one.ratio(|t| t.p99_us) - 3.0).abs() < 1e-9);
        let both = Run::pooled(vec![one, run(&[1000, 1000, 1000], &[1000])]);
        assert!((both.ratio(|t| t.p50_us) - 1.0).abs() < 1e-9);
        assert!(Run::default().ratio(|t| t.p50_us).is_nan());
    }

    #[test]
    fn every_way_is_drawn() {
        let mut random = Random::new(3);
        let drawn: std::collections::BTreeSet<_> =
            (0..200).map(|_| Way::draw(&mut random)).collect();
        assert_eq!(drawn.len(), Way::ALL.len());
    }
}
