//! The bus benchmark: a producer here, subscribers in processes of their own.

mod cost;
mod producer;
mod stopped;
mod subscriber;

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

pub(crate) use crate::contender::Error;
use crate::peers::PeerArgs;
use crate::report::{Bar, Conditions};
pub(crate) use subscriber::{SubscribeArgs, subscribe};

#[derive(Debug, Args)]
pub(crate) struct BusArgs {
    /// Print one JSON object as the last line.
    #[arg(long)]
    json: bool,
    /// Seconds of the run with a stopped subscriber, and of its control run.
    #[arg(long, default_value_t = 20)]
    seconds: u32,
    /// Pairs of VGA and 4K runs for the cost of a delivery.
    #[arg(long, default_value_t = 15)]
    pairs: u32,
    #[command(flatten)]
    peers: PeerArgs,
}

#[derive(Debug, Serialize)]
struct Report {
    benchmark: &'static str,
    conditions: Conditions,
    cost_by_size: cost::Figures,
    stopped_subscriber: stopped::Figures,
    bars: Vec<Bar>,
}

/// Runs everything; true if every bar holds.
pub(crate) fn run(args: &BusArgs) -> Result<bool, Error> {
    let conditions = Conditions::here();
    println!("bus benchmark on {conditions:?}");
    let cost_by_size = cost::measure(args.pairs)?;
    let stopped_subscriber = stopped::measure(args.seconds)?;
    let mut bars = cost_by_size.bars();
    bars.extend(stopped_subscriber.bars());
    println!();
    for bar in &bars {
        let verdict = if bar.ok { "ok" } else { "MISSED" };
        println!(
            "{:<60} {:>10.4}  limit {:>8.3}  {verdict}",
            bar.name, bar.value, bar.limit
        );
    }
    let all_hold = bars.iter().all(|bar| bar.ok);
    if args.json {
        let report = Report {
            benchmark: "bus",
            conditions,
            cost_by_size,
            stopped_subscriber,
            bars,
        };
        println!("{}", serde_json::to_string(&report)?);
    }
    Ok(all_hold)
}

/// A stream in a folder of its own.
#[derive(Debug)]
struct Place {
    path: PathBuf,
    _dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Result<Self, Error> {
        let dir = tempfile::tempdir()?;
        let path = mos_frame::socket_path(dir.path(), "bench");
        Ok(Self { path, _dir: dir })
    }
}
