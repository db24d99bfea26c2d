//! Debian roots made of packages: what the camera lab's guest, the bus benchmark's peers and the packages of `dist` have
//! in common.

pub(crate) mod chroot;
pub(crate) mod making;
pub(crate) mod mirror;

use std::fs;
use std::path::Path;

use rustix::fs::statvfs;
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

/// Whether `folder` has room for what takes so many bytes while it is made.
pub(crate) fn room(what: &str, bytes: u64, folder: &Path) -> Result<(), Error> {
    let free = statvfs(folder)
        .map_err(|error| Error::path("look at", folder)(error.into()))
        .map(|about| about.f_bavail.saturating_mul(about.f_frsize))?;
    enough(what, bytes, free, folder)
}

fn enough(what: &str, bytes: u64, free: u64, folder: &Path) -> Result<(), Error> {
    if free >= bytes {
        return Ok(());
    }
    let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
    Err(Error::Debian {
        why: format!(
            "making {what} takes {:.1} GiB, and {} has {:.1} left",
            gib(bytes),
            folder.display(),
            gib(free)
        ),
        hint: "Make room there, or let XDG_CACHE_HOME name a folder that has it".to_owned(),
    })
}

/// The error of a mmdebstrap that failed, in words that help: `log` is what it said, `list` the file with the packages.
pub(crate) fn explain(failed: Error, log: &str, mirror: &str, list: &str) -> Error {
    const NETWORK: [&str; 5] = [
        "Could not resolve",
        "Temporary failure resolving",
        "Could not connect",
        "Connection failed",
        "Network is unreachable",
    ];
    if NETWORK.iter().any(|sign| log.contains(sign)) {
        return Error::Debian {
            why: format!("Debian's packages are needed, and the mirror {mirror} can't be reached"),
            hint: "Connect this machine for the first build (later ones need no network), or put the URL of another mirror into MOS_LAB_MIRROR".to_owned(),
        };
    }
    if log.contains("Unable to locate package") {
        return Error::Debian {
            why: format!("the mirror {mirror} lacks a package of {list}"),
            hint: "Use a full mirror of Debian 13 (MOS_LAB_MIRROR)".to_owned(),
        };
    }
    failed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_before_it_is_full() {
        let folder = Path::new("/cache");
        let gib = 1 << 30;
        assert!(enough("it", 3 * gib, 3 * gib, folder).is_ok());
        let text = enough("it", 3 * gib, 3 * gib / 2, folder)
            .unwrap_err()
            .to_string();
        assert!(
            text.contains("making it takes 3.0 GiB, and /cache has 1.5 left"),
            "{text}"
        );
    }

    #[test]
    fn a_build_without_a_network_says_so() {
        let plain = || Error::NotMet("mmdebstrap failed".to_owned());
        let explained = |log: &str| explain(plain(), log, "http://mirror/", "the list").to_string();
        let offline = explained("E: Temporary failure resolving 'mirror'");
        assert!(
            offline.contains("http://mirror/ can't be reached"),
            "{offline}"
        );
        assert!(
            explained("E: Unable to locate package udev").contains("lacks a package of the list")
        );
        assert_eq!(explained("something else"), "mmdebstrap failed");
    }

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
