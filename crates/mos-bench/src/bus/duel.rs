//! The bus beside foreign systems: what a delivery costs, and what a stopped subscriber does.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::floor::Floor;
use super::native::Native;
use super::producer::Shape;
use crate::contender::{Absent, Contender, Error, Lane, Load, Run, StopPlan, StopStory};
use crate::peers::{self, PeerArgs};
use crate::stats::{Random, Times, median};

const FPS: u32 = 60;
/// Fan-outs that the bars judge.
pub(super) const FAN_OUTS: [u32; 2] = [1, 4];

/// How much to measure.
#[derive(Debug, Clone, Copy)]
pub(super) struct Effort {
    /// Runs of each contender at each fan-out.
    pub(super) rounds: usize,
    /// Frames of a run.
    pub(super) frames: u64,
    /// Seconds before the stop, stopped, and after the kill.
    pub(super) stop: [u64; 3],
}

/// What a delivery costs one contender at one fan-out.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Cost {
    pub(super) name: String,
    pub(super) lane: Lane,
    pub(super) subscribers: u32,
    /// CPU of everybody per delivery, without source and sink; microseconds, median of the runs.
    pub(super) us_per_delivery: f64,
    pub(super) runs_us: Vec<f64>,
    /// Deliveries, of those possible.
    pub(super) delivered: f64,
    pub(super) wake: Option<Times>,
}

/// What happened to one contender with a stopped subscriber.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Stopped {
    pub(super) name: String,
    #[serde(flatten)]
    pub(super) story: StopStory,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct Figures {
    pub(super) fps: u32,
    pub(super) size: &'static str,
    pub(super) conditions: BTreeMap<String, BTreeMap<String, String>>,
    pub(super) costs: Vec<Cost>,
    pub(super) stop_plan: StopPlan,
    pub(super) stops: Vec<Stopped>,
    /// Contenders that are not there, or failed, and why.
    pub(super) absent: Vec<Absent>,
}

pub(super) fn measure(effort: Effort, args: &PeerArgs, seed: u64) -> Result<Figures, Error> {
    let (foreign, absent) = peers::all(args)?;
    let mut contenders: Vec<Box<dyn Contender>> = vec![Box::new(Native), Box::new(Floor)];
    contenders.extend(foreign);
    let mut ring = Ring {
        contenders,
        absent,
        random: Random::new(seed),
    };
    let costs = ring.costs(effort)?;
    let plan = stop_plan(effort);
    let stops = ring.stops(&plan)?;
    let conditions = ring.contenders.iter().map(|c| (c.name(), c.conditions()));
    Ok(Figures {
        fps: FPS,
        size: "1080p",
        conditions: conditions.collect(),
        costs,
        stop_plan: plan,
        stops,
        absent: ring.absent,
    })
}

fn load(subscribers: u32, frames: u64) -> Load {
    let (width, height) = Shape::HD;
    Load {
        subscribers,
        width,
        height,
        fps: FPS,
        frames,
    }
}

fn stop_plan(effort: Effort) -> StopPlan {
    let [before, stopped, after_kill] = effort.stop.map(Duration::from_secs);
    StopPlan {
        load: load(3, 0),
        before,
        stopped,
        after_kill,
    }
}

struct Ring {
    contenders: Vec<Box<dyn Contender>>,
    absent: Vec<Absent>,
    random: Random,
}

impl Ring {
    fn costs(&mut self, effort: Effort) -> Result<Vec<Cost>, Error> {
        let mut runs: BTreeMap<(u32, String), Vec<Run>> = BTreeMap::new();
        let mut lanes = BTreeMap::new();
        for _ in 0..effort.rounds {
            for subscribers in FAN_OUTS {
                self.random.shuffle(&mut self.contenders);
                let load = load(subscribers, effort.frames);
                self.each(|contender| {
                    lanes.insert(contender.name(), contender.lane());
                    let run = contender.run(&load)?;
                    runs.entry((subscribers, contender.name()))
                        .or_default()
                        .push(run);
                    Ok(())
                })?;
            }
        }
        Ok(runs
            .iter()
            .filter_map(|((subscribers, name), runs)| {
                let lane = *lanes.get(name)?;
                Some(cost(name, lane, *subscribers, effort.frames, runs))
            })
            .collect())
    }

    fn stops(&mut self, plan: &StopPlan) -> Result<Vec<Stopped>, Error> {
        let mut stops = Vec::new();
        self.each(|contender| {
            if let Some(story) = contender.stop(plan)? {
                let name = contender.name();
                stops.push(Stopped { name, story });
            }
            Ok(())
        })?;
        stops.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(stops)
    }

    /// Does something with each contender. A foreign one that fails is out, with its reason in the report; if the bus itself
    /// fails, so does the benchmark.
    fn each(
        &mut self,
        mut act: impl FnMut(&mut dyn Contender) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut still_in = Vec::new();
        for mut contender in std::mem::take(&mut self.contenders) {
            match act(contender.as_mut()) {
                Ok(()) => still_in.push(contender),
                Err(error) if contender.name() == crate::contender::BUS => return Err(error),
                Err(error) => {
                    println!("  {} is out: {error}", contender.name());
                    self.absent.push(Absent {
                        name: contender.name(),
                        why: error.to_string(),
                    });
                }
            }
        }
        self.contenders = still_in;
        Ok(())
    }
}

fn cost(name: &str, lane: Lane, subscribers: u32, frames: u64, runs: &[Run]) -> Cost {
    let runs_us: Vec<f64> = runs.iter().filter_map(Run::us_per_delivery).collect();
    let wake: Vec<u64> = runs.iter().flat_map(|r| &r.wake_ns).copied().collect();
    let deliveries: u64 = runs.iter().map(|r| r.deliveries).sum();
    let possible = runs.len() as u64 * frames * u64::from(subscribers);
    Cost {
        name: name.to_owned(),
        lane,
        subscribers,
        us_per_delivery: median(&runs_us),
        runs_us,
        delivered: deliveries as f64 / possible.max(1) as f64,
        wake: (!wake.is_empty()).then(|| Times::of(&wake)),
    }
}

impl Figures {
    fn cost(&self, name: &str, subscribers: u32) -> Option<&Cost> {
        let is = |c: &&Cost| c.name == name && c.subscribers == subscribers;
        self.costs.iter().find(is)
    }

    /// Cost of `left` / cost of `right`: the median of what each round gave, since a shared machine is twice as fast in one
    /// minute as in another. `None` if a round of either is missing.
    pub(super) fn ratio(&self, left: &str, right: &str, subscribers: u32) -> Option<f64> {
        let runs = |name| Some(&self.cost(name, subscribers)?.runs_us);
        let (left, right) = (runs(left)?, runs(right)?);
        let ratios = left.iter().zip(right).map(|(left, right)| left / right);
        let finite: Vec<f64> = ratios.filter(|ratio| ratio.is_finite()).collect();
        (left.len() == right.len() && !finite.is_empty()).then(|| median(&finite))
    }

    pub(super) fn lines(&self) -> Vec<String> {
        let cost = |c: &Cost| {
            format!(
                "  {:<16} {} subscribers: {:>8.1} us a delivery, {:.0} % delivered",
                c.name,
                c.subscribers,
                c.us_per_delivery,
                100.0 * c.delivered
            )
        };
        let absent = |a: &Absent| format!("  {:<16} not measured: {}", a.name, a.why);
        self.costs
            .iter()
            .map(cost)
            .chain(self.absent.iter().map(absent))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_within_rounds() {
        let cost = |name: &str, runs_us: &[f64]| Cost {
            name: name.to_owned(),
            lane: Lane::Native,
            subscribers: 1,
            us_per_delivery: median(runs_us),
            runs_us: runs_us.to_vec(),
            delivered: 1.0,
            wake: None,
        };
        let figures = Figures {
            fps: FPS,
            size: "1080p",
            conditions: BTreeMap::new(),
            costs: vec![
                cost("slow", &[20.0, 80.0, 30.0]),
                // The second round was on a machine that was slow for everybody; in the third one nothing was left of it.
                cost("fast", &[10.0, 40.0, 0.0]),
                cost("failed", &[10.0]),
            ],
            stop_plan: stop_plan(Effort {
                rounds: 3,
                frames: 1,
                stop: [1; 3],
            }),
            stops: vec![],
            absent: vec![],
        };
        assert_eq!(figures.ratio("slow", "fast", 1), Some(2.0));
        assert_eq!(figures.ratio("slow", "failed", 1), None);
        assert_eq!(figures.ratio("slow", "fast", 4), None);
    }

    #[test]
    fn a_cost_is_the_median_of_its_runs() {
        let run = |deliveries, cpu_ns| Run {
            deliveries,
            cpu_ns,
            baseline_ns: 10_000,
            wake_ns: vec![5],
            torn: None,
        };
        let runs = [
            run(10, 110_000),
            run(10, 1_010_000),
            run(5, 60_000),
            run(0, 7),
        ];
        let cost = cost("bus", Lane::Native, 1, 10, &runs);
        assert!((cost.us_per_delivery - 10.0).abs() < 1e-9, "{cost:?}");
        assert!((cost.delivered - 25.0 / 40.0).abs() < 1e-9, "{cost:?}");
        assert_eq!(cost.wake.map(|w| w.samples), Some(4));
    }
}
