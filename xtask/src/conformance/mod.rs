//! `conformance`: every transport against every fault, in one service, with the table as the result.

mod console;
mod faults;
mod net;
mod pair;
mod report;
mod sequence;
mod shape;
mod transport;

use std::collections::VecDeque;
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use self::console::Console;
use self::faults::{Fault, Picture};
use self::net::Net;
use self::pair::{Lab, Outcome, Pair, lock, pairs};
use self::report::{Neighbour, Report, Row};
use self::transport::{PASSWORD, Transport};
use crate::cargo::{self, Profile, cargo};
use crate::error::Error;
use crate::paths;
use crate::rig::subscriber::Subscriber;
use crate::rig::watch::Watch;
use crate::rig::{self, config, service, service::Service};
use crate::setup::{self, Group};
use crate::signals;
use crate::test::Tally;
use crate::ui::Step;

/// The stream that must not notice anything, and its camera's number.
const NEIGHBOUR: &str = "neighbour";
const NEIGHBOUR_NUMBER: u16 = 0;
/// Longest time until it streams.
const STREAMING: Duration = Duration::from_secs(40);
const TICK: Duration = Duration::from_millis(200);
const PROFILE: Profile = Profile::Dev;

/// Arguments of `conformance`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print the table as one JSON object, as the last line
    #[arg(long)]
    json: bool,
    /// Decides everything that is left to chance
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Try only pairs whose transport or fault holds this text
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Try only this transport
    #[arg(long, value_name = "NAME", value_parser = transport)]
    transport: Option<Transport>,
    /// Each fault once, over one transport, none longer than 12 s: what `test` does
    #[arg(long)]
    short: bool,
    /// Pairs that are tried at the same time
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    jobs: u32,
    /// Don't check or install system packages
    #[arg(long)]
    no_setup: bool,
}

fn transport(text: &str) -> Result<Transport, String> {
    Transport::named(text).ok_or_else(|| {
        let names = Transport::ALL.map(Transport::name).join(", ");
        format!("no such transport; there are {names}")
    })
}

impl Args {
    fn is_whole(&self) -> bool {
        self.only.is_none() && self.transport.is_none() && !self.short
    }

    fn wants(&self, transport: Transport, fault: Fault) -> bool {
        self.transport.is_none_or(|wanted| wanted == transport)
            && self.only.as_ref().is_none_or(|text| {
                let text = text.to_lowercase();
                [transport.name(), fault.name()]
                    .iter()
                    .any(|name| name.to_lowercase().contains(&text))
            })
    }
}

/// Tries what is asked for, prints the table, and writes it to the docs if it is whole.
pub(crate) fn run(args: &Args) -> Result<(), Error> {
    if !args.no_setup {
        setup::ensure(&[Group::Run, Group::Test])?;
        setup::aiortc()?;
    }
    if let Some(why) = net::missing() {
        return Err(Error::NotMet(format!("the table can't be had here: {why}")));
    }
    rig::build(PROFILE)?;
    cargo::build(
        "build of the faults",
        cargo("build").args(["--package", "mos-wire-faults"]),
    )?;
    let plan = if args.short {
        Plan::short(args.seed)
    } else {
        Plan::whole(args.seed)
    };
    let plan = plan.only(|transport, fault| args.wants(transport, fault));
    let mut step = Step::begin(format!("{} pairs, seed {}", plan.pairs.len(), args.seed));
    let report = plan.carry_out(args.jobs, &mut |line| step.tick(line))?;
    step.end(if report.ok() { "done" } else { "FAILED" });
    if args.is_whole() {
        let path = paths::root().join("docs/conformance.md");
        fs::write(&path, report.document()).map_err(Error::path("write", &path))?;
    }
    print!("{}", report.text());
    for complaint in report.rows.iter().filter_map(Row::complaint) {
        println!("\n{complaint}");
    }
    println!("\n{}", report.verdict());
    if args.json {
        println!("{}", serde_json::json!(report));
    }
    if report.ok() {
        Ok(())
    } else {
        Err(Error::NotMet(
            "not all is as expected; the logs are in artifacts/conformance".to_owned(),
        ))
    }
}

/// Why the table can't be had on this machine.
pub(crate) fn missing() -> Option<String> {
    net::missing()
}

/// The short part, for `test`: counts pairs, and the camera beside them. Everything is built.
pub(crate) fn check(log: &Path, tick: &mut dyn FnMut(&str)) -> Result<Tally, Error> {
    const SEED: u64 = 1;
    const JOBS: u32 = 9;
    let report = Plan::short(SEED).carry_out(JOBS, tick)?;
    let complaints: Vec<_> = report.rows.iter().filter_map(Row::complaint).collect();
    let text = format!(
        "{}\n{}\n{}\n",
        report.text(),
        complaints.join("\n"),
        report.verdict()
    );
    crate::exec::create(log)?;
    fs::write(log, text).map_err(Error::path("write", log))?;
    let mut tally = Tally::one(report.neighbour.ok());
    for row in report.rows.iter().filter(|row| row.counts()) {
        tally += Tally::one(!row.failed());
    }
    Ok(tally)
}

/// What is to be tried.
#[derive(Debug)]
struct Plan {
    seed: u64,
    pairs: Vec<Pair>,
    not_applicable: Vec<(Transport, Fault, &'static str)>,
}

impl Plan {
    /// Everything.
    fn whole(seed: u64) -> Self {
        let (pairs, not_applicable) = pairs(&Transport::ALL, &Fault::ALL, seed);
        Self {
            seed,
            pairs,
            not_applicable,
        }
    }

    /// Each fault once, over a transport of the seed's choice.
    fn short(seed: u64) -> Self {
        let whole = Self::whole(seed);
        let mut pairs: Vec<Pair> = Vec::new();
        for fault in Fault::ALL {
            let of_fault: Vec<_> = whole
                .pairs
                .iter()
                .filter(|pair| pair.fault == fault)
                .collect();
            let turn = (seed as usize).wrapping_add(pairs.len());
            pairs.extend(turn.checked_rem(of_fault.len()).map(|index| Pair {
                course: fault.course().shortened(),
                ..*of_fault[index]
            }));
        }
        Self {
            seed,
            pairs,
            not_applicable: Vec::new(),
        }
    }

    fn only(mut self, wanted: impl Fn(Transport, Fault) -> bool) -> Self {
        self.pairs.retain(|pair| wanted(pair.transport, pair.fault));
        self.not_applicable
            .retain(|(transport, fault, _)| wanted(*transport, *fault));
        self
    }

    fn carry_out(self, jobs: u32, tick: &mut dyn FnMut(&str)) -> Result<Report, Error> {
        let began = Instant::now();
        let (lab, beside) = set_up(&self.pairs)?;
        let outcomes = try_all(&lab, &self.pairs, jobs, tick)?;
        let neighbour = beside.end(&lab)?;
        let shaper = lock(&lab.net).shaper().name();
        let Lab { watch, service, .. } = lab;
        drop(watch);
        service
            .into_inner()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .stop()?;
        let rows = self.pairs.iter().zip(outcomes);
        let mut report = Report {
            seed: self.seed,
            shaper,
            seconds: began.elapsed().as_secs_f64(),
            rows: rows
                .map(|(pair, outcome)| Row::tried(pair, outcome))
                .collect(),
            neighbour,
        };
        let rest = self.not_applicable.iter();
        report.rows.extend(
            rest.map(|(transport, fault, why)| Row::not_applicable(*transport, *fault, why)),
        );
        report.sort();
        Ok(report)
    }
}

/// The camera that has no fault.
struct Beside {
    subscriber: Subscriber,
    _server: Console,
}

/// The namespaces, the service with a stream for each pair, and the camera beside them, which streams.
fn set_up(pairs: &[Pair]) -> Result<(Lab, Beside), Error> {
    let mut net = Net::new(PROFILE)?;
    net.join(NEIGHBOUR_NUMBER)?;
    let mut server = transport::server(NEIGHBOUR_NUMBER, Picture::Usual, false);
    let server = Console::start(
        "the camera beside",
        "conformance/neighbour.log",
        &mut server,
    )?;
    let folder = service::folder()?;
    let authority = transport::authority()?;
    let text = configuration(&folder, &authority.root(), pairs)?;
    let command = net::within(&net::service(), cargo::program(PROFILE, service::PROGRAM));
    let service = Service::launch(PROFILE, folder, &text, command, "conformance/service.log")?;
    let ctl = service.ctl();
    let watch = Watch::start(&ctl)?;
    let streams = watch.wait(NEIGHBOUR, Instant::now() + STREAMING, |entries| {
        entries
            .last()
            .is_some_and(|entry| entry.state == "streaming")
    })?;
    if !streams {
        return Err(Error::NotMet(
            "the camera without a fault does not stream; see artifacts/conformance/service.log"
                .to_owned(),
        ));
    }
    let subscriber = Subscriber::start(&ctl, NEIGHBOUR, "table", &[])?;
    let lab = Lab {
        watch,
        ctl,
        service: Mutex::new(service),
        authority,
        profile: PROFILE,
        net: Mutex::new(net),
    };
    Ok((
        lab,
        Beside {
            subscriber,
            _server: server,
        },
    ))
}

/// The service's configuration, and the passwords that it names.
fn configuration(folder: &TempDir, root: &Path, pairs: &[Pair]) -> Result<String, Error> {
    let write = |file: &Path, text: &str| fs::write(file, text).map_err(Error::path("write", file));
    let mut text = config::service(folder.path());
    let file = folder.path().join("neighbour.password");
    write(&file, PASSWORD)?;
    text += &transport::camera(NEIGHBOUR, true);
    text += &Transport::RtspTcp.table(NEIGHBOUR, NEIGHBOUR_NUMBER, &file, root);
    for pair in pairs {
        let (stream, file) = (pair.stream(), pair.password_file(folder.path()));
        write(&file, pair.first_password())?;
        text += &transport::camera(&stream, false);
        text += &pair.transport.table(&stream, pair.number, &file, root);
    }
    Ok(text)
}

impl Beside {
    fn end(mut self, lab: &Lab) -> Result<Neighbour, Error> {
        let states = lab.watch.states(NEIGHBOUR);
        let since = states.iter().position(|entry| entry.state == "streaming");
        let silent_seconds = self.subscriber.silent_seconds()?;
        Ok(Neighbour {
            frames: self.subscriber.since_restart()?.frames,
            seen: states[since.unwrap_or(0)..]
                .iter()
                .map(|entry| entry.state.clone())
                .collect(),
            silent_seconds,
        })
    }
}

/// Tries pairs side by side, those that take long first. Answers in the order of `pairs`.
fn try_all(
    lab: &Lab,
    pairs: &[Pair],
    jobs: u32,
    tick: &mut dyn FnMut(&str),
) -> Result<Vec<Outcome>, Error> {
    let mut order: Vec<_> = (0..pairs.len()).collect();
    order.sort_by_key(|index| std::cmp::Reverse(pairs[*index].course.lasts));
    let queue = Mutex::new(VecDeque::from(order));
    let outcomes = Mutex::new(vec![None; pairs.len()]);
    let done = AtomicUsize::new(0);
    let work = || -> Result<(), Error> {
        loop {
            let Some(index) = lock(&queue).pop_front() else {
                return Ok(());
            };
            let outcome = pair::run(lab, &pairs[index]).inspect_err(|_| lock(&queue).clear())?;
            lock(&outcomes)[index] = Some(outcome);
            done.fetch_add(1, Ordering::Relaxed);
        }
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(work)).collect();
        while workers.iter().any(|worker| !worker.is_finished()) {
            signals::pause(TICK);
            tick(&format!(
                "{} of {} pairs",
                done.load(Ordering::Relaxed),
                pairs.len()
            ));
        }
        workers.into_iter().try_for_each(|worker| {
            worker.join().unwrap_or_else(|_| {
                Err(Error::NotMet("a thread of the table broke down".to_owned()))
            })
        })
    })?;
    let outcomes = outcomes
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    outcomes
        .into_iter()
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| Error::NotMet("not all pairs were tried".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_part_has_each_fault_once_and_all_transports() {
        for seed in [0, 1, 2] {
            let plan = Plan::short(seed);
            let faults: Vec<_> = plan.pairs.iter().map(|pair| pair.fault).collect();
            assert_eq!(faults, Fault::ALL);
            assert!(
                Transport::ALL
                    .iter()
                    .all(|transport| plan.pairs.iter().any(|pair| pair.transport == *transport))
            );
        }
    }
}
