//! The folder that host and guest share: what the guest is to run goes in, results come out.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::catalog::LabTest;
use crate::error::Error;
use crate::exec::create;
use crate::lock::{self, Mode};
use crate::paths;

/// A shared folder, emptied at its start. Its lock keeps other runs from it.
#[derive(Debug)]
pub(crate) struct Share {
    folder: PathBuf,
    _lock: File,
}

/// How one test ended in the guest.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// What it printed; empty if it never started.
    pub(crate) log: String,
    /// Its exit status; none if the guest ended before it did.
    pub(crate) status: Option<i32>,
}

impl Share {
    /// Prepares `folder`; `job` of `lab/guest` is what the guest runs.
    pub(crate) fn new(folder: &Path, job: &str, tick: &mut dyn FnMut(&str)) -> Result<Self, Error> {
        let lock = create(&folder.with_extension("lock"))?;
        lock::take(&lock, Mode::Exclusive, || {
            tick("waiting for another run of the lab");
        })?;
        if folder.exists() {
            fs::remove_dir_all(folder).map_err(Error::path("empty", folder))?;
        }
        for sub in ["bin/production", "tests", "results"] {
            fs::create_dir_all(folder.join(sub)).map_err(Error::path("create", folder))?;
        }
        let guest = paths::root().join("lab/guest");
        copy(&guest.join(job), &folder.join("job"))?;
        for tool in [
            "load-vivid",
            "load-uvc",
            "load-vimc",
            "name-usb-host",
            "with-libcamera-0.4",
        ] {
            copy(&guest.join(tool), &folder.join("bin").join(tool))?;
        }
        Ok(Self {
            folder: folder.to_owned(),
            _lock: lock,
        })
    }

    /// Where it is on the host; `/host` in the guest.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Puts a host-built program into the guest's PATH.
    pub(crate) fn add_program(&self, name: &str, program: &Path) -> Result<(), Error> {
        copy(program, &self.folder.join("bin").join(name))
    }

    /// Puts the tests in, in the order in which they are to run.
    pub(crate) fn add_tests(&self, tests: &[LabTest]) -> Result<(), Error> {
        let path = self.folder.join("tests.list");
        let mut list = create(&path)?;
        for test in tests {
            copy(
                &test.script,
                &self.folder.join("tests").join(format!("{}.sh", test.name)),
            )?;
            writeln!(list, "{} {}", test.name, test.limit.as_secs())
                .map_err(Error::path("write", &path))?;
        }
        Ok(())
    }

    /// Where tests leave what they leave: `NAME.log`, `NAME.status`, and of a failed one `NAME.kernel.log` and `NAME.graphs`.
    pub(crate) fn results(&self) -> PathBuf {
        self.folder.join("results")
    }

    /// What a test left.
    pub(crate) fn outcome(&self, test: &LabTest) -> Outcome {
        let file = |kind: &str| self.results().join(format!("{}.{kind}", test.name));
        let log = fs::read(file("log"))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default();
        let status = fs::read_to_string(file("status"))
            .ok()
            .and_then(|text| text.trim().parse().ok());
        Outcome { log, status }
    }

    /// Large copies of programs are not worth keeping with the results.
    pub(crate) fn drop_programs(&self) -> Result<(), Error> {
        let bin = self.folder.join("bin");
        fs::remove_dir_all(&bin).map_err(Error::path("remove", &bin))
    }
}

fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    fs::copy(from, to).map(drop).map_err(Error::io(format!(
        "cannot copy {} to {}",
        from.display(),
        to.display()
    )))
}
