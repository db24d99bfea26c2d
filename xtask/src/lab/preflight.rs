//! What the lab needs of this machine, asked before minutes are spent, and what a failed build means in words.

use std::env;
use std::path::Path;

use rustix::fs::statvfs;

use crate::error::Error;

/// A program and the Debian package that has it.
type Tool = (&'static str, &'static str);

/// What makes the guest's disk.
const BUILD: [Tool; 3] = [
    ("mmdebstrap", "mmdebstrap"),
    ("sqfstar", "squashfs-tools"),
    ("tar", "tar"),
];
/// What boots it.
const BOOT: [Tool; 1] = [(super::qemu::PROGRAM, "qemu-system-x86")];

/// The unpacked root as a tar file and the disk made of it, while both are there.
const BUILD_BYTES: u64 = 3 << 30;

/// Everything for a boot is there.
pub(crate) fn can_boot() -> Result<(), Error> {
    programs(&BOOT, &search_path())
}

/// Everything for making the guest's disk in `folder` is there.
pub(crate) fn can_build(folder: &Path) -> Result<(), Error> {
    programs(&BUILD, &search_path())?;
    let free = statvfs(folder)
        .map_err(|error| Error::path("look at", folder)(error.into()))
        .map(|about| about.f_bavail.saturating_mul(about.f_frsize))?;
    enough(free, folder)
}

fn search_path() -> Vec<std::path::PathBuf> {
    env::var_os("PATH")
        .map(|path| env::split_paths(&path).collect())
        .unwrap_or_default()
}

fn programs(tools: &[Tool], folders: &[std::path::PathBuf]) -> Result<(), Error> {
    let missing = |(program, _): &&Tool| !folders.iter().any(|f| f.join(program).is_file());
    let missing: Vec<_> = tools.iter().filter(missing).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names = |of: fn(&Tool) -> &'static str, by: &str| {
        let names: Vec<_> = missing.iter().map(|tool| of(tool)).collect();
        names.join(by)
    };
    Err(Error::Lab {
        why: format!("not installed: {}", names(|tool| tool.0, ", ")),
        hint: format!(
            "apt install {}, or leave out --no-setup",
            names(|tool| tool.1, " ")
        ),
    })
}

fn enough(free: u64, folder: &Path) -> Result<(), Error> {
    if free >= BUILD_BYTES {
        return Ok(());
    }
    let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
    Err(Error::Lab {
        why: format!(
            "making its disk takes {:.1} GiB, and {} has {:.1} left",
            gib(BUILD_BYTES),
            folder.display(),
            gib(free)
        ),
        hint: "Make room there, or let XDG_CACHE_HOME name a folder that has it".to_owned(),
    })
}

/// The error of a build that failed, in words that help; `log` is what mmdebstrap said.
pub(crate) fn explain(failed: Error, log: &str, mirror: &str) -> Error {
    const NETWORK: [&str; 5] = [
        "Could not resolve",
        "Temporary failure resolving",
        "Could not connect",
        "Connection failed",
        "Network is unreachable",
    ];
    if NETWORK.iter().any(|sign| log.contains(sign)) {
        return Error::Lab {
            why: format!(
                "its guest is made of Debian's packages, and the mirror {mirror} can't be reached"
            ),
            hint: "Connect this machine for the first build (later ones need no network), or put the URL of another mirror into MOS_LAB_MIRROR".to_owned(),
        };
    }
    if log.contains("Unable to locate package") {
        return Error::Lab {
            why: format!("the mirror {mirror} lacks a package of lab/guest/packages.txt"),
            hint: "Use a full mirror of Debian 13 (MOS_LAB_MIRROR)".to_owned(),
        };
    }
    failed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_with_its_package() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("tar"), "").unwrap();
        let error = programs(&BUILD, &[folder.path().to_owned()]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the camera lab can't run here: not installed: mmdebstrap, sqfstar. apt install mmdebstrap squashfs-tools, or leave out --no-setup"
        );
        assert!(programs(&BUILD[2..], &[folder.path().to_owned()]).is_ok());
    }

    #[test]
    fn a_full_disk_is_told_before_it_is_full() {
        let folder = Path::new("/cache");
        assert!(enough(BUILD_BYTES, folder).is_ok());
        let text = enough(BUILD_BYTES / 2, folder).unwrap_err().to_string();
        assert!(
            text.contains("takes 3.0 GiB, and /cache has 1.5 left"),
            "{text}"
        );
    }

    #[test]
    fn a_build_without_a_network_says_so() {
        let plain = || Error::NotMet("mmdebstrap failed".to_owned());
        let explained = |log: &str| explain(plain(), log, "http://mirror/").to_string();
        let offline = explained("E: Temporary failure resolving 'mirror'");
        assert!(
            offline.contains("http://mirror/ can't be reached"),
            "{offline}"
        );
        assert!(explained("E: Unable to locate package udev").contains("lacks a package"));
        assert_eq!(explained("something else"), "mmdebstrap failed");
    }
}
