//! `model`: the frame bus's protocol through every interleaving, by loom on the shipped code.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::cargo::cargo;
use crate::error::Error;
use crate::exec::{read_lossy, run_logged};
use crate::paths;
use crate::test::Tally;
use crate::ui::{self, Step};

/// Building and running, cold, on a slow and busy machine.
const LIMIT: Duration = Duration::from_mins(20);

/// Arguments of `model`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Run only the models whose name holds this text
    #[arg(value_name = "TEXT", default_value = "model::")]
    filter: String,
}

/// Runs the models and says which hold.
pub(crate) fn run(args: &Args) -> Result<(), Error> {
    let log = paths::artifacts().join("model.log");
    let mut step = Step::begin("models of the frame bus");
    let tally = check(&args.filter, &log, &mut |line| step.tick(line))?;
    let ok = tally.failed == 0;
    step.end(if ok { "ok" } else { "FAILED" });
    let text = read_lossy(&log)?;
    for line in text
        .lines()
        .filter(|line| !ok || line.starts_with("test model::"))
    {
        ui::say(line);
    }
    if ok {
        Ok(())
    } else {
        Err(Error::NotMet(format!("{} models failed", tally.failed)))
    }
}

/// Runs the models whose name holds `filter`, with all output in `log`; counts them.
pub(crate) fn check(filter: &str, log: &Path, tick: &mut dyn FnMut(&str)) -> Result<Tally, Error> {
    let mut tally = Tally::default();
    let count = |line: &str| tally += Tally::of_line(line).unwrap_or_default();
    let done = run_logged("models", &mut command(filter), log, LIMIT, count, tick)?;
    if tally.failed == 0 {
        done.require("models of the frame bus")?;
    }
    if tally.passed + tally.failed == 0 {
        return Err(Error::NotMet(format!("no model's name holds {filter:?}")));
    }
    Ok(tally)
}

fn command(filter: &str) -> Command {
    let mut command = cargo("test");
    command
        // Millions of short runs: optimised, and quick to link.
        .args(["--release", "--package", "mos-frame", "--lib"])
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_DEBUG", "false")
        // A folder of its own, since the flag would rebuild everything in the usual one.
        .env("CARGO_TARGET_DIR", paths::target().join("model"))
        .env("RUSTFLAGS", "--cfg mos_loom")
        .arg(filter);
    command
}
