//! Programs from `PyPI`, each in a Python environment of its own in the cache.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::error::Error;
use crate::exec::run_logged;
use crate::paths;
use crate::ui::Step;

/// Debian's interpreter: the first `python3` of the PATH may be one without venv.
const PYTHON: &str = "/usr/bin/python3";
const LIMIT: Duration = Duration::from_mins(5);

/// An environment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Venv {
    /// Its folder in the cache, and its log.
    pub(crate) name: &'static str,
    /// What is in it, for messages.
    pub(crate) what: &'static str,
    /// The arguments of one `pip install` after another: requirements, pinned.
    pub(crate) installs: &'static [&'static [&'static str]],
    /// Whether it works, in this folder, with the pinned versions.
    pub(crate) works: fn(&Path) -> bool,
}

impl Venv {
    /// The environment's folder; made where it is not there or does not work (any more).
    pub(crate) fn ensure(&self) -> Result<PathBuf, Error> {
        let folder = paths::cache().join(self.name);
        if !(self.works)(&folder) {
            self.make(&folder)?;
        }
        let problem = || {
            Error::NotMet(format!(
                "installed from PyPI, but does not run here: {}",
                self.what
            ))
        };
        (self.works)(&folder).then_some(folder).ok_or_else(problem)
    }

    fn make(&self, folder: &Path) -> Result<(), Error> {
        fs::create_dir_all(folder).map_err(Error::path("create", folder))?;
        let mut step = Step::begin(format!("{} from PyPI", self.what));
        let log = paths::artifacts().join(format!("{}.log", self.name));
        let mut run = |doing: &str, command: &mut Command| {
            let done = run_logged(doing, command, &log, LIMIT, |_| (), |line| step.tick(line))?;
            done.require(doing)
        };
        let mut python = Command::new(PYTHON);
        python.args(["-m", "venv", "--clear"]).arg(folder);
        run("make a Python environment", &mut python)?;
        for arguments in self.installs {
            let mut pip = Command::new(folder.join("bin/pip"));
            pip.args([
                "install",
                "--disable-pip-version-check",
                "--progress-bar=off",
            ]);
            run(&format!("install {}", self.what), pip.args(*arguments))?;
        }
        step.end("done");
        Ok(())
    }
}
