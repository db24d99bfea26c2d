//! Calls of cargo.

use std::env;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::error::Error;
use crate::exec::run_logged;
use crate::paths;
use crate::ui::Step;

/// The programs and the plugin that are shipped.
pub(crate) const PRODUCT: [&str; 4] = [
    "mos-camera-capture",
    "mosctl",
    "gst-plugin-mos",
    "mos-unixfd",
];
/// No cargo call of ours takes this long, not even cold on two slow cores.
const LIMIT: Duration = Duration::from_mins(40);

/// `cargo SUBCOMMAND` in the repository, with output plain enough to read by a program. In CI the lock file is law.
pub(crate) fn cargo(subcommand: &str) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .current_dir(paths::root())
        .env("CARGO_TERM_COLOR", "never")
        .arg(subcommand);
    if env::var_os("CI").is_some() && subcommand != "fmt" {
        command.arg("--locked");
    }
    command
}

/// Builds with progress; fails with the compiler's words.
pub(crate) fn build(what: &str, command: &mut Command) -> Result<Duration, Error> {
    let log = paths::artifacts().join("build.log");
    let mut step = Step::begin(what);
    let done = run_logged(what, command, &log, LIMIT, |_| (), |line| step.tick(line))?;
    let took = step.end(if done.ok() { "done" } else { "failed" });
    done.require(what)?;
    Ok(took)
}

/// Arguments that select the shipped crates.
pub(crate) fn product_args() -> Vec<String> {
    PRODUCT
        .iter()
        .flat_map(|name| ["--package".to_owned(), (*name).to_owned()])
        .collect()
}

/// A built program.
pub(crate) fn program(profile: Profile, name: &str) -> PathBuf {
    paths::target().join(profile.folder()).join(name)
}

/// How much the compiler optimises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Quick to build.
    Dev,
    /// What is measured and shipped.
    Release,
}

impl Profile {
    /// Its folder under cargo's target folder.
    pub(crate) fn folder(self) -> &'static str {
        match self {
            Self::Dev => "debug",
            Self::Release => "release",
        }
    }
}
