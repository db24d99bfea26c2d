//! Everything a developer runs on mos-camera besides cargo itself: set-up, tests, demo, benchmarks, the camera lab.
//!
//! Progress goes to standard error, results to standard output. Exit codes: 0 done, 1 failed, 2 wrong usage,
//! 130 interrupted.

mod bench;
mod build;
mod cargo;
mod conformance;
mod debian;
mod demo;
mod dist;
mod error;
mod exec;
mod fuzz;
mod install;
mod lab;
mod lock;
mod model;
mod paths;
mod rig;
mod setup;
mod signals;
mod test;
mod ui;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::error::Error;

/// Set-up, tests, demo, benchmarks and the camera lab of mos-camera.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Install what building, running and testing need, after saying what and why
    Setup(setup::Args),
    /// Check everything: format, lints, docs, tests with real peers, the production build, the camera lab
    Test(test::Args),
    /// Show frames of several cameras arriving in other processes, live
    Demo(demo::Args),
    /// Network cameras against every fault of the wire: the table of docs/conformance.md
    Conformance(conformance::Args),
    /// Measure
    Bench(bench::Args),
    /// Run the frame bus's protocol through every interleaving
    Model(model::Args),
    /// Feed the frame bus, and what reads network cameras, what a fuzzer makes up
    Fuzz(fuzz::Args),
    /// The virtual camera lab: a Debian guest with real camera drivers
    Lab(lab::Args),
    /// Build the programs and the GStreamer plugin
    Build(build::Args),
    /// Build the Python package for development and production, and run its tests
    Python,
    /// Make Debian packages of the production build
    Dist(dist::Args),
    /// Build and install programs, GStreamer plugin and C library, below a prefix
    Install(install::Args),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match signals::install().and_then(|()| run(cli.command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Error::Interrupted) => {
            eprintln!("interrupted");
            ExitCode::from(130)
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<(), Error> {
    match command {
        Command::Setup(args) => setup::run(&args),
        Command::Test(args) => test::run(&args),
        Command::Conformance(args) => conformance::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Model(args) => model::run(&args),
        Command::Fuzz(args) => fuzz::run(&args),
        Command::Lab(args) => lab::run(args),
        Command::Dist(args) => dist::run(&args),
        Command::Build(args) => build::run(&args),
        Command::Install(args) => install::run(&args),
        Command::Python => test::run_python(),
    }
}
