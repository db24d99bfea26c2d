//! The bus benchmark: a producer here, subscribers in processes of their own.

mod cost;
mod crowd;
mod document;
mod duel;
mod findings;
mod floor;
mod leases_back;
mod native;
mod plan;
mod plots;
mod process;
mod producer;
mod publish_time;
mod scenario;
mod subscriber;
mod syscalls;
mod wake;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use clap::{Args, Subcommand};
use serde::Serialize;

use crate::contender::Error;
use crate::peers::PeerArgs;
use crate::report::{Bar, Conditions, Verdict, load_average};
use findings::Findings;
use plan::{Plan, Section};
use scenario::Kind;

#[derive(Debug, Args)]
pub(crate) struct BusArgs {
    /// Print one JSON object as the last line
    #[arg(long)]
    json: bool,
    /// Three minutes instead of a quarter of an hour: the same bars on shorter runs
    #[arg(long)]
    quick: bool,
    /// Write the table, the plots and the figures into this folder
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Only these parts; bars of the others count as not measured
    #[arg(long, value_enum, value_name = "PART")]
    only: Vec<Section>,
    /// Seed of all random schedules; else by the clock
    #[arg(long)]
    seed: Option<u64>,
    /// A condition to print with the others, such as commit=1a2b3c
    #[arg(long, value_name = "NAME=VALUE", value_parser = note)]
    note: Vec<(String, String)>,
    #[command(flatten)]
    peers: PeerArgs,
}

fn note(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// What this program is in a run, besides the benchmark itself.
#[derive(Debug, Subcommand)]
pub(crate) enum Role {
    /// A subscriber of the bus benchmark; prints one JSON line when the stream ends.
    #[command(hide = true)]
    Subscribe(subscriber::SubscribeArgs),
    /// A process that is woken by the bus and by the floors.
    #[command(hide = true)]
    Listen(wake::ListenArgs),
    /// A subscriber of the floor of what a delivery costs.
    #[command(hide = true)]
    Floor(floor::FloorArgs),
    /// A subscriber that holds frames until it is killed.
    #[command(hide = true)]
    Hold(leases_back::HoldArgs),
    /// A producer whose system calls are counted.
    #[command(hide = true)]
    CountPublish(syscalls::CountPublishArgs),
}

/// Plays a role.
pub(crate) fn play(role: &Role) -> Result<(), Error> {
    match role {
        Role::Subscribe(args) => subscriber::subscribe(args),
        Role::Listen(args) => wake::listen(args),
        Role::Floor(args) => floor::receive(args),
        Role::Hold(args) => leases_back::hold(args),
        Role::CountPublish(args) => syscalls::count_publish(args),
    }
}

/// All of it, as the JSON line has it.
#[derive(Debug, Serialize)]
struct Report {
    benchmark: &'static str,
    quick: bool,
    conditions: Conditions,
    seed: u64,
    seconds: f64,
    load_after: String,
    figures: Findings,
    /// Parts that were asked for and could not be measured, and why.
    failed: BTreeMap<&'static str, String>,
    bars: Vec<Bar>,
}

/// Runs everything; true if no bar was missed and no part failed.
pub(crate) fn run(args: &BusArgs) -> Result<bool, Error> {
    let notes = args.note.iter().cloned().collect();
    let conditions = Conditions::here(notes);
    for (name, value) in conditions.rows() {
        println!("{name:<16} {value}");
    }
    let seed = args.seed.unwrap_or_else(mos_frame::monotonic_ns);
    let started = Instant::now();
    let mut run = Run {
        plan: if args.quick { Plan::QUICK } else { Plan::FULL },
        seed,
        args,
        figures: Findings::default(),
        failed: BTreeMap::new(),
    };
    run.all();
    let report = Report {
        benchmark: "bus",
        quick: args.quick,
        conditions,
        seed,
        seconds: started.elapsed().as_secs_f64(),
        load_after: load_average(),
        bars: run.figures.bars(),
        figures: run.figures,
        failed: run.failed,
    };
    report.print();
    if let Some(folder) = &args.out {
        report.write(folder)?;
    }
    if args.json {
        println!("{}", serde_json::to_string(&report)?);
    }
    Ok(report.failed.is_empty() && report.bars.iter().all(|bar| bar.verdict != Verdict::Missed))
}

/// A run under way.
struct Run<'a> {
    plan: Plan,
    seed: u64,
    args: &'a BusArgs,
    figures: Findings,
    failed: BTreeMap<&'static str, String>,
}

impl Run<'_> {
    fn all(&mut self) {
        let (plan, seed) = (self.plan, self.seed);
        self.part(Section::Syscalls, "system calls", |f, _| {
            let figures = syscalls::measure()?;
            println!("{}", figures.line());
            f.system_calls = Some(figures);
            Ok(())
        });
        self.part(Section::Leases, "leases back after SIGKILL", |f, _| {
            f.leases_back = leases_back::measure(plan.kills, seed)?;
            f.leases_back.iter().for_each(|l| println!("{}", l.line()));
            Ok(())
        });
        self.part(Section::Cost, "cost of a delivery by size", |f, _| {
            let figures = cost::measure(plan.pairs, seed)?;
            println!("{}", figures.line());
            f.cost_by_size = Some(figures);
            Ok(())
        });
        self.part(Section::Wake, "wake-up beside the floors", |f, _| {
            let figures = wake::measure(plan.wake, seed)?;
            figures.lines().iter().for_each(|l| println!("{l}"));
            f.wake = Some(figures);
            Ok(())
        });
        self.part(
            Section::PublishTime,
            "publish time, a subscriber stopped",
            |f, _| {
                let figures = publish_time::measure(plan.publish_time_s, seed)?;
                println!("{}", figures.line());
                f.publish_time = Some(figures);
                Ok(())
            },
        );
        self.part(Section::Crowd, "64 subscribers", |f, _| {
            let figures = crowd::measure(plan.crowd_s)?;
            println!("{}", figures.line());
            f.crowd = Some(figures);
            Ok(())
        });
        self.part(Section::Scenarios, "misbehaving subscribers", |f, _| {
            for (kind, seconds) in [
                (Kind::Control, plan.stopped_s),
                (Kind::Stopped, plan.stopped_s),
                (Kind::Slow, plan.others_s),
                (Kind::Killed, plan.others_s),
            ] {
                let outcome = scenario::run(kind, seconds)?;
                println!("{}", outcome.line());
                f.scenarios.push(outcome);
            }
            Ok(())
        });
        self.part(Section::Contenders, "beside other systems", |f, args| {
            let figures = duel::measure(plan.duel, &args.peers, seed)?;
            figures.lines().iter().for_each(|l| println!("{l}"));
            f.contenders = Some(figures);
            Ok(())
        });
    }

    /// Runs a part, if it is wanted. One that fails does not take the others' figures with it.
    fn part(
        &mut self,
        section: Section,
        name: &'static str,
        measure: impl FnOnce(&mut Findings, &BusArgs) -> Result<(), Error>,
    ) {
        if !self.args.only.is_empty() && !self.args.only.contains(&section) {
            return;
        }
        println!("\n{name}");
        let started = Instant::now();
        match measure(&mut self.figures, self.args) {
            Ok(()) => println!("  ({:.0} s)", started.elapsed().as_secs_f64()),
            Err(error) => {
                println!("  NOT MEASURED: {error}");
                self.failed.insert(name, error.to_string());
            }
        }
    }
}

impl Report {
    fn print(&self) {
        println!("\nbars, after {:.0} s", self.seconds);
        for bar in &self.bars {
            println!("  {:<12}  {}", bar.word(), bar.name);
            println!("                bar     {}", bar.demand);
            println!("                figure  {}", bar.figure);
            if !bar.conditions.is_empty() {
                println!("                with    {}", bar.conditions);
            }
        }
    }

    /// Writes the table, the plots and the figures.
    fn write(&self, folder: &std::path::Path) -> Result<(), Error> {
        std::fs::create_dir_all(folder)?;
        let plots = plots::draw(folder, &self.figures)?;
        std::fs::write(folder.join("bus.md"), document::text(self, &plots))?;
        let json = serde_json::to_string_pretty(self)?;
        std::fs::write(folder.join("bus.json"), json + "\n")?;
        println!("\nwritten: {}", folder.join("bus.md").display());
        Ok(())
    }
}
