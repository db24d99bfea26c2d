//! The Python package: built as wheels for development and production, installed, tried with a real producer.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::cargo::{Profile, cargo, program};
use crate::error::Error;
use crate::exec::run_logged;
use crate::paths;
use crate::setup;
use crate::test::tally::Tally;

const LIMIT: Duration = Duration::from_mins(20);

/// Which wheel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variant {
    /// With `NumPy` views of the pixels.
    Development,
    /// With nothing that reads pixels.
    Production,
}

impl Variant {
    const ALL: [Self; 2] = [Self::Development, Self::Production];

    const fn name(self) -> &'static str {
        match self {
            Self::Development => "development",
            Self::Production => "production",
        }
    }

    /// Where the wheel is unpacked: neither the system's Python nor a shared environment gets to see it.
    fn site(self) -> PathBuf {
        folder().join(self.name())
    }
}

/// maturin tells `PyO3` which interpreter it builds for; in cargo's usual folder that would build `PyO3` anew each time.
fn folder() -> PathBuf {
    paths::target().join("python")
}

/// Builds the producer for the tests and both wheels; each counts as one.
pub(crate) fn build(log: &Path, tick: &mut dyn FnMut(&str)) -> Result<Tally, Error> {
    let tools = setup::python()?;
    let mut producer = cargo("build");
    producer.args(["--package", "mos-frame-c", "--example", "test_publisher"]);
    run("the tests' producer", &mut producer, log, tick)?;
    let mut tally = Tally::default();
    for variant in Variant::ALL {
        let wheels = folder().join("wheels").join(variant.name());
        let log = log.with_extension(format!("{}.log", variant.name()));
        run(
            "maturin",
            &mut maturin(variant, &tools, &wheels),
            &log,
            tick,
        )?;
        let log = log.with_extension("pip.log");
        run("pip", &mut pip(variant, &tools, &wheels), &log, tick)?;
        tally += Tally::one(true);
    }
    Ok(tally)
}

/// A Python with the development package, for programs outside the tests: the interpreter, and what `PYTHONPATH` has to name.
pub(crate) fn package(log: &Path, tick: &mut dyn FnMut(&str)) -> Result<(PathBuf, PathBuf), Error> {
    let tools = setup::python()?;
    let variant = Variant::Development;
    let wheels = folder().join("wheels").join(variant.name());
    run("maturin", &mut maturin(variant, &tools, &wheels), log, tick)?;
    let log = log.with_extension("pip.log");
    run("pip", &mut pip(variant, &tools, &wheels), &log, tick)?;
    Ok((tools.join("bin/python"), variant.site()))
}

fn run(
    what: &str,
    command: &mut Command,
    log: &Path,
    tick: &mut dyn FnMut(&str),
) -> Result<(), Error> {
    run_logged(what, command, log, LIMIT, |_| (), |line| tick(line))?.require(what)
}

fn maturin(variant: Variant, tools: &Path, wheels: &Path) -> Command {
    let mut command = Command::new(tools.join("bin/maturin"));
    command
        .current_dir(paths::root().join("crates/mos-frame-python"))
        .args(["build", "--compatibility", "linux", "--interpreter"])
        .arg(tools.join("bin/python"))
        .arg("--target-dir")
        .arg(folder())
        .arg("--out")
        .arg(wheels);
    if variant == Variant::Production {
        command.arg("--no-default-features");
    }
    if env::var_os("CI").is_some() {
        command.arg("--locked");
    }
    command
}

fn pip(variant: Variant, tools: &Path, wheels: &Path) -> Command {
    let mut command = Command::new(tools.join("bin/pip"));
    command
        .args([
            "install",
            "--disable-pip-version-check",
            "--no-deps",
            "--no-index",
            "--upgrade",
            "--force-reinstall",
            "--find-links",
        ])
        .arg(wheels)
        .arg("--target")
        .arg(variant.site())
        .arg("mos-frame");
    command
}

/// The tests of an installed wheel; they end with a line as cargo's do.
pub(crate) fn tests(variant: Variant) -> Result<Command, Error> {
    let mut command = Command::new(setup::python()?.join("bin/python"));
    command
        .arg("-B")
        .arg(paths::root().join("crates/mos-frame-python/tests/run.py"))
        .arg(variant.name())
        .env("PYTHONPATH", variant.site())
        .env(
            "MOS_TEST_PUBLISHER",
            program(Profile::Dev, "examples/test_publisher"),
        );
    Ok(command)
}
