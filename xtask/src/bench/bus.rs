//! `bench bus`: the bus's own benchmark program, as a release build.

use super::conditions::Conditions;
use super::peers;
use crate::cargo::{Profile, build, cargo, program};
use crate::error::Error;
use crate::exec::{Running, capture};
use crate::paths;
use crate::signals;
use crate::ui::Step;

use std::path::PathBuf;
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
    /// Three minutes instead of a quarter of an hour: the same bars on shorter runs
    #[arg(long)]
    quick: bool,
    /// Where table, plots and figures are written; default docs/benchmarks, and artifacts/bench for a quick run or a part
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Print the figures as one JSON object, as the last line
    #[arg(long)]
    json: bool,
    /// Further arguments for `mos-bench bus`
    #[arg(last = true)]
    rest: Vec<String>,
}

impl Args {
    /// Only a whole run replaces the figures that are under version control.
    fn folder(&self) -> PathBuf {
        let whole = !self.quick && self.rest.is_empty();
        match &self.out {
            Some(folder) => paths::invoked_from().join(folder),
            None if whole => paths::root().join("docs/benchmarks"),
            None => paths::artifacts().join("bench"),
        }
    }

    /// Conditions that the program itself can't know.
    fn notes(&self) -> Result<Vec<String>, Error> {
        let date = capture("date", Command::new("date").args(["-u", "+%F %R UTC"]))?;
        let mut notes = Conditions::now()?.notes();
        notes.push(("date", date.trim().to_owned()));
        notes.push(("command", self.command_line()));
        let arguments =
            |(name, value): (&str, String)| ["--note".into(), format!("{name}={value}")];
        Ok(notes.into_iter().flat_map(arguments).collect())
    }

    fn command_line(&self) -> String {
        let flags = [
            (self.peers, "--peers"),
            (self.quick, "--quick"),
            (self.json, "--json"),
        ];
        let set = flags.iter().filter(|(set, _)| *set).map(|(_, flag)| *flag);
        let mut line = vec!["cargo xtask bench bus"];
        line.extend(set);
        if !self.rest.is_empty() {
            line.push("--");
            line.extend(self.rest.iter().map(String::as_str));
        }
        line.join(" ")
    }
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
        .args(args.quick.then_some("--quick"))
        .arg("--out")
        .arg(args.folder())
        .args(args.notes()?)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn args(quick: bool, rest: &[&str]) -> Args {
        Args {
            peers: true,
            quick,
            out: None,
            json: false,
            rest: rest.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn only_a_whole_run_replaces_the_committed_figures() {
        let cases = [
            (args(false, &[]), "docs/benchmarks"),
            (args(true, &[]), "artifacts/bench"),
            (args(false, &["--only", "wake"]), "artifacts/bench"),
        ];
        for (args, folder) in cases {
            assert_eq!(args.folder(), paths::root().join(folder), "{args:?}");
        }
    }

    #[test]
    fn the_command_line_can_be_typed_again() {
        let line = args(true, &["--only", "wake"]).command_line();
        assert_eq!(line, "cargo xtask bench bus --peers --quick -- --only wake");
    }
}
