//! What the Python package is built and tried with, from `PyPI`, in an environment of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::error::Error;
use crate::exec::{run_logged, succeeds};
use crate::paths;
use crate::ui::Step;

/// maturin builds the wheel; `NumPy` is what the frames are read with in the tests.
const REQUIREMENTS: [&str; 2] = ["maturin==1.16.0", "numpy>=1.26,<3"];
/// Debian's interpreter: the first `python3` of the PATH may be one without venv.
const PYTHON: &str = "/usr/bin/python3";
const LIMIT: Duration = Duration::from_mins(5);

/// The environment's folder; made where it is not there or does not work (any more).
pub(crate) fn ensure() -> Result<PathBuf, Error> {
    let folder = paths::cache().join("python");
    if !works(&folder) {
        install(&folder)?;
    }
    works(&folder).then_some(folder).ok_or_else(|| {
        Error::NotMet("maturin and NumPy were installed from PyPI, but do not run here".to_owned())
    })
}

fn works(folder: &Path) -> bool {
    let version = Command::new(folder.join("bin/maturin"))
        .arg("--version")
        .output();
    let is_pinned = version.is_ok_and(|output| {
        let says = String::from_utf8_lossy(&output.stdout);
        says.trim().replace(' ', "==") == REQUIREMENTS[0]
    });
    is_pinned && succeeds(Command::new(folder.join("bin/python")).args(["-c", "import numpy"]))
}

fn install(folder: &Path) -> Result<(), Error> {
    fs::create_dir_all(folder).map_err(Error::path("create", folder))?;
    let mut step = Step::begin("maturin and NumPy from PyPI");
    let mut python = Command::new(PYTHON);
    python.args(["-m", "venv", "--clear"]).arg(folder);
    let mut pip = Command::new(folder.join("bin/pip"));
    pip.args([
        "install",
        "--disable-pip-version-check",
        "--progress-bar=off",
    ]);
    pip.args(REQUIREMENTS);
    for (what, mut command) in [
        ("make a Python environment", python),
        ("install maturin and NumPy", pip),
    ] {
        let log = paths::artifacts().join("python.log");
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
