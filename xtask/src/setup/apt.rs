//! Debian's package tools.

use std::collections::HashSet;
use std::process::Command;
use std::time::Duration;

use crate::error::Error;
use crate::exec::{self, run_logged};
use crate::paths;
use crate::setup::packages::{self, Package};
use crate::ui::{self, Step};

const LIMIT: Duration = Duration::from_mins(30);

/// Whether this machine has them.
pub(crate) fn is_here() -> bool {
    exec::succeeds(Command::new("dpkg-query").arg("--version"))
        && exec::succeeds(Command::new("apt-get").arg("--version"))
}

/// Which of `packages` are installed.
pub(crate) fn installed(packages: &[Package]) -> Result<HashSet<String>, Error> {
    let mut command = Command::new("dpkg-query");
    command.args([
        "--show",
        "--showformat=${db:Status-Abbrev} ${binary:Package}\n",
    ]);
    command.args(packages.iter().map(|package| package.name));
    // Its exit code is 1 as soon as one name is unknown, which is no failure here.
    let output = command.output().map_err(|source| Error::Spawn {
        program: "dpkg-query".to_owned(),
        source,
    })?;
    Ok(parse_installed(&String::from_utf8_lossy(&output.stdout)))
}

fn parse_installed(listing: &str) -> HashSet<String> {
    let name = |line: &str| {
        let (status, name) = line.split_once(' ')?;
        let name = name.trim().split(':').next()?;
        (status == "ii").then(|| name.to_owned())
    };
    listing.lines().filter_map(name).collect()
}

/// Installs `packages`, with fresh package lists.
pub(crate) fn install(packages: &[Package]) -> Result<(), Error> {
    authenticate()?;
    // A third-party source that is down must not stop the installation of Debian's packages: installing decides.
    if let Err(error) = apt("update package lists", &["update"]) {
        ui::say(format!("warning: {error}"));
    }
    packages
        .iter()
        .filter_map(|package| packages::service(package.name))
        .for_each(mask);
    let mut args = vec!["install", "--yes", "--no-install-recommends"];
    args.extend(packages.iter().map(|package| package.name));
    apt("install packages", &args)
}

/// Keeps a service from being started by its package. Where there is no systemd nothing starts it.
fn mask(service: &str) {
    if exec::succeeds(as_root(&["systemctl", "mask", service]).env("LC_ALL", "C")) {
        ui::say(format!(
            "{service} will not be started (to undo: systemctl unmask {service})"
        ));
    }
}

fn apt(what: &str, args: &[&str]) -> Result<(), Error> {
    let mut command = as_root(&[
        "env",
        "DEBIAN_FRONTEND=noninteractive",
        "apt-get",
        "--quiet",
        "-o",
        "Dpkg::Use-Pty=0",
        "-o",
        "Acquire::Retries=5",
    ]);
    command.args(args);
    let log = paths::artifacts().join("setup.log");
    let mut step = Step::begin(what);
    let done = run_logged(
        what,
        &mut command,
        &log,
        LIMIT,
        |_| (),
        |line| step.tick(line),
    )?;
    step.end(if done.ok() { "done" } else { "failed" });
    done.require(what)
}

/// Lets sudo ask for a password while the terminal is ours.
fn authenticate() -> Result<(), Error> {
    if is_root()
        || Command::new("sudo")
            .arg("--validate")
            .status()
            .is_ok_and(|status| status.success())
    {
        return Ok(());
    }
    Err(Error::NotMet(
        "installing packages needs root: run `cargo xtask setup` as root or install sudo"
            .to_owned(),
    ))
}

fn as_root(args: &[&str]) -> Command {
    let (program, rest) = if is_root() {
        (args[0], &args[1..])
    } else {
        ("sudo", args)
    };
    let mut command = Command::new(program);
    command.args(rest);
    command
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_fully_installed_packages_count() {
        let listing =
            "ii  gcc\nrc  mmdebstrap\nun  qemu\nii  libgstreamer1.0-dev:amd64\niF  half\n";
        let expected = HashSet::from(["gcc".to_owned(), "libgstreamer1.0-dev".to_owned()]);
        assert_eq!(parse_installed(listing), expected);
    }
}
