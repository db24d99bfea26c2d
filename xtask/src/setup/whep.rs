//! aiortc, the WHEP server at the other end of the tests, from `PyPI`, in an environment of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::error::Error;
use crate::exec::{run_logged, succeeds};
use crate::paths;
use crate::ui::Step;

const REQUIREMENTS: [&str; 2] = ["aiortc==1.16.0", "aiohttp==3.14.5"];
/// Says whether the pinned versions are there.
const CHECK: &str = "import aiohttp, aiortc; assert (aiortc.__version__, aiohttp.__version__) == ('1.16.0', '3.14.5')";
/// Debian's interpreter: the first `python3` of the PATH may be one without venv.
const PYTHON: &str = "/usr/bin/python3";
const LIMIT: Duration = Duration::from_mins(5);

/// The environment's interpreter; made where it is not there or does not work (any more).
pub(crate) fn ensure() -> Result<PathBuf, Error> {
    let folder = paths::cache().join("whep");
    if !works(&folder) {
        install(&folder)?;
    }
    works(&folder)
        .then(|| folder.join("bin/python"))
        .ok_or_else(|| {
            Error::NotMet("aiortc was installed from PyPI, but does not run here".to_owned())
        })
}

fn works(folder: &Path) -> bool {
    succeeds(Command::new(folder.join("bin/python")).args(["-c", CHECK]))
}

fn install(folder: &Path) -> Result<(), Error> {
    fs::create_dir_all(folder).map_err(Error::path("create", folder))?;
    let mut step = Step::begin("aiortc from PyPI");
    let mut python = Command::new(PYTHON);
    python.args(["-m", "venv", "--clear"]).arg(folder);
    let mut pip = Command::new(folder.join("bin/pip"));
    pip.args([
        "install",
        "--disable-pip-version-check",
        "--progress-bar=off",
        // What it stands on is compiled code: nothing is built here.
        "--only-binary=:all:",
    ]);
    pip.args(REQUIREMENTS);
    for (what, mut command) in [
        ("make a Python environment", python),
        ("install aiortc", pip),
    ] {
        let log = paths::artifacts().join("aiortc.log");
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
