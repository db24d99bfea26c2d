//! `lab`: a QEMU guest with Debian 13's stock kernel, where camera drivers, udmabuf and dma-heap are real.
//!
//! The files that go into the guest, and its tests, are in `lab/` at the top of the repository.

mod accel;
mod board;
mod catalog;
mod drivers;
mod image;
mod preflight;
mod qemu;
mod share;
mod suite;

use std::path::Path;

use clap::Subcommand;

use crate::error::Error;
use crate::exec::read_lossy;
use crate::paths;
use crate::setup::{self, Group};
use crate::test::Tally;
use crate::ui::{Step, say};

/// Arguments of `lab`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Don't check or install system packages
    #[arg(long, global = true)]
    no_setup: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make the guest's disk, if it is not there yet (about four minutes, 400 MB)
    Build,
    /// Open a root shell in the guest
    Shell,
    /// Run tests in one boot of the guest
    Run {
        /// Names as `list` has them; `all` or none for all but the long ones
        tests: Vec<String>,
    },
    /// List the tests
    List,
}

/// Runs one `lab` command.
pub(crate) fn run(args: Args) -> Result<(), Error> {
    if let Command::List = args.command {
        return list();
    }
    if !args.no_setup {
        let board = matches!(&args.command, Command::Run { tests } if tests.iter().any(|name| name == board::NAME));
        let groups: &[Group] = if board {
            &[Group::Lab, Group::Dist, Group::Board]
        } else {
            &[Group::Lab]
        };
        setup::ensure(groups)?;
    }
    match args.command {
        Command::List => list(),
        Command::Build => {
            let mut step = Step::begin("camera lab's disk");
            let image = image::ready(&mut |line| step.tick(line))?;
            step.end("is there");
            say(format!("  {}", image.folder().display()));
            Ok(())
        }
        Command::Shell => shell(),
        Command::Run { tests } => run_named(&tests),
    }
}

fn list() -> Result<(), Error> {
    for test in catalog::load()? {
        let when = if test.long { " (only if named)" } else { "" };
        println!("{:24} {}{when}", test.name, test.about);
    }
    println!("{:24} {} (only if named)", board::NAME, board::ABOUT);
    Ok(())
}

fn shell() -> Result<(), Error> {
    preflight::can_boot()?;
    let mut step = Step::begin("camera lab's disk");
    let image = image::ready(&mut |line| step.tick(line))?;
    let folder = paths::artifacts().join("lab/shell");
    let share = share::Share::new(&folder, "shell", &mut |line| step.tick(line))?;
    step.end("is there");
    qemu::interactive(&image, share.folder())
}

/// The guest's tests in one boot; the board is a machine of its own.
fn run_named(names: &[String]) -> Result<(), Error> {
    let (board, guest): (Vec<_>, Vec<_>) =
        names.iter().cloned().partition(|name| name == board::NAME);
    if board.is_empty() || !guest.is_empty() {
        run_some(&guest)?;
    }
    if board.is_empty() {
        Ok(())
    } else {
        board::run()
    }
}

fn run_some(names: &[String]) -> Result<(), Error> {
    let mut step = Step::begin("camera lab");
    let log = paths::artifacts().join("lab/run.log");
    let tally = run_suite(names, &log, &mut |line| step.tick(line));
    step.end(if tally.as_ref().is_ok_and(|tally| tally.failed == 0) {
        "ok"
    } else {
        "FAILED"
    });
    let tally = tally?;
    print!("{}", read_lossy(&log)?);
    println!(
        "{} passed, {} failed, {} skipped",
        tally.passed, tally.failed, tally.skipped
    );
    if tally.failed == 0 {
        Ok(())
    } else {
        Err(Error::NotMet("tests failed in the lab".to_owned()))
    }
}

/// Runs tests (all, if none is named) in one boot; `log` gets what they printed.
pub(crate) fn run_suite(
    names: &[String],
    log: &Path,
    tick: &mut dyn FnMut(&str),
) -> Result<Tally, Error> {
    let names = if names == ["all"] { &[] } else { names };
    let scope = if names.is_empty() {
        suite::Scope::Workspace
    } else {
        suite::Scope::Needed
    };
    let tests = catalog::select(catalog::load()?, names)?;
    suite::run(&tests, scope, log, tick)
}
