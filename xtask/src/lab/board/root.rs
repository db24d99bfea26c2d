//! The board's root, kernel, ramdisk and device tree, made of Debian's arm64 packages and kept by content.
//!
//! The packages' maintainer scripts are arm64 programs, and a host can't be relied on to run those. So mmdebstrap only downloads and
//! unpacks; a machine of QEMU's boots that as its initial ramdisk and has dpkg install the packages
//! ([record 32](../../../../docs/adr/0032-board-boot.md)).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::machine;
use super::tools::Tools;
use crate::debian::making::Making;
use crate::debian::{self, BACKPORTS, SUITE, mirror};
use crate::error::Error;
use crate::exec::{self, capture, run_logged};
use crate::lab::{image, preflight};
use crate::paths;

/// Raise when the way the root is made changes.
const RECIPE: &str = "1";
/// Downloading on a slow line, and unpacking.
const UNPACK_LIMIT: Duration = Duration::from_mins(45);
const INSTALL_LIMIT: Duration = Duration::from_mins(45);
/// Takes the compression off the archives: the host unpacks many times faster than a machine that is emulated.
const PLAIN: &str = r#"cd "$1/var/cache/apt/archives"
for archive in *.deb; do
    mkdir plain
    (
        cd plain
        ar x "../$archive"
        for part in data.tar.*; do
            [ -e "$part" ] || continue
            case $part in
            *.xz) xz -dc "$part" >data.tar ;;
            *.zst) zstd -qdc "$part" >data.tar ;;
            *.gz) gzip -dc "$part" >data.tar ;;
            esac
            rm "$part"
        done
        ar rc "../$archive.new" debian-binary control.tar* data.tar
    )
    mv "$archive.new" "$archive"
    rm -r plain
done"#;
/// The files of `lab/board` that the root is made of.
const FILES: [&str; 6] = [
    "packages.txt",
    "initramfs-hook",
    "install",
    "mos-board.conf",
    "mos-board.service",
    "mos-board.target",
];

/// What the board boots from.
#[derive(Debug)]
pub(super) struct Root {
    folder: PathBuf,
}

impl Root {
    /// The root for the files in `lab/board`, made if it is not in the cache. The caller holds the cache's lock.
    pub(super) fn ready(
        cache: &Path,
        tools: &Tools,
        tick: &mut dyn FnMut(&str),
    ) -> Result<Self, Error> {
        let source = paths::root().join("lab/board");
        let folder = cache.join(format!("root-{}", key(&source)?));
        if !folder.exists() {
            preflight::can_build(cache)?;
            build(&folder, &source, tools, tick)?;
        }
        Ok(Self { folder })
    }

    /// Its folder in the cache.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Linux.
    pub(super) fn kernel(&self) -> PathBuf {
        self.folder.join("vmlinuz")
    }

    /// Mounts the disk.
    pub(super) fn ramdisk(&self) -> PathBuf {
        self.folder.join("initrd.img")
    }

    /// The root, read-only.
    pub(super) fn disk(&self) -> PathBuf {
        self.folder.join("root.squashfs")
    }

    /// The board's device tree, as it comes with the kernel.
    pub(super) fn device_tree(&self) -> PathBuf {
        self.folder.join("imx8mp-evk.dtb")
    }
}

/// A name for everything that goes into the root.
fn key(source: &Path) -> Result<String, Error> {
    let mut parts = vec![RECIPE.as_bytes().to_vec(), SUITE.as_bytes().to_vec()];
    let overlay = overlay();
    for path in FILES.map(|name| source.join(name)).iter().chain([&overlay]) {
        parts.push(fs::read(path).map_err(Error::path("read", path))?);
    }
    Ok(debian::key(parts))
}

/// The ramdisk's script that lays a writable layer over the disk: the same as that of the x86 guest.
fn overlay() -> PathBuf {
    paths::root().join("lab/guest/initramfs-overlay")
}

fn build(
    folder: &Path,
    source: &Path,
    tools: &Tools,
    tick: &mut dyn FnMut(&str),
) -> Result<(), Error> {
    let work = folder.with_extension("partial");
    fs::create_dir_all(&work).map_err(Error::path("create", &work))?;
    let unpacked = work.join("unpacked.tar");
    debian::stage(&unpacked, |target| unpack(target, source, tick))?;
    let share = work.join("share");
    debian::stage(&work.join("installed"), |done| {
        install(&work, &unpacked, &share, tools, tick)?;
        fs::write(done, "").map_err(Error::path("write", done))
    })?;
    tick("packing the disk");
    let root = share.join("root.tar");
    debian::stage(&work.join("root.squashfs"), |target| {
        image::pack(&root, target)?;
        machine::fit_card(target)
    })?;
    for name in ["vmlinuz", "initrd.img"] {
        let (from, to) = (share.join(name), work.join(name));
        if from.exists() {
            fs::rename(&from, &to).map_err(Error::path("move", &from))?;
        }
    }
    debian::stage(&work.join("imx8mp-evk.dtb"), |target| {
        device_tree(&root, target)
    })?;
    debian::remove(&share)?;
    debian::remove(&unpacked)?;
    fs::rename(&work, folder).map_err(Error::path("finish", folder))
}

/// Debian's packages, unpacked and as archives, as a tar file.
fn unpack(target: &Path, source: &Path, tick: &mut dyn FnMut(&str)) -> Result<(), Error> {
    let mirror = mirror::find()?;
    Making {
        what: "unpacking the board's packages",
        log: "lab/board/unpack.log",
        limit: UNPACK_LIMIT,
        list: "lab/board/packages.txt",
        mirror: &mirror,
        result: target,
    }
    .run(&mut mmdebstrap(&mirror, target, source)?, tick)
}

fn mmdebstrap(mirror: &str, target: &Path, source: &Path) -> Result<Command, Error> {
    let list = source.join("packages.txt");
    let list = fs::read_to_string(&list).map_err(Error::path("read", &list))?;
    let mut command = Command::new("mmdebstrap");
    command.args([
        "--mode=auto",
        "--variant=extract",
        "--architectures=arm64",
        "--format=tar",
    ]);
    // dpkg and what its scripts need is there before anything is installed.
    command.arg("--include=?essential");
    command.arg(format!("--include={}", debian::packages(&list).join(",")));
    command.arg(r#"--aptopt=APT::Install-Recommends "false""#);
    command.args(
        ["doc", "man", "locale"].map(|kind| format!("--dpkgopt=path-exclude=/usr/share/{kind}/*")),
    );
    command.arg("--skip=cleanup/apt/cache");
    command.arg(format!("--extract-hook=set -e; {PLAIN}"));
    let into = |file: PathBuf, folder: &str| {
        format!(
            r#"--extract-hook=mkdir -p "$1{folder}" && cp {} "$1{folder}/""#,
            quoted(&file)
        )
    };
    let initramfs = "/etc/initramfs-tools";
    command.arg(format!(
        r#"--extract-hook=mkdir -p "$1{initramfs}/conf.d"; echo MODULES=list >"$1{initramfs}/conf.d/mos-lab""#
    ));
    // dpkg in the machine leaves out the same.
    command.arg(r#"--extract-hook=printf 'path-exclude=/usr/share/%s/*\n' doc man locale >"$1/etc/dpkg/dpkg.cfg.d/mos-lab""#);
    command.arg(into(
        source.join("initramfs-hook"),
        &format!("{initramfs}/hooks"),
    ));
    command.arg(into(overlay(), &format!("{initramfs}/scripts/init-bottom")));
    command.arg(into(source.join("install"), "/"));
    command.arg(into(
        source.join("mos-board.conf"),
        "/etc/systemd/system.conf.d",
    ));
    for unit in ["mos-board.service", "mos-board.target"] {
        command.arg(into(source.join(unit), "/etc/systemd/system"));
    }
    command.arg(SUITE).arg(target);
    command.args([SUITE, BACKPORTS].map(|suite| debian::source(mirror, suite)));
    Ok(command)
}

/// A path as a word of the shell.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

/// Boots what was unpacked as a ramdisk; dpkg installs the packages in there and leaves the root in the shared folder.
fn install(
    work: &Path,
    unpacked: &Path,
    share: &Path,
    tools: &Tools,
    tick: &mut dyn FnMut(&str),
) -> Result<(), Error> {
    debian::remove(share)?;
    fs::create_dir_all(share).map_err(Error::path("create", share))?;
    let boot = work.join("boot");
    debian::remove(&boot)?;
    let kernel = kernel(unpacked, work)?;
    let ramdisk = work.join("install.cpio");
    tick("making the installing machine's ramdisk");
    let mut convert = Command::new("bsdtar");
    // bsdtar converts from one archive to another, so that owners and devices need no root to be kept.
    convert
        .args(["--format", "newc", "--create", "--file"])
        .arg(&ramdisk);
    convert.arg(format!("@{}", unpacked.display()));
    capture("making the installing machine's ramdisk", &mut convert)?;
    let log = paths::artifacts().join("lab/board/install.log");
    let mut command = tools.qemu();
    command.args(machine::installer(&kernel, &ramdisk, share));
    let done = run_logged(
        "the installing machine",
        &mut command,
        &log,
        INSTALL_LIMIT,
        |_| (),
        |line| tick(line),
    )?;
    debian::remove(&ramdisk)?;
    debian::remove(&boot)?;
    done.require("installing the board's packages")?;
    if share.join("root.tar").exists() {
        return Ok(());
    }
    Err(Error::Failed {
        what: "installing the board's packages".to_owned(),
        how: format!("its log is {}", log.display()),
        tail: exec::tail(&exec::read_lossy(&log)?, 30),
    })
}

/// Takes the kernel out of the packages.
fn kernel(unpacked: &Path, work: &Path) -> Result<PathBuf, Error> {
    extract(unpacked, work, "./boot/vmlinuz-*")?;
    only_file(&work.join("boot"))
}

/// Takes the board's device tree out of the root.
fn device_tree(root: &Path, target: &Path) -> Result<(), Error> {
    let folder = tempfile::tempdir_in(target.parent().unwrap_or(Path::new(".")))
        .map_err(Error::io("cannot make a temporary folder"))?;
    extract(
        root,
        folder.path(),
        "./usr/lib/linux-image-*/freescale/imx8mp-evk.dtb",
    )?;
    let images = only_file(&folder.path().join("usr/lib"))?;
    let tree = images.join("freescale/imx8mp-evk.dtb");
    fs::rename(&tree, target).map_err(Error::path("move", &tree))
}

fn extract(tar: &Path, folder: &Path, pattern: &str) -> Result<(), Error> {
    let mut command = Command::new("tar");
    command.arg("-xf").arg(tar).arg("-C").arg(folder);
    command.args(["--no-same-owner", "--wildcards", pattern]);
    capture(&format!("taking {pattern} out of the root"), &mut command).map(drop)
}

/// What a folder holds, if it is one thing.
fn only_file(folder: &Path) -> Result<PathBuf, Error> {
    let entries = fs::read_dir(folder).map_err(Error::path("read", folder))?;
    let mut paths = entries.filter_map(Result::ok).map(|entry| entry.path());
    match (paths.next(), paths.next()) {
        (Some(path), None) => Ok(path),
        _ => Err(Error::Unexpected {
            what: folder.display().to_string(),
            why: "one file was expected in it".to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_follows_the_files() {
        let folder = tempfile::tempdir().unwrap();
        for name in FILES {
            fs::write(folder.path().join(name), name).unwrap();
        }
        let before = key(folder.path()).unwrap();
        assert_eq!(before, key(folder.path()).unwrap());
        fs::write(folder.path().join("install"), "other").unwrap();
        assert_ne!(before, key(folder.path()).unwrap());
    }

    #[test]
    fn paths_are_words() {
        assert_eq!(quoted(Path::new("/a b/it's")), r"'/a b/it'\''s'");
    }

    #[test]
    fn the_shipped_list_is_what_is_unpacked() {
        let source = paths::root().join("lab/board");
        let command = mmdebstrap("http://mirror/debian", Path::new("/t"), &source).unwrap();
        let arguments: Vec<_> = command.get_args().map(|a| a.to_string_lossy()).collect();
        assert!(arguments.contains(&"--architectures=arm64".into()));
        assert!(
            arguments
                .iter()
                .any(|word| word.starts_with("--include=linux-image-arm64,")),
            "{arguments:?}"
        );
    }
}
