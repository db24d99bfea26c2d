//! `bench bus`: the bus's own benchmark program, as a release build.

use super::peers;
use crate::cargo::{Profile, build, cargo, program};
use crate::error::Error;
use crate::exec::Running;
use crate::signals;
use crate::ui::Step;

use std::process::Command;
use std::time::Duration;

/// The plugin is measured beside the peers' elements.
const WITH_PEERS: [&str; 4] = [
    "--package",
    "gst-plugin-mos",
    "--features",
    "mos-bench/iceoryx2",
];
const LOOK: Duration = Duration::from_millis(200);

/// Arguments of `bench bus`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Measure shmsink, unixfdsink and iceoryx2 in the same run (makes a folder of 60 MB with Debian 13's GStreamer)
    #[arg(long)]
    pub(super) peers: bool,
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
        cargo("build")
            .args(["--release", "--package", "mos-bench"])
            .args(args.peers.then_some(WITH_PEERS).into_iter().flatten()),
    )?;
    let mut command = Command::new(program(Profile::Release, "mos-bench"));
    command
        .arg("bus")
        .args(args.json.then_some("--json"))
        .args(&args.rest);
    if args.peers {
        let mut step = Step::begin("Debian 13's GStreamer, for the peers");
        let root = peers::root(&mut |line| step.tick(line))?;
        step.end("ready");
        command.arg("--peers").arg("--peer-root").arg(root);
    }
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
