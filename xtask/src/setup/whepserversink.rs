//! `whepserversink`, GStreamer's own WHEP server: built once for each state of its sources, out of a tree of its own, for it
//! stands on three hundred crates that nothing else here needs.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest as _, Sha256};

use crate::cargo;
use crate::error::Error;
use crate::exec::succeeds;
use crate::paths;

/// Its tree, from the repository's root.
const TREE: &str = "tests/peers/whepserversink";
/// All that it is made from.
const SOURCES: [&str; 3] = ["Cargo.toml", "Cargo.lock", "src/main.rs"];
const PROGRAM: &str = "mos-peer-whepserversink";

/// The program.
pub(crate) fn ensure() -> Result<PathBuf, Error> {
    let tree = paths::root().join(TREE);
    let cache = paths::cache().join("whepserversink");
    let program = cache.join(key(&tree)?).join(PROGRAM);
    if !works(&program) {
        make(&tree, &cache, &program)?;
    }
    works(&program)
        .then_some(program)
        .ok_or_else(|| Error::NotMet("whepserversink was built, but does not run here".to_owned()))
}

/// What was compiled for another state of the sources is of use for this one, too: that folder stays.
fn make(tree: &Path, cache: &Path, program: &Path) -> Result<(), Error> {
    let target = cache.join("build");
    let mut build = cargo::cargo("build");
    build
        .args(["--locked", "--manifest-path"])
        .arg(tree.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(&target);
    cargo::build("whepserversink, a WHEP server (once)", &mut build)?;
    let folder = program.parent().unwrap_or(cache);
    fs::create_dir_all(folder).map_err(Error::path("create", folder))?;
    // Whole or not at all: another run may do the same.
    let partial = program.with_extension(std::process::id().to_string());
    let built = target.join("debug").join(PROGRAM);
    fs::copy(&built, &partial).map_err(Error::path("copy", &built))?;
    fs::rename(&partial, program).map_err(Error::path("finish", program))
}

/// Names what is made from these sources.
fn key(tree: &Path) -> Result<String, Error> {
    let mut hash = Sha256::new();
    for name in SOURCES {
        let path = tree.join(name);
        let content = fs::read(&path).map_err(Error::path("read", &path))?;
        hash.update((content.len() as u64).to_be_bytes());
        hash.update(content);
    }
    let hash = hash.finalize();
    Ok(hash[..8].iter().fold(String::new(), |mut name, byte| {
        // Writing to a string does not fail.
        let _written = write!(name, "{byte:02x}");
        name
    }))
}

fn works(program: &Path) -> bool {
    succeeds(Command::new(program).arg("--version"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_named_by_all_that_it_is_made_from() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("src")).unwrap();
        let mut keys = Vec::new();
        for changed in SOURCES {
            for name in SOURCES {
                let text = if name == changed { "new" } else { "old" };
                fs::write(folder.path().join(name), text).unwrap();
            }
            keys.push(key(folder.path()).unwrap());
        }
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), SOURCES.len());
    }

    #[test]
    fn all_sources_are_there_and_counted() {
        let tree = paths::root().join(TREE);
        let sources = fs::read_dir(tree.join("src")).unwrap().count();
        assert_eq!(sources, 1);
        key(&tree).unwrap();
    }
}
