//! What the lab needs of this machine, asked before minutes are spent, and what a failed build means in words.

use std::env;
use std::path::Path;

use crate::debian;
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
    debian::room("the lab's disk", BUILD_BYTES, folder)
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
}
