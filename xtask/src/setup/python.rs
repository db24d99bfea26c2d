//! What the Python package is built and tried with: maturin builds the wheel, `NumPy` reads the frames in the tests.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::venv::Venv;
use crate::error::Error;
use crate::exec::succeeds;

const TOOLS: Venv = Venv {
    name: "python",
    what: "maturin and NumPy",
    installs: &[&[MATURIN, "numpy>=1.26,<3"]],
    works,
};
const MATURIN: &str = "maturin==1.16.0";

/// The environment's folder.
pub(crate) fn ensure() -> Result<PathBuf, Error> {
    TOOLS.ensure()
}

fn works(folder: &Path) -> bool {
    let version = Command::new(folder.join("bin/maturin"))
        .arg("--version")
        .output();
    let is_pinned = version.is_ok_and(|output| {
        let says = String::from_utf8_lossy(&output.stdout);
        says.trim().replace(' ', "==") == MATURIN
    });
    is_pinned && succeeds(Command::new(folder.join("bin/python")).args(["-c", "import numpy"]))
}
