//! ipycam, an ONVIF camera that nobody here wrote.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::venv::Venv;
use crate::error::Error;
use crate::exec::succeeds;

const IPYCAM: Venv = Venv {
    name: "ipycam",
    what: "ipycam",
    // It names `opencv-python`, which wants a display's libraries; the headless one has all that it uses.
    installs: &[
        &["numpy>=1.26,<2.3", "opencv-python-headless==4.12.0.88"],
        &["--no-deps", "ipycam==1.3.0"],
    ],
    works,
};
/// Says whether the pinned version is there.
const CHECK: &str = "import ipycam; assert ipycam.__version__ == '1.3.0'";

/// The interpreter that has it.
pub(crate) fn ensure() -> Result<PathBuf, Error> {
    IPYCAM.ensure().map(|folder| folder.join("bin/python"))
}

fn works(folder: &Path) -> bool {
    succeeds(Command::new(folder.join("bin/python")).args(["-c", CHECK]))
}
