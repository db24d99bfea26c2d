//! The guest's disk, kernel and initial ramdisk, made from Debian's packages and kept by content: their folder is named by
//! a hash of everything they are made from. A build works in a `.partial` folder, stage by stage; each stage's result
//! appears whole by a rename, so that a build that was stopped goes on where it was.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::{drivers, preflight};
use crate::debian::making::Making;
use crate::debian::{self, BACKPORTS, SUITE, mirror, packages, stage};
use crate::error::Error;
use crate::exec::{self, Running};
use crate::lock::{self, Mode};
use crate::paths;

/// Raise when the way the image is made changes.
const RECIPE: &[u8] = b"3";
/// Files of `lab/guest` that the image is made of; the others come with the tests.
const PARTS: [&str; 5] = [
    "packages.txt",
    "initramfs-hook",
    "initramfs-overlay",
    "mos-lab-init",
    "build-drivers",
];
const ROOT_LIMIT: Duration = Duration::from_mins(30);
const TOOL_LIMIT: Duration = Duration::from_mins(5);

/// What a guest is booted from. While it lives, nobody removes its files.
#[derive(Debug)]
pub(crate) struct Image {
    folder: PathBuf,
    _lock: File,
}

impl Image {
    /// Its folder in the cache.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Linux.
    pub(crate) fn kernel(&self) -> PathBuf {
        self.folder.join("vmlinuz")
    }

    /// Mounts the disk.
    pub(crate) fn ramdisk(&self) -> PathBuf {
        self.folder.join("initrd.img")
    }

    /// The guest's root, read-only.
    pub(crate) fn disk(&self) -> PathBuf {
        self.folder.join("root.squashfs")
    }
}

/// The image for the files in `lab/guest`, made if it is not in the cache.
pub(crate) fn ready(tick: &mut dyn FnMut(&str)) -> Result<Image, Error> {
    let cache = paths::cache().join("lab");
    fs::create_dir_all(&cache).map_err(Error::path("create", &cache))?;
    let lock = exec::create(&cache.join("lock"))?;
    let folder = cache.join(key(&paths::root().join("lab/guest"))?);
    let waiting = |tick: &mut dyn FnMut(&str)| tick("waiting for another run of the lab");
    loop {
        lock::take(&lock, Mode::Shared, || waiting(tick))?;
        // Between looking and locking, a build of other files may have removed it.
        if folder.exists() {
            break;
        }
        lock::take(&lock, Mode::Exclusive, || waiting(tick))?;
        if !folder.exists() {
            preflight::can_build(&cache)?;
            build(&folder, tick)?;
            remove_others(&cache, &folder)?;
        }
    }
    Ok(Image {
        folder,
        _lock: lock,
    })
}

/// A name for everything that goes into the image.
fn key(guest: &Path) -> Result<String, Error> {
    let mut hash = Sha256::new();
    hash.update(RECIPE);
    hash.update(SUITE);
    for name in PARTS {
        let path = guest.join(name);
        let bytes = fs::read(&path).map_err(Error::path("read", &path))?;
        debian::add(&mut hash, &bytes);
    }
    Ok(debian::name(hash))
}

fn build(folder: &Path, tick: &mut dyn FnMut(&str)) -> Result<(), Error> {
    let work = folder.with_extension("partial");
    fs::create_dir_all(&work).map_err(Error::path("create", &work))?;
    let root = work.join("root.tar");
    stage(&root, |target| {
        // Not a stage of its own: a root that is made later might get a newer kernel.
        let modules = work.join("drivers.tar");
        drivers::build(&modules, tick)?;
        debootstrap(target, &modules, tick)?;
        fs::remove_file(&modules).map_err(Error::path("remove", &modules))
    })?;
    tick("packing the disk");
    stage(&work.join("root.squashfs"), |target| pack(&root, target))?;
    boot_files(&root, &work)?;
    fs::remove_file(&root).map_err(Error::path("remove", &root))?;
    fs::rename(&work, folder).map_err(Error::path("finish", folder))
}

/// What mmdebstrap makes a root of.
pub(super) struct Bootstrap<'a> {
    /// For errors.
    pub(super) what: &'a str,
    /// Name of its log.
    pub(super) log: &'a str,
    pub(super) packages: &'a [&'a str],
    /// Its flags for what is done in and with the root.
    pub(super) hooks: Vec<String>,
}

/// The guest's root as a tar file, with modules beside those of its kernel's package.
fn debootstrap(target: &Path, modules: &Path, tick: &mut dyn FnMut(&str)) -> Result<(), Error> {
    let guest = paths::root().join("lab/guest");
    let list = guest.join("packages.txt");
    let list = fs::read_to_string(&list).map_err(Error::path("read", &list))?;
    let into =
        |file: &str, folder: &str| format!("copy-in {} {folder}", guest.join(file).display());
    let initramfs = "/etc/initramfs-tools";
    let setup = |hook: String| format!("--setup-hook={hook}");
    let customize = |hook: String| format!("--customize-hook={hook}");
    let bootstrap = Bootstrap {
        what: "making the guest's root from Debian's packages",
        log: "build.log",
        packages: &packages(&list),
        hooks: vec![
            setup(format!(
                r#"mkdir -p "$1{initramfs}/conf.d" "$1{initramfs}/hooks" "$1{initramfs}/scripts/init-bottom""#
            )),
            setup(format!(
                r#"echo MODULES=list >"$1{initramfs}/conf.d/mos-lab""#
            )),
            setup(into("initramfs-hook", &format!("{initramfs}/hooks"))),
            setup(into(
                "initramfs-overlay",
                &format!("{initramfs}/scripts/init-bottom"),
            )),
            customize(into("mos-lab-init", "/sbin")),
            customize(format!("tar-in {} /usr/lib/modules", modules.display())),
            // Beside the newer one that is installed, for tests.
            customize(
                r#"set -e; cd "$1/tmp"; APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" apt-get download libcamera0.4 libcamera-ipa/trixie gstreamer1.0-libcamera/trixie; for deb in *.deb; do dpkg-deb -x "$deb" "$1/opt/libcamera-0.4"; rm "$deb"; done"#
                    .to_owned(),
            ),
            // Fails where the modules are of another kernel.
            customize(
                r#"chroot "$1" sh -ec 'for k in /boot/vmlinuz-*; do k=${k#/boot/vmlinuz-}; depmod "$k"; modinfo -k "$k" vimc vim2m >/dev/null; done'"#
                    .to_owned(),
            ),
            // Fills GStreamer's plugin registry: minutes saved under emulation.
            customize(r#"HOME=/root chroot "$1" gst-inspect-1.0 >/dev/null"#.to_owned()),
        ],
    };
    self::bootstrap(&bootstrap, target, "tar", tick)
}

/// A root of Debian's packages. mmdebstrap works as root or, without, in a user namespace; it mounts nothing that outlives it.
pub(super) fn bootstrap(
    what: &Bootstrap<'_>,
    target: &Path,
    format: &str,
    tick: &mut dyn FnMut(&str),
) -> Result<(), Error> {
    let mirror = mirror::find()?;
    let mut command = Command::new("mmdebstrap");
    command.args(["--mode=auto", "--variant=minbase", "--architectures=amd64"]);
    command.arg(format!("--format={format}"));
    command.arg(format!("--include={}", what.packages.join(",")));
    command.arg(r#"--aptopt=APT::Install-Recommends "false""#);
    command.args(
        ["doc", "man", "locale"].map(|kind| format!("--dpkgopt=path-exclude=/usr/share/{kind}/*")),
    );
    command.args(&what.hooks);
    command.arg(SUITE).arg(target);
    command.args([SUITE, BACKPORTS].map(|suite| debian::source(&mirror, suite)));
    Making {
        what: what.what,
        log: &format!("lab/{}", what.log),
        limit: ROOT_LIMIT,
        list: "lab/guest/packages.txt",
        mirror: &mirror,
        result: target,
    }
    .run(&mut command, tick)
}

/// A squashfs from a tar file, compressed so that it is quick to read under emulation.
pub(super) fn pack(tar: &Path, target: &Path) -> Result<(), Error> {
    let input = File::open(tar).map_err(Error::path("read", tar))?;
    let mut command = Command::new("sqfstar");
    command
        .args(["-comp", "lz4", "-quiet", "-no-progress"])
        .arg(target);
    command
        .stdin(input)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut running = Running::spawn("sqfstar", &mut command)?;
    match running.wait_timeout(TOOL_LIMIT)? {
        Some(status) if status.success() => Ok(()),
        status => Err(Error::Failed {
            what: "packing the guest's disk with sqfstar".to_owned(),
            how: status.map_or("it took too long".to_owned(), exec::describe),
            tail: String::new(),
        }),
    }
}

/// Takes kernel and ramdisk out of the root.
fn boot_files(root: &Path, work: &Path) -> Result<(), Error> {
    let mut command = Command::new("tar");
    command
        .arg("-xf")
        .arg(root)
        .arg("-C")
        .arg(work)
        .args(["--no-same-owner", "./boot"]);
    exec::capture("taking the kernel out of the guest's root", &mut command)?;
    let boot = work.join("boot");
    let entries = fs::read_dir(&boot).map_err(Error::path("read", &boot))?;
    for entry in entries.filter_map(Result::ok) {
        let name = entry.file_name().to_string_lossy().into_owned();
        for (prefix, target) in [("vmlinuz-", "vmlinuz"), ("initrd.img-", "initrd.img")] {
            if name.starts_with(prefix) {
                fs::rename(entry.path(), work.join(target))
                    .map_err(Error::path("move", entry.path()))?;
            }
        }
    }
    fs::remove_dir_all(&boot).map_err(Error::path("remove", &boot))
}

/// Images of earlier versions of the guest's files are not needed again.
fn remove_others(cache: &Path, keep: &Path) -> Result<(), Error> {
    let entries = fs::read_dir(cache).map_err(Error::path("read", cache))?;
    for path in entries.filter_map(Result::ok).map(|entry| entry.path()) {
        if path.is_dir() && path != keep {
            fs::remove_dir_all(&path).map_err(Error::path("remove", &path))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_follows_the_content() {
        let folder = tempfile::tempdir().unwrap();
        for name in PARTS {
            fs::write(folder.path().join(name), name).unwrap();
        }
        let before = key(folder.path()).unwrap();
        assert_eq!(before, key(folder.path()).unwrap());
        assert_eq!(before.len(), 16);
        fs::write(folder.path().join("packages.txt"), "other").unwrap();
        assert_ne!(before, key(folder.path()).unwrap());
    }
}
