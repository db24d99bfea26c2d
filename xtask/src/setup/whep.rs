//! aiortc, the WHEP server at the other end of the tests.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::venv::Venv;
use crate::error::Error;
use crate::exec::succeeds;

const AIORTC: Venv = Venv {
    name: "whep",
    what: "aiortc",
    // What it stands on is compiled code: nothing is built here.
    installs: &[&["--only-binary=:all:", "aiortc==1.16.0", "aiohttp==3.14.5"]],
    works,
};
/// Says whether the pinned versions are there.
const CHECK: &str = "import aiohttp, aiortc; assert (aiortc.__version__, aiohttp.__version__) == ('1.16.0', '3.14.5')";

/// The interpreter that has it.
pub(crate) fn ensure() -> Result<PathBuf, Error> {
    AIORTC.ensure().map(|folder| folder.join("bin/python"))
}

fn works(folder: &Path) -> bool {
    succeeds(Command::new(folder.join("bin/python")).args(["-c", CHECK]))
}
