//! `bench ip`: network cameras of a real server in a real service, against the bars for cameras that stay up.

mod clocks;
mod dead;
mod first_frame;
mod latency;
mod many;
mod proxy;
mod reconnects;
mod site;
mod viewer;

use std::time::Duration;

use clap::ValueEnum;
use serde::Serialize;

use super::bars::Bar;
use super::cameras::verdict;
use super::conditions::Conditions;
use crate::cargo::{self, Profile, cargo};
use crate::error::Error;
use crate::ui::table;

/// Arguments of `bench ip`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What to measure; all if nothing is named
    #[arg(value_enum)]
    parts: Vec<Part>,
    /// Short runs with the same bars, to try it: about five minutes in all
    #[arg(long)]
    quick: bool,
    /// Reconnections of `reconnects` (300)
    #[arg(long)]
    cycles: Option<u32>,
    /// Starts of `first-frame` (40)
    #[arg(long)]
    starts: Option<u32>,
    /// Cameras of `dead` (32)
    #[arg(long)]
    dead_cameras: Option<u32>,
    /// Seconds of each other part's run (dead, latency, clocks: 600; many: 60)
    #[arg(long)]
    seconds: Option<u64>,
    /// Measure the development profile, which is built faster and is slower
    #[arg(long)]
    dev: bool,
    /// Print the figures as one JSON object, as the last line
    #[arg(long)]
    json: bool,
}

/// A measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// One stream, cut off again and again: memory, descriptors, threads
    Reconnects,
    /// 16 cameras of 640x360 at 15 fps
    Many,
    /// 32 cameras that are dead, then all back at once
    Dead,
    /// From `StartCapture` to the first frame, of a camera with a key frame a second
    FirstFrame,
    /// From a frame's last packet to its publication, without a jitter buffer, beside a slow subscriber
    Latency,
    /// A frame's time of day against the camera's own, over a wire with 50 ms of jitter
    Clocks,
}

/// How much of everything.
#[derive(Debug, Clone, Copy)]
struct Extent {
    profile: Profile,
    cycles: u32,
    starts: u32,
    dead_cameras: u32,
    seconds: Option<u64>,
    quick: bool,
}

impl Extent {
    fn of(args: &Args) -> Self {
        let or = |given: Option<u32>, quick, whole| {
            given.unwrap_or(if args.quick { quick } else { whole })
        };
        Self {
            profile: if args.dev {
                Profile::Dev
            } else {
                Profile::Release
            },
            cycles: or(args.cycles, 20, 300),
            starts: or(args.starts, 10, 40),
            dead_cameras: or(args.dead_cameras, 8, 32),
            seconds: args.seconds,
            quick: args.quick,
        }
    }

    /// Length of a run.
    fn seconds(&self, quick: u64, whole: u64) -> u64 {
        self.seconds
            .unwrap_or(if self.quick { quick } else { whole })
    }

    fn time(&self, quick: u64, whole: u64) -> Duration {
        Duration::from_secs(self.seconds(quick, whole))
    }
}

/// What a part found.
#[derive(Debug, Serialize)]
struct Findings {
    part: &'static str,
    /// What was measured beside the bars, with units, and under which conditions.
    facts: Vec<(String, String)>,
    bars: Vec<Bar>,
}

impl Findings {
    fn new(part: &'static str) -> Self {
        Self {
            part,
            facts: Vec::new(),
            bars: Vec::new(),
        }
    }

    fn fact(&mut self, name: &str, value: impl Into<String>) {
        self.facts.push((name.to_owned(), value.into()));
    }
}

#[derive(Debug, Serialize)]
struct Report {
    bench: &'static str,
    conditions: Conditions,
    parts: Vec<Findings>,
    /// Parts that could not be measured, with the reason.
    failed: Vec<(String, String)>,
}

/// Measures and judges.
pub(crate) fn run(args: &Args) -> Result<(), Error> {
    let extent = Extent::of(args);
    build(extent.profile)?;
    let (mut parts, mut failed) = (Vec::new(), Vec::new());
    for part in chosen(&args.parts) {
        match measure(part, &extent) {
            Ok(findings) => {
                print!("{}", findings.text());
                parts.push(findings);
            }
            Err(Error::Interrupted) => return Err(Error::Interrupted),
            Err(error) => {
                println!("{part:?} could not be measured: {error}");
                failed.push((format!("{part:?}"), error.to_string()));
            }
        }
    }
    let report = Report {
        bench: "ip",
        conditions: Conditions::now()?,
        parts,
        failed,
    };
    if args.json {
        println!("{}", serde_json::json!(report));
    }
    if let Some((part, _)) = report.failed.first() {
        return Err(Error::NotMet(format!("{part} could not be measured")));
    }
    let bars: Vec<_> = report.parts.into_iter().flat_map(|p| p.bars).collect();
    verdict(&bars)
}

/// Service, command line, plugin and the benchmark's own subscriber, in one call: two would build what they share twice.
fn build(profile: Profile) -> Result<(), Error> {
    let mut command = cargo("build");
    command
        .args(cargo::product_args())
        .args(["--package", "mos-bench"]);
    command.args((profile == Profile::Release).then_some("--release"));
    cargo::build("build", &mut command).map(drop)
}

fn chosen(named: &[Part]) -> Vec<Part> {
    if named.is_empty() {
        Part::value_variants().to_vec()
    } else {
        named.to_vec()
    }
}

fn measure(part: Part, extent: &Extent) -> Result<Findings, Error> {
    match part {
        Part::Reconnects => reconnects::measure(extent),
        Part::Many => many::measure(extent),
        Part::Dead => dead::measure(extent),
        Part::FirstFrame => first_frame::measure(extent),
        Part::Latency => latency::measure(extent),
        Part::Clocks => clocks::measure(extent),
    }
}

impl Findings {
    fn text(&self) -> String {
        let mut bars = vec![
            [self.part, "", "value", "limit"]
                .map(str::to_owned)
                .to_vec(),
        ];
        bars.extend(self.bars.iter().map(Bar::cells));
        let mut text = table(&bars, 2);
        for (name, value) in &self.facts {
            text.extend(["  ", name, ": ", value, "\n"]);
        }
        text + "\n"
    }
}

/// The value below which this part of the values lies; not a number without any.
fn quantile(values: &[f64], part: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let index = (part * sorted.len() as f64).ceil() as usize;
    sorted
        .get(index.saturating_sub(1))
        .copied()
        .unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_were_measured() {
        let values: Vec<_> = (1..=100).rev().map(f64::from).collect();
        for (part, value) in [(0.0, 1.0), (0.5, 50.0), (0.99, 99.0), (1.0, 100.0)] {
            assert!(
                (quantile(&values, part) - value).abs() < f64::EPSILON,
                "{part}"
            );
        }
        assert!(quantile(&[], 0.5).is_nan());
    }
}
