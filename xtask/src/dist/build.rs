//! The production build, in the root.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::arch::Arch;
use super::version::Version;
use crate::debian::chroot::Chroot;
use crate::error::Error;
use crate::exec::{capture, run_logged};
use crate::paths;
use crate::test::production;

const LIMIT: Duration = Duration::from_hours(2);
/// Where sources and crates are inside: no path of this machine gets into a program.
const SOURCE: &str = "/usr/src/mos-camera";
const CRATES: &str = "/usr/src/mos-camera-crates";
const TARGET: &str = "/build/target";

/// What goes into a build.
pub(crate) struct Inputs<'a> {
    /// The root folder to build in.
    pub(crate) root: &'a Path,
    /// The sources.
    pub(crate) source: &'a Path,
    /// The crates that Cargo.lock names.
    pub(crate) crates: &'a Path,
    /// Cargo's target folder.
    pub(crate) target: &'a Path,
    /// What is built.
    pub(crate) version: &'a Version,
}

/// Builds everything that is packaged; answers the folder of the results.
pub(crate) fn build(
    arch: Arch,
    inputs: &Inputs<'_>,
    tick: &mut dyn FnMut(&str),
) -> Result<PathBuf, Error> {
    run(arch, inputs, "build", arguments(arch), tick)
}

/// Builds something of the workspace that is for tests, and no part of a package.
pub(crate) fn for_tests(
    arch: Arch,
    inputs: &Inputs<'_>,
    package: &str,
    tick: &mut dyn FnMut(&str),
) -> Result<PathBuf, Error> {
    let words = |words: [&str; 2]| words.map(str::to_owned).into_iter();
    let arguments = words(RELEASE)
        .chain(fixed(arch))
        .chain(words(["--package", package]));
    run(arch, inputs, package, arguments.collect(), tick)
}

fn run(
    arch: Arch,
    inputs: &Inputs<'_>,
    name: &str,
    arguments: Vec<String>,
    tick: &mut dyn FnMut(&str),
) -> Result<PathBuf, Error> {
    let mut command = cargo(arch, inputs);
    command.args(arguments);
    let log = paths::artifacts().join(format!("dist/{name}-{}.log", arch.debian()));
    let done = run_logged(
        "cargo build",
        &mut command,
        &log,
        LIMIT,
        |_| (),
        |line| tick(line),
    )?;
    done.require("the production build in the root")?;
    Ok(inputs.target.join(arch.rust()).join("release"))
}

/// What is linked into the results, as `notices` reads it.
pub(crate) fn linked(arch: Arch, inputs: &Inputs<'_>) -> Result<String, Error> {
    let mut command = cargo(arch, inputs);
    command.args([
        "tree",
        "--edges",
        "normal,no-proc-macro",
        "--prefix",
        "none",
    ]);
    command.args(["--format", "{p}|{l}"]).args(common(arch));
    capture("cargo's list of what is linked", &mut command)
}

fn cargo(arch: Arch, inputs: &Inputs<'_>) -> Command {
    let mut chroot = Chroot::new(inputs.root)
        .read(inputs.source, SOURCE)
        .read(inputs.crates, CRATES)
        .write(inputs.target, TARGET)
        .variable("CARGO_HOME", "/tmp/cargo")
        .variable("CARGO_TARGET_DIR", TARGET)
        .variable("CARGO_TERM_COLOR", "never")
        .variable("SOURCE_DATE_EPOCH", &inputs.version.epoch)
        // The module is for the stable interface: there is no interpreter to ask.
        .variable("PYO3_NO_PYTHON", "1");
    for (name, value) in arch.environment() {
        chroot = chroot.variable(&name, &value);
    }
    let mut command = chroot.command("sh");
    command.args(["-euc", r#"cd "$1"; shift; exec cargo "$@""#, "sh", SOURCE]);
    command
}

const RELEASE: [&str; 2] = ["build", "--release"];

fn arguments(arch: Arch) -> Vec<String> {
    let fixed = RELEASE.map(str::to_owned);
    fixed.into_iter().chain(common(arch)).collect()
}

/// What chooses sources, crates and features.
fn common(arch: Arch) -> Vec<String> {
    let python = ["--package", "mos-frame-python"].map(str::to_owned);
    let rest = production::arguments();
    fixed(arch).into_iter().chain(python).chain(rest).collect()
}

/// What chooses processor, sources and crates.
fn fixed(arch: Arch) -> Vec<String> {
    [
        "--locked",
        "--offline",
        "--target",
        arch.rust(),
        "--config",
        r#"source.crates-io.replace-with="folder""#,
        "--config",
        &format!(r#"source.folder.directory="{CRATES}""#),
    ]
    .map(str::to_owned)
    .to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_production_build_of_the_lock_file_without_a_network() {
        let arguments = arguments(Arch::Arm64);
        for wanted in [
            "--no-default-features",
            "--locked",
            "--offline",
            "--release",
            "aarch64-unknown-linux-gnu",
            "mos-frame-c",
            "mos-camera-capture",
        ] {
            assert!(
                arguments.iter().any(|argument| argument == wanted),
                "{wanted}"
            );
        }
    }
}
