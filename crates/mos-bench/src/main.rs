//! Benchmarks of mos-camera. Each prints its conditions, a table and its bars; with `--json` the last line is one object.

mod bus;
mod contender;
mod frames;
mod peers;
mod report;
mod stats;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(about, long_about = None)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The frame bus: wake-up, publish time, cost, misbehaving subscribers, beside floors and foreign systems
    Bus(bus::BusArgs),
    #[command(flatten)]
    Role(bus::Role),
    /// A subscriber that tells of each frame.
    #[command(hide = true)]
    Frames(frames::FramesArgs),
    /// A process of a foreign system that the bus is measured against.
    #[command(hide = true)]
    Peer(peers::ProcessArgs),
}

fn main() -> ExitCode {
    let outcome = match Args::parse().command {
        Command::Bus(args) => bus::run(&args),
        Command::Role(role) => bus::play(&role).map(|()| true),
        Command::Frames(args) => frames::run(&args).map(|()| true),
        Command::Peer(args) => peers::process(&args).map(|()| true),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        // Every bar was measured, at least one was missed.
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("mos-bench: {error}");
            ExitCode::from(2)
        }
    }
}
