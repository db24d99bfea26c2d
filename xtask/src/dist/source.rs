//! The source tree as it is, without what builds leave in it, copied so that an unchanged file keeps its time: cargo goes
//! by times, and clones of this repository share one build folder.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::Error;
use crate::exec::capture;

/// The files of the working tree in `root` that git knows or would take in.
pub(crate) fn files(root: &Path) -> Result<BTreeSet<PathBuf>, Error> {
    let mut command = Command::new("git");
    command.current_dir(root).args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]);
    let listed = capture("git's list of files", &mut command)?;
    let names = listed.split('\0').filter(|name| !name.is_empty());
    // One that was deleted is still listed.
    Ok(names
        .map(PathBuf::from)
        .filter(|name| root.join(name).is_file())
        .collect())
}

/// The files right below a folder, whoever put them there.
pub(crate) fn below(folder: &Path) -> Result<BTreeSet<PathBuf>, Error> {
    let entries = fs::read_dir(folder).map_err(Error::path("read", folder))?;
    Ok(entries
        .filter_map(Result::ok)
        .filter(|entry| entry.path().is_file())
        .map(|entry| entry.file_name().into())
        .collect())
}

/// Makes `to` hold exactly `files` of `from`.
pub(crate) fn copy(from: &Path, files: &BTreeSet<PathBuf>, to: &Path) -> Result<(), Error> {
    fs::create_dir_all(to).map_err(Error::path("create", to))?;
    remove_others(to, Path::new(""), files)?;
    for name in files {
        let (source, target) = (from.join(name), to.join(name));
        let bytes = fs::read(&source).map_err(Error::path("read", &source))?;
        let about = fs::metadata(&source).map_err(Error::path("read", &source))?;
        let mode = if about.permissions().mode() & 0o100 == 0 {
            0o644
        } else {
            0o755
        };
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder).map_err(Error::path("create", folder))?;
        }
        update(&target, &bytes, mode).map_err(Error::path("write", &target))?;
    }
    Ok(())
}

fn update(target: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    if !fs::read(target).is_ok_and(|old| old == bytes) {
        fs::write(target, bytes)?;
    }
    // Umasks differ, and modes end up in packages.
    fs::set_permissions(target, Permissions::from_mode(mode))
}

fn remove_others(root: &Path, below: &Path, files: &BTreeSet<PathBuf>) -> Result<(), Error> {
    let folder = root.join(below);
    let entries = fs::read_dir(&folder).map_err(Error::path("read", &folder))?;
    for entry in entries {
        let entry = entry.map_err(Error::path("read", &folder))?;
        let (name, path) = (below.join(entry.file_name()), entry.path());
        let is_folder = entry
            .file_type()
            .map_err(Error::path("look at", &path))?
            .is_dir();
        let wanted = if is_folder {
            files
                .range(name.clone()..)
                .next()
                .is_some_and(|next| next.starts_with(&name) && *next != name)
        } else {
            files.contains(&name)
        };
        match (is_folder, wanted) {
            (true, true) => remove_others(root, &name, files)?,
            (_, false) => crate::debian::remove(&path)?,
            (false, true) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_follows_and_leaves_alone_what_did_not_change() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let write = |name: &str, text: &str| {
            let path = from.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("a/kept", "1");
        write("a/changed", "1");
        write("b/gone", "1");
        write("c", "file first");
        let names = |names: &[&str]| names.iter().map(PathBuf::from).collect();
        let first = names(&["a/kept", "a/changed", "b/gone", "c"]);
        copy(from.path(), &first, to.path()).unwrap();
        let time = |name: &str| {
            fs::metadata(to.path().join(name))
                .unwrap()
                .modified()
                .unwrap()
        };
        let (kept, changed) = (time("a/kept"), time("a/changed"));

        write("a/changed", "22");
        fs::remove_file(from.path().join("c")).unwrap();
        write("c/now a folder", "1");
        copy(
            from.path(),
            &names(&["a/kept", "a/changed", "c/now a folder"]),
            to.path(),
        )
        .unwrap();
        assert_eq!(time("a/kept"), kept);
        assert!(time("a/changed") >= changed);
        assert_eq!(
            fs::read_to_string(to.path().join("a/changed")).unwrap(),
            "22"
        );
        assert!(!to.path().join("b").exists());
        assert!(to.path().join("c/now a folder").is_file());
    }

    #[test]
    fn the_repository_is_listed_without_what_builds_leave() {
        let listed = files(crate::paths::root()).unwrap();
        assert!(listed.contains(Path::new("Cargo.lock")));
        assert!(listed.contains(Path::new("xtask/src/dist/source.rs")));
        assert!(
            !listed
                .iter()
                .any(|name| name.starts_with("target") || name.starts_with("artifacts"))
        );
    }
}
