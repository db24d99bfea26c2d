//! Benchmarks of mos-camera. Each prints its conditions, a table and its bars; with `--json` the last line is one object.

mod bus;
mod contender;
mod peers;
mod report;

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
    /// The frame bus: copies, cost of a delivery by frame size, one stopped subscriber.
    Bus(bus::BusArgs),
    /// A subscriber process of the bus benchmark; prints one JSON line when the stream ends.
    #[command(hide = true)]
    Subscribe(bus::SubscribeArgs),
    /// A process of a foreign system that the bus is measured against.
    #[command(hide = true)]
    Peer(peers::ProcessArgs),
}

fn main() -> ExitCode {
    let outcome = match Args::parse().command {
        Command::Bus(args) => bus::run(&args),
        Command::Subscribe(args) => bus::subscribe(&args).map(|()| true),
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
