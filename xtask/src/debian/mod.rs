//! Debian roots made of packages: what the camera lab's guest, the bus benchmark's peers and the packages of `dist` have
//! in common.

pub(crate) mod chroot;
pub(crate) mod mirror;

use std::fs;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::signals;

/// The release that roots are made of.
pub(crate) const SUITE: &str = "trixie";
/// Newer versions of packages, for those that a list writes with a `/` and this name behind.
pub(crate) const BACKPORTS: &str = "trixie-backports";
/// Debian's own keys.
pub(crate) const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// A line of sources.list.
pub(crate) fn source(mirror: &str, suite: &str) -> String {
    format!("deb [signed-by={KEYRING}] {mirror} {suite} main")
}

/// Package names, one a line, without comments.
pub(crate) fn packages(list: &str) -> Vec<&str> {
    list.lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim())
        .filter(|name| !name.is_empty())
        .collect()
}

/// A name for everything that goes into something that is kept in the cache.
pub(crate) fn key<Part: AsRef<[u8]>>(parts: impl IntoIterator<Item = Part>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        add(&mut hash, part.as_ref());
    }
    name(hash)
}

/// Adds a part so that it can't be taken for a piece of its neighbour.
pub(crate) fn add(hash: &mut Sha256, part: &[u8]) {
    hash.update((part.len() as u64).to_le_bytes());
    hash.update(part);
}

/// A hash as the name of a folder.
pub(crate) fn name(hash: Sha256) -> String {
    hash.finalize()[..8]
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// Makes `target` whole or not at all; a target that is there already was made by an earlier, stopped build.
pub(crate) fn stage(
    target: &Path,
    make: impl FnOnce(&Path) -> Result<(), Error>,
) -> Result<(), Error> {
    signals::check()?;
    if target.exists() {
        return Ok(());
    }
    let new = target.with_extension("new");
    remove(&new)?;
    make(&new)?;
    fs::rename(&new, target).map_err(Error::path("finish", target))
}

/// Removes a file or a folder, if it is there.
pub(crate) fn remove(path: &Path) -> Result<(), Error> {
    let gone = match fs::symlink_metadata(path) {
        Ok(about) if about.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    };
    gone.map_err(Error::path("remove", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn package_lists_may_have_comments() {
        assert_eq!(
            packages("# head\nudev   # nodes\n\n  kmod\n"),
            ["udev", "kmod"]
        );
    }

    #[test]
    fn keys_tell_parts_apart() {
        let one = key(["ab", "c"]);
        assert_eq!(one.len(), 16);
        assert_eq!(one, key(["ab", "c"]));
        assert_ne!(one, key(["a", "bc"]));
        assert_ne!(one, key(["ab"]));
    }

    #[test]
    fn a_stage_is_whole_or_absent_and_made_once() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["file", "folder"] {
            let target = folder.path().join(name);
            let make = |path: &Path| {
                if name == "file" {
                    fs::write(path, name).unwrap();
                } else {
                    fs::create_dir(path).unwrap();
                    fs::write(path.join("in it"), name).unwrap();
                }
            };
            let fail = stage(&target, |new| {
                make(new);
                Err(Error::NotMet("stopped".to_owned()))
            });
            assert!(fail.is_err() && !target.exists());
            stage(&target, |new| {
                assert!(!new.exists(), "what a stopped build left is gone");
                make(new);
                Ok(())
            })
            .unwrap();
            stage(&target, |_| panic!("made twice")).unwrap();
            assert!(target.exists());
        }
    }
}
