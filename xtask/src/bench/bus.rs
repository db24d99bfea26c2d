//! `bench bus`: the bus's own benchmark program, as a release build.

use crate::cargo::{Profile, build, cargo, program};
use crate::error::Error;
use crate::exec::Running;
use crate::signals;

use std::process::Command;
use std::time::Duration;

const LOOK: Duration = Duration::from_millis(200);

/// Arguments of `bench bus`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print the figures as one JSON object, as the last line
    #[arg(long)]
    json: bool,
    /// Further arguments for `mos-bench bus`
    #[arg(last = true)]
    rest: Vec<String>,
}

/// Builds and runs it; its exit code says whether its bars hold.
pub(crate) fn run(args: &Args) -> Result<(), Error> {
    build(
        "benchmark build",
        cargo("build").args(["--release", "--package", "mos-bench"]),
    )?;
    let mut command = Command::new(program(Profile::Release, "mos-bench"));
    command
        .arg("bus")
        .args(args.json.then_some("--json"))
        .args(&args.rest);
    let mut bench = Running::spawn("mos-bench", &mut command)?;
    loop {
        if let Some(status) = bench.wait_timeout(LOOK)? {
            let failed = || {
                Error::NotMet(format!(
                    "mos-bench bus ended with {}",
                    crate::exec::describe(status)
                ))
            };
            return if status.success() {
                Ok(())
            } else {
                Err(failed())
            };
        }
        signals::check()?;
    }
}
