//! `setup`: system packages by name, each with its reason, and the tools that come from elsewhere.

mod apt;
mod grpcurl;
mod ipycam;
mod packages;
mod python;
mod venv;
mod whep;
mod whepserversink;

use std::path::PathBuf;

use crate::error::Error;
use crate::ui;

pub(crate) use self::packages::Group;
use self::packages::Package;

/// Arguments of `setup`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What to set up for; repeat for several [default: all]
    #[arg(long = "for", value_enum)]
    groups: Vec<Group>,
    /// Only say what is missing; exit code 1 if anything is
    #[arg(long)]
    check: bool,
}

/// Installs what the asked groups need.
pub(crate) fn run(args: &Args) -> Result<(), Error> {
    let all = [
        Group::Build,
        Group::Run,
        Group::Test,
        Group::Bench,
        Group::Lab,
        Group::Dist,
        Group::Board,
    ];
    let groups = if args.groups.is_empty() {
        &all[..]
    } else {
        &args.groups
    };
    if args.check {
        return check(groups);
    }
    ensure(groups)?;
    if groups.contains(&Group::Test) {
        ui::say(format!("grpcurl: {}", grpcurl::ensure()?.display()));
        ui::say(format!("ipycam: {}", ipycam::ensure()?.display()));
        ui::say(format!("maturin: {}/bin", python::ensure()?.display()));
        ui::say(format!("aiortc: {}", whep::ensure()?.display()));
        let server = whepserversink::ensure()?;
        ui::say(format!("whepserversink: {}", server.display()));
    }
    ui::say("everything is there");
    Ok(())
}

/// Installs the missing packages of `groups`, after saying which and why. Quick and silent when none is missing.
pub(crate) fn ensure(groups: &[Group]) -> Result<(), Error> {
    let missing = missing(groups)?;
    if missing.is_empty() {
        return Ok(());
    }
    ui::say(format!(
        "These packages are missing and will be installed:\n{}",
        listing(&missing)
    ));
    apt::install(&missing)
}

/// grpcurl, a gRPC client that nobody here wrote, for the tests of the control service.
pub(crate) fn grpcurl() -> Result<PathBuf, Error> {
    grpcurl::ensure()
}

/// The Python that has ipycam, for the tests of ONVIF.
pub(crate) fn ipycam() -> Result<PathBuf, Error> {
    ipycam::ensure()
}

/// The folder of the environment that the Python package is built and tried with.
pub(crate) fn python() -> Result<PathBuf, Error> {
    python::ensure()
}

/// A Python interpreter with aiortc, the WHEP server of the tests.
pub(crate) fn aiortc() -> Result<PathBuf, Error> {
    whep::ensure()
}

/// `whepserversink`, the other WHEP server of the tests, as a program.
pub(crate) fn whepserversink() -> Result<PathBuf, Error> {
    whepserversink::ensure()
}

fn check(groups: &[Group]) -> Result<(), Error> {
    let missing = missing(groups)?;
    if missing.is_empty() {
        ui::say("everything is there");
        return Ok(());
    }
    Err(Error::NotMet(format!(
        "missing packages:\n{}",
        listing(&missing)
    )))
}

fn missing(groups: &[Group]) -> Result<Vec<Package>, Error> {
    let wanted = packages::of(groups);
    if !apt::is_here() {
        let why = "this is not Debian or Ubuntu (no dpkg and apt-get), so nothing was installed"
            .to_owned();
        return Err(Error::Packages {
            why,
            list: listing(&wanted),
        });
    }
    let installed = apt::installed(&wanted)?;
    Ok(wanted
        .into_iter()
        .filter(|package| !installed.contains(package.name))
        .collect())
}

fn listing(packages: &[Package]) -> String {
    let width = packages
        .iter()
        .map(|package| package.name.len())
        .max()
        .unwrap_or(0);
    let line = |package: &Package| format!("  {:width$}  {}", package.name, package.why);
    packages.iter().map(line).collect::<Vec<_>>().join("\n")
}
