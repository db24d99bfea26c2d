//! `bench`: measurements with bars. Each prints progress and a table; with `--json` its last line is one object.

mod bars;
mod bus;
mod cameras;
mod conditions;
mod ip;
mod peers;

use clap::Subcommand;

use crate::error::Error;
use crate::setup::{self, Group};

/// Arguments of `bench`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Don't check or install system packages
    #[arg(long, global = true)]
    no_setup: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The frame bus: wake-up, publish time, cost, misbehaving subscribers, beside floors and foreign systems
    Bus(bus::Args),
    /// Many cameras in one service, a subscriber each
    Cameras(cameras::Args),
    /// Network cameras: reconnections, many, dead ones, first frame, latency, clocks
    Ip(ip::Args),
}

/// Runs one benchmark; fails if a bar does not hold.
pub(crate) fn run(args: &Args) -> Result<(), Error> {
    if !args.no_setup {
        setup::ensure(match &args.command {
            // The peers' GStreamer is made the way of the lab's guest.
            Command::Bus(bus) if bus.peers => &[Group::Build, Group::Run, Group::Bench, Group::Lab],
            Command::Bus(_) => &[Group::Build, Group::Run, Group::Bench],
            Command::Cameras(_) | Command::Ip(_) => &[Group::Build, Group::Run],
        })?;
    }
    match &args.command {
        Command::Bus(args) => bus::run(args),
        Command::Cameras(args) => cameras::run(args),
        Command::Ip(args) => ip::run(args),
    }
}
