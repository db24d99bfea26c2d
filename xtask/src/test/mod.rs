//! `test`: everything that is checked before a change lands, and one summary at the end.

mod digest;
pub(crate) mod production;
pub(crate) mod python;
mod refusal;
mod report;
mod runner;
mod tally;

use std::path::PathBuf;
use std::process::Command;

use crate::cargo::{cargo, product_args};
use crate::conformance;
use crate::error::Error;
use crate::exec;
use crate::fuzz;
use crate::lab;
use crate::model;
use crate::paths;
use crate::setup::{self, Group};
use crate::ui;

use self::report::Report;
use self::runner::Runner;
pub(crate) use self::tally::Tally;

/// Arguments of `test`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Leave the virtual camera lab out
    #[arg(long)]
    no_lab: bool,
    /// Run only the tests whose name holds this text: no models, no fuzzing, no production build, no lab
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Don't check or install system packages
    #[arg(long)]
    no_setup: bool,
}

impl Args {
    /// Why the lab is left out, if it is.
    fn without_lab(&self) -> Option<&'static str> {
        match (self.no_lab, &self.filter) {
            (true, _) => Some("--no-lab was given"),
            (false, Some(_)) => Some("--filter was given"),
            (false, None) => None,
        }
    }
}

/// Runs all steps, also after a failed one as far as they make sense without it.
pub(crate) fn run(args: &Args) -> Result<(), Error> {
    let mut report = Report::default();
    match all_steps(args, &mut report) {
        Err(Error::Interrupted) => return Err(Error::Interrupted),
        Err(error) => report.failed("the run itself", &error.to_string()),
        Ok(()) => {}
    }
    report.print();
    if report.ok() {
        Ok(())
    } else {
        Err(Error::NotMet("the checks above failed".to_owned()))
    }
}

fn all_steps(args: &Args, report: &mut Report) -> Result<(), Error> {
    let peers = prepare(args)?;
    let skips = paths::artifacts().join("test/skipped.txt");
    exec::create(&skips)?;
    let steps = 7 + 7 * u32::from(args.filter.is_none()) + u32::from(args.without_lab().is_none());
    let mut runner = Runner::new(report, steps);

    runner.check("format", cargo("fmt").args(["--all", "--check"]))?;
    runner.check("lints", &mut clippy(&["--workspace", "--all-targets"]))?;
    runner.check(
        "lints of the production build",
        &mut clippy(&production_args()),
    )?;
    runner.check(
        "docs",
        cargo("doc")
            .args(["--workspace", "--no-deps"])
            .env("RUSTDOCFLAGS", "-D warnings"),
    )?;
    let built = runner.check("build", cargo("build").arg("--workspace"))?
        && runner.check(
            "build of the tests",
            cargo("test").args(["--workspace", "--no-run"]),
        )?;
    if !built {
        runner.skip("tests, production build and camera lab", "the build failed");
        return Ok(());
    }
    let mut tests = cargo("test");
    tests
        .args(["--workspace", "--no-fail-fast"])
        .args(args.filter.as_deref());
    runner.tests(
        "tests",
        tests
            .env("MOS_GRPCURL", &peers.grpcurl)
            .env("MOS_WHEP_PYTHON", &peers.aiortc)
            .env("MOS_WHEPSERVERSINK", &peers.whepserversink)
            .env("MOS_IPYCAM_PYTHON", &peers.ipycam)
            .env("MOS_SKIP_REPORT", &skips),
        &skips,
    )?;
    if args.filter.is_none() {
        runner.work("models of the frame bus", |log, tick| {
            model::check("model::", log, tick)
        })?;
        runner.work("fuzzing", fuzz::check)?;
        match conformance::missing() {
            Some(why) => runner.skip("network cameras and their faults", &why),
            None => runner.work("network cameras and their faults", conformance::check)?,
        }
        python_package(&mut runner)?;
        runner.work("production build", production::check)?;
    } else {
        runner.skip(
            "models, fuzzing, network cameras, Python package, production build",
            "--filter was given",
        );
    }
    match args.without_lab() {
        Some(why) => runner.skip("camera lab", why),
        None => runner.work("camera lab", |log, tick| lab::run_suite(&[], log, tick))?,
    }
    Ok(())
}

/// Builds and tries the Python package alone.
pub(crate) fn run_python() -> Result<(), Error> {
    let mut report = Report::default();
    python_package(&mut Runner::new(&mut report, 3))?;
    report.print();
    if report.ok() {
        Ok(())
    } else {
        Err(Error::NotMet("the checks above failed".to_owned()))
    }
}

/// Nothing of the package is tried if it can't be built.
fn python_package(runner: &mut Runner<'_>) -> Result<(), Error> {
    let mut built = false;
    runner.work("Python package", |log, tick| {
        let tally = python::build(log, tick)?;
        built = true;
        Ok(tally)
    })?;
    if !built {
        runner.skip("tests of the Python package", "its build failed");
        return Ok(());
    }
    let skips = paths::artifacts().join("test/skipped-python.txt");
    exec::create(&skips)?;
    for (name, variant) in [
        ("Python tests", python::Variant::Development),
        ("Python tests of production", python::Variant::Production),
    ] {
        runner.tests(name, &mut python::tests(variant)?, &skips)?;
    }
    Ok(())
}

/// Peers from `PyPI` and crates.io.
struct Peers {
    grpcurl: PathBuf,
    /// A Python interpreter that has it.
    aiortc: PathBuf,
    /// Likewise.
    ipycam: PathBuf,
    whepserversink: PathBuf,
}

/// All that the steps need; answers where the peers are.
fn prepare(args: &Args) -> Result<Peers, Error> {
    if !args.no_setup {
        let lab = args.without_lab().is_none().then_some(Group::Lab);
        let groups: Vec<_> = [Group::Build, Group::Run, Group::Test, Group::Bench]
            .into_iter()
            .chain(lab)
            .collect();
        setup::ensure(&groups)?;
    }
    let peers = Peers {
        grpcurl: setup::grpcurl()?,
        aiortc: setup::aiortc()?,
        ipycam: setup::ipycam()?,
        whepserversink: setup::whepserversink()?,
    };
    ui::say("set-up is complete");
    Ok(peers)
}

fn production_args() -> Vec<String> {
    product_args()
        .into_iter()
        .chain(
            [
                "--package",
                "mos-frame-c",
                "--package",
                "mos-frame-python",
                "--no-default-features",
            ]
            .map(str::to_owned),
        )
        .collect()
}

fn clippy<S: AsRef<str>>(selection: &[S]) -> Command {
    let mut command = cargo("clippy");
    command
        .args(selection.iter().map(AsRef::as_ref))
        .args(["--", "-D", "warnings"]);
    command
}
