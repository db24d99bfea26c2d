//! The Debian root that packages are built in, and the crates: made once, kept in the cache by what they are made from.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use super::arch::Arch;
use crate::cargo::cargo;
use crate::debian::making::Making;
use crate::debian::{self, BACKPORTS, SUITE, mirror};
use crate::error::Error;
use crate::exec::run_logged;
use crate::paths;

/// Raise when the way a root is made changes.
const RECIPE: &str = "1";
const ROOT_LIMIT: Duration = Duration::from_mins(40);
/// The root, the packages that it is made of, and what is built in it.
const ROOT_BYTES: u64 = 8 << 30;
const CRATES_LIMIT: Duration = Duration::from_mins(20);
/// What can't be installed for another processor, since it drags in what has no place beside this machine's own. Headers
/// are all that is wanted of it, so it is only unpacked; the library that belongs to it is installed.
const UNPACKED: &str = "libgstreamer-plugins-bad1.0-dev";

/// Older than anything that is built.
const OLD: SystemTime = SystemTime::UNIX_EPOCH;

/// Where the files of the root are described.
pub(crate) fn description() -> PathBuf {
    paths::root().join("packaging/root")
}

/// The root for `arch`, made below `cache` if it is not there.
pub(crate) fn ready(
    arch: Arch,
    cache: &Path,
    tick: &mut dyn FnMut(&str),
) -> Result<PathBuf, Error> {
    let read = |name: &str| {
        let path = description().join(name);
        fs::read_to_string(&path).map_err(Error::path("read", path))
    };
    let (list, preferences) = (read("packages.txt")?, read("rust.pref")?);
    let key = debian::key([RECIPE, SUITE, arch.debian(), &list, &preferences]);
    let folder = cache.join(format!("root-{}-{key}", arch.debian()));
    debian::stage(&folder, |new| make(arch, &list, new, tick))?;
    remove_others(cache, &format!("root-{}-", arch.debian()), &folder)?;
    Ok(folder)
}

fn make(arch: Arch, list: &str, target: &Path, tick: &mut dyn FnMut(&str)) -> Result<(), Error> {
    debian::room(
        "the root to build in",
        ROOT_BYTES,
        target.parent().unwrap_or(target),
    )?;
    let mirror = mirror::find()?;
    let mut command = mmdebstrap(arch, list);
    command.arg(target);
    command.args([SUITE, BACKPORTS].map(|suite| debian::source(&mirror, suite)));
    Making {
        what: "making the root to build in from Debian's packages",
        log: &format!("dist/root-{}.log", arch.debian()),
        limit: ROOT_LIMIT,
        list: "packaging/root/packages.txt",
        mirror: &mirror,
        result: target,
    }
    .run(&mut command, tick)
}

fn mmdebstrap(arch: Arch, list: &str) -> Command {
    let native = Arch::NATIVE;
    let mut command = Command::new("mmdebstrap");
    command.args(["--mode=root", "--variant=minbase", "--format=directory"]);
    command.arg(format!("--architectures={}", architectures(arch).join(",")));
    command.arg(format!(
        "--include={}",
        packages(list, arch, native).join(",")
    ));
    command.arg(r#"--aptopt=APT::Install-Recommends "false""#);
    // A root that a power cut spoils is never renamed to its place.
    command.arg("--dpkgopt=force-unsafe-io");
    command
        .args(["man", "locale"].map(|kind| format!("--dpkgopt=path-exclude=/usr/share/{kind}/*")));
    let preferences = description().join("rust.pref");
    command.arg(format!(
        "--setup-hook=copy-in {} /etc/apt/preferences.d",
        preferences.display()
    ));
    command.arg(format!(
        r#"--customize-hook=export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"; cd "$1/tmp"; apt-get download {UNPACKED}:{}; dpkg -x {UNPACKED}_*.deb "$1"; rm {UNPACKED}_*.deb"#,
        arch.debian()
    ));
    command.arg(SUITE);
    command
}

/// This machine's first: its programs run in the root.
fn architectures(arch: Arch) -> Vec<&'static str> {
    let mut all = vec![Arch::NATIVE.debian()];
    if arch != Arch::NATIVE {
        all.push(arch.debian());
    }
    all
}

/// The list's packages for `arch`, with what cross-building takes.
fn packages(list: &str, arch: Arch, native: Arch) -> Vec<String> {
    let listed = debian::packages(list).into_iter();
    let mut all: Vec<_> = listed
        .map(|name| name.replace(":ARCH", &format!(":{}", arch.debian())))
        .collect();
    if arch != native {
        all.push(format!("gcc-{}", arch.gnu().replace('_', "-")));
    }
    all
}

/// The crates that Cargo.lock names, as folders: what is built in the root needs neither a registry nor this machine's
/// cargo configuration.
pub(crate) fn crates(cache: &Path, tick: &mut dyn FnMut(&str)) -> Result<PathBuf, Error> {
    let lock = paths::root().join("Cargo.lock");
    let lock = fs::read(&lock).map_err(Error::path("read", &lock))?;
    let folder = cache.join(format!("crates-{}", debian::key([lock])));
    debian::stage(&folder, |new| {
        let log = paths::artifacts().join("dist/crates.log");
        let mut command = cargo("vendor");
        command.args(["--versioned-dirs", "--locked"]).arg(new);
        run_logged(
            "cargo vendor",
            &mut command,
            &log,
            CRATES_LIMIT,
            |_| (),
            |line| tick(line),
        )?
        .require("fetching the crates")?;
        old(new)
    })?;
    remove_others(cache, "crates-", &folder)?;
    Ok(folder)
}

/// Gives all files below a folder the same old time. Cargo goes by times: crates that another Cargo.lock had as well would be
/// built again only because they were fetched again.
fn old(folder: &Path) -> Result<(), Error> {
    let entries = fs::read_dir(folder).map_err(Error::path("read", folder))?;
    for entry in entries {
        let path = entry.map_err(Error::path("read", folder))?.path();
        if path.is_dir() {
            old(&path)?;
        } else {
            let set = File::open(&path).and_then(|file| file.set_modified(OLD));
            set.map_err(Error::path("set the time of", &path))?;
        }
    }
    Ok(())
}

/// What earlier versions of the descriptions came to is not needed again.
fn remove_others(cache: &Path, prefix: &str, keep: &Path) -> Result<(), Error> {
    let entries = fs::read_dir(cache).map_err(Error::path("read", cache))?;
    for path in entries.filter_map(Result::ok).map(|entry| entry.path()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with(prefix) && path != keep {
            debian::remove(&path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_those_of_the_target_and_the_tools_this_machines() {
        let list = "cargo  # builds\nlibudev-dev:ARCH\n";
        assert_eq!(
            packages(list, Arch::Arm64, Arch::Amd64),
            ["cargo", "libudev-dev:arm64", "gcc-aarch64-linux-gnu"]
        );
        assert_eq!(
            packages(list, Arch::Amd64, Arch::Amd64),
            ["cargo", "libudev-dev:amd64"]
        );
        assert_eq!(
            packages(list, Arch::Amd64, Arch::Arm64).last().unwrap(),
            "gcc-x86-64-linux-gnu"
        );
    }

    #[test]
    fn crates_that_were_fetched_again_look_as_old_as_before() {
        let crates = tempfile::tempdir().unwrap();
        let file = crates.path().join("a-1.0.0/src/lib.rs");
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, "").unwrap();
        old(crates.path()).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().modified().unwrap(), OLD);
    }

    #[test]
    fn only_what_a_description_replaced_is_removed() {
        let cache = tempfile::tempdir().unwrap();
        for name in ["root-arm64-1", "root-arm64-2", "root-amd64-1", "target"] {
            fs::create_dir(cache.path().join(name)).unwrap();
        }
        remove_others(
            cache.path(),
            "root-arm64-",
            &cache.path().join("root-arm64-2"),
        )
        .unwrap();
        let left = |name: &str| cache.path().join(name).exists();
        assert!(!left("root-arm64-1"));
        assert!(left("root-arm64-2") && left("root-amd64-1") && left("target"));
    }
}
