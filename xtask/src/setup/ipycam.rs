//! ipycam, an ONVIF camera that nobody here wrote, from `PyPI`, in an environment of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::error::Error;
use crate::exec::{run_logged, succeeds};
use crate::paths;
use crate::ui::Step;

/// It names `opencv-python`, which wants a display's libraries; the headless one has all that it uses.
const CAMERA: &str = "ipycam==1.3.0";
const NEEDED: [&str; 2] = ["numpy>=1.26,<2.3", "opencv-python-headless==4.12.0.88"];
/// Debian's interpreter: the first `python3` of the PATH may be one without venv.
const PYTHON: &str = "/usr/bin/python3";
const LIMIT: Duration = Duration::from_mins(5);

/// The interpreter that has it; the environment is made where it is not there or does not work (any more).
pub(crate) fn ensure() -> Result<PathBuf, Error> {
    let folder = paths::cache().join("ipycam");
    let python = folder.join("bin/python");
    if !works(&python) {
        install(&folder)?;
    }
    works(&python).then_some(python).ok_or_else(|| {
        Error::NotMet("ipycam was installed from PyPI, but does not run here".to_owned())
    })
}

fn works(python: &Path) -> bool {
    let version = CAMERA.rsplit('=').next().unwrap_or_default();
    let script = format!("import ipycam; assert ipycam.__version__ == '{version}'");
    succeeds(Command::new(python).args(["-c", &script]))
}

fn install(folder: &Path) -> Result<(), Error> {
    fs::create_dir_all(folder).map_err(Error::path("create", folder))?;
    let mut step = Step::begin("ipycam from PyPI");
    let mut python = Command::new(PYTHON);
    python.args(["-m", "venv", "--clear"]).arg(folder);
    let pip = |packages: &[&str]| {
        let mut pip = Command::new(folder.join("bin/pip"));
        pip.args([
            "install",
            "--disable-pip-version-check",
            "--progress-bar=off",
        ]);
        pip.args(packages);
        pip
    };
    for (what, mut command) in [
        ("make a Python environment", python),
        ("install what ipycam needs", pip(&NEEDED)),
        ("install ipycam", pip(&["--no-deps", CAMERA])),
    ] {
        let log = paths::artifacts().join("ipycam.log");
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
