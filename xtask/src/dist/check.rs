//! `dist --check`: looks through the packages, and on this machine's processor installs, uses and purges them in a Debian
//! root that is thrown away.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::arch::Arch;
use super::elf;
use super::units;
use crate::debian::chroot::Chroot;
use crate::debian::making::Making;
use crate::debian::{self, SUITE, mirror};
use crate::error::Error;
use crate::exec::{capture, run_logged};
use crate::paths;
use crate::ui;

const LIMIT: Duration = Duration::from_mins(20);
const PACKAGES: &str = "/packages";
const SCRIPTS: &str = "/check";
/// What lintian asks of packages for Debian's own archive alone: that a bug report announced them.
const NOT_FOR_US: &str = "initial-upload-closes-no-bugs";
/// Raise when the way the minimal root is made changes.
const RECIPE: &str = "1";

/// Has lintian and the programs themselves tell what is wrong; `root` is the one that the packages were made in.
pub(crate) fn look_through(
    arch: Arch,
    root: &Path,
    packages: &Path,
    tick: &mut dyn FnMut(&str),
) -> Result<(), Error> {
    let chroot = Chroot::new(root)
        .read(packages, PACKAGES)
        .read(&scripts(), SCRIPTS);
    let mut command = chroot.command("sh");
    command.arg(format!("{SCRIPTS}/elf.sh"));
    let printed = capture("looking at the programs", &mut command)?;
    let faults = elf::faults(arch, &printed);
    if !faults.is_empty() {
        return Err(Error::NotMet(faults.join("\n")));
    }
    let mut command = chroot.command("sh");
    command.args([
        "-euc",
        r#"exec lintian --allow-root --fail-on error,warning --suppress-tags "$2" --tag-display-limit 0 "$1"/*.deb"#,
        "sh",
        PACKAGES,
        NOT_FOR_US,
    ]);
    logged("lintian", arch, &mut command, tick)
}

/// Installs, uses and purges the packages.
pub(crate) fn install(
    arch: Arch,
    cache: &Path,
    packages: &Path,
    tick: &mut dyn FnMut(&str),
) -> Result<(), Error> {
    let tar = minimal(cache, tick)?;
    let root = cache.join("check");
    debian::remove(&root)?;
    fs::create_dir(&root).map_err(Error::path("create", &root))?;
    let tried = in_root(arch, cache, &tar, &root, packages, tick);
    let gone = debian::remove(&root);
    tried.and(gone)
}

fn in_root(
    arch: Arch,
    cache: &Path,
    tar: &Path,
    root: &Path,
    packages: &Path,
    tick: &mut dyn FnMut(&str),
) -> Result<(), Error> {
    let mut command = Command::new("tar");
    command.arg("-xf").arg(tar).arg("-C").arg(root);
    command.arg("--exclude=./dev/*");
    capture("unpacking the minimal root", &mut command)?;
    // apt goes out by the names and proxies that this machine uses.
    let names = root.join("etc/resolv.conf");
    debian::remove(&names)?;
    fs::copy("/etc/resolv.conf", &names).map_err(Error::path("write", &names))?;
    let archives = cache.join("archives");
    let partial = archives.join("partial");
    fs::create_dir_all(&partial).map_err(Error::path("create", &partial))?;

    let inside = Chroot::new(root)
        .writable()
        .read(packages, PACKAGES)
        .read(&scripts(), SCRIPTS);
    let mut online = inside
        .clone()
        .network()
        .write(&archives, "/var/cache/apt/archives");
    for name in ["http_proxy", "https_proxy", "no_proxy"] {
        if let Ok(value) = env::var(name) {
            online = online.variable(name, &value);
        }
    }
    for (name, chroot) in [("install", &online), ("try", &inside), ("purge", &inside)] {
        let mut command = chroot.command("sh");
        command.arg(format!("{SCRIPTS}/{name}.sh"));
        if name == "try" {
            command.args(units::EXPOSURE.map(|(unit, limit)| format!("{unit}={limit}")));
        }
        logged(name, arch, &mut command, tick)?;
    }
    Ok(())
}

/// Debian with apt and little else, as a tar file.
fn minimal(cache: &Path, tick: &mut dyn FnMut(&str)) -> Result<PathBuf, Error> {
    let tar = cache.join(format!("minimal-{}.tar", debian::key([RECIPE, SUITE])));
    debian::stage(&tar, |new| {
        let mirror = mirror::find()?;
        let mut command = Command::new("mmdebstrap");
        command.args(["--mode=root", "--variant=minbase", "--format=tar"]);
        command.arg("--dpkgopt=force-unsafe-io");
        command.arg(SUITE).arg(new);
        command.arg(debian::source(&mirror, SUITE));
        Making {
            what: "making a minimal root from Debian's packages",
            log: "dist/minimal.log",
            limit: LIMIT,
            list: "no list: apt and what is essential",
            mirror: &mirror,
            result: new,
        }
        .run(&mut command, tick)
    })?;
    Ok(tar)
}

fn scripts() -> PathBuf {
    paths::root().join("packaging/check")
}

/// Runs a check, and shows what it found out: its lines that start with `ok` or are set in.
fn logged(
    name: &str,
    arch: Arch,
    command: &mut Command,
    tick: &mut dyn FnMut(&str),
) -> Result<(), Error> {
    let log = paths::artifacts().join(format!("dist/{name}-{}.log", arch.debian()));
    let mut said = Vec::new();
    let keep = |line: &str| {
        if line.starts_with("ok ") || line.starts_with("   ") {
            said.push(format!("    {line}"));
        }
    };
    let done = run_logged(name, command, &log, LIMIT, keep, |line| tick(line))?;
    if name == "try" || name == "purge" {
        said.iter().for_each(ui::say);
    }
    done.require(&format!("the check `{name}` of the packages"))
}
