//! The programs of the board's lab: Debian 13's QEMU, whose arm machines include the board (from QEMU 10 on; Debian 12 has 7.2),
//! and the device tree compiler's tools.
//!
//! The packages are unpacked, not installed, and their programs are started by their own dynamic loader
//! ([record 10](../../../../docs/adr/0010-peers-of-the-benchmark.md) does the same).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::debian::making::Making;
use crate::debian::{self, SUITE, mirror};
use crate::error::Error;
use crate::exec::capture;

/// Raise when the way the folder is made changes.
const RECIPE: &str = "1";
const LIMIT: Duration = Duration::from_mins(30);
const PACKAGES: &str = "qemu-system-arm,device-tree-compiler";
const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";

/// A folder with Debian 13's programs.
#[derive(Debug)]
pub(super) struct Tools {
    root: PathBuf,
}

impl Tools {
    /// The folder, made if it is not in the cache. The caller holds the cache's lock.
    pub(super) fn ready(cache: &Path, tick: &mut dyn FnMut(&str)) -> Result<Self, Error> {
        let root = cache.join(format!("tools-{}", debian::key([SUITE, PACKAGES, RECIPE])));
        debian::stage(&root, |partial| unpack(partial, tick))?;
        Ok(Self { root })
    }

    /// Its folder in the cache.
    pub(super) fn folder(&self) -> &Path {
        &self.root
    }

    /// The emulator.
    pub(super) fn qemu(&self) -> Command {
        let mut command = self.command("qemu-system-aarch64");
        // Not this machine's, which may be of another version.
        command.env("QEMU_MODULE_DIR", self.root.join(LIBRARIES).join("qemu"));
        command.arg("-L").arg(self.root.join("usr/share/qemu"));
        command
    }

    /// Changes a property of a compiled device tree.
    pub(super) fn fdtput(&self) -> Command {
        self.command("fdtput")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.root.join("usr/lib64/ld-linux-x86-64.so.2"));
        command.arg("--library-path").arg(self.root.join(LIBRARIES));
        command.arg(self.root.join("usr/bin").join(program));
        command
    }
}

/// It goes through a tar file, for in a user namespace mmdebstrap could not write into a folder of this user.
fn unpack(folder: &Path, tick: &mut dyn FnMut(&str)) -> Result<(), Error> {
    let mirror = mirror::find()?;
    let tar = folder.with_extension("tar");
    Making {
        what: "unpacking Debian 13's QEMU",
        log: "lab/board/tools.log",
        limit: LIMIT,
        list: "xtask/src/lab/board/tools.rs",
        mirror: &mirror,
        result: &tar,
    }
    .run(&mut mmdebstrap(&mirror, &tar), tick)?;
    fs::create_dir(folder).map_err(Error::path("create", folder))?;
    let mut unpack = Command::new("tar");
    unpack.arg("-xf").arg(&tar).arg("-C").arg(folder);
    // Devices need root and nobody here opens them.
    unpack.args(["--no-same-owner", "--exclude=./dev"]);
    capture("unpacking Debian 13's QEMU", &mut unpack)?;
    debian::remove(&tar)
}

fn mmdebstrap(mirror: &str, target: &Path) -> Command {
    let mut command = Command::new("mmdebstrap");
    command.args([
        "--mode=auto",
        "--variant=extract",
        "--architectures=amd64",
        "--format=tar",
    ]);
    command.arg(format!("--include={PACKAGES}"));
    command.arg(r#"--aptopt=APT::Install-Recommends "false""#);
    command.args(
        ["doc", "man", "locale"].map(|kind| format!("--dpkgopt=path-exclude=/usr/share/{kind}/*")),
    );
    command.arg(SUITE).arg(target);
    command.arg(debian::source(mirror, SUITE));
    command
}
