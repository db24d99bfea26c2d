//! From built files to packages: lays them out as they will be installed, then has debhelper do what every Debian package
//! is made by (`packaging/debian`): dependencies of the programs, maintainer scripts, stripping, checksums.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::arch::Arch;
use super::source;
use super::version::Version;
use crate::debian::chroot::Chroot;
use crate::debian::remove;
use crate::error::Error;
use crate::exec::{capture, run_logged};
use crate::install;
use crate::paths;

const LIMIT: Duration = Duration::from_mins(20);
/// The folder of the packages inside the root.
const PLACE: &str = "/build";
const NAME: &str = "mos-camera";

/// One file of the source tree and where it is laid out.
type Copy = (&'static str, &'static str);

/// What is not compiled. The first column is in the repository, the second as it will be installed, or below `docs` and
/// `examples`, from where `packaging/debian` sorts it.
const FILES: &[Copy] = &[
    (
        "dist/mos-camera-capture.service",
        "usr/lib/systemd/system/mos-camera-capture.service",
    ),
    (
        "dist/mos-unixfd@.service",
        "usr/lib/systemd/system/mos-unixfd@.service",
    ),
    (
        "dist/mos-camera.sysusers.conf",
        "usr/lib/sysusers.d/mos-camera.conf",
    ),
    (
        "dist/60-mos-camera.rules",
        "usr/lib/udev/rules.d/60-mos-camera.rules",
    ),
    (
        "dist/mos-camera.tmpfiles.conf",
        "usr/lib/tmpfiles.d/mos-camera.conf",
    ),
    (
        "dist/mos-camera.packaged.toml",
        "etc/mos-camera/mos-camera.toml",
    ),
    ("dist/mos-camera.toml", "examples/mos-camera.toml"),
    ("docs/configuration.md", "docs/configuration.md"),
    ("docs/interoperation.md", "docs/interoperation.md"),
    ("docs/boards.md", "docs/boards.md"),
    ("docs/bindings/c.md", "docs/bindings/c.md"),
    ("docs/bindings/gstreamer.md", "docs/bindings/gstreamer.md"),
    ("docs/bindings/python.md", "docs/bindings/python.md"),
    (
        "crates/mos-frame-c/examples/receive.c",
        "examples/receive.c",
    ),
    ("crates/mos-frame-c/examples/poll.cpp", "examples/poll.cpp"),
];
const PYTHON: &str = "crates/mos-frame-python/python/mos_frame";
const PYTHON_PLACE: &str = "usr/lib/python3/dist-packages/mos_frame";

/// What packages are made of.
pub(crate) struct Inputs<'a> {
    /// The root folder that has debhelper.
    pub(crate) root: &'a Path,
    /// The sources.
    pub(crate) source: &'a Path,
    /// What was built.
    pub(crate) built: &'a Path,
    /// What the programs hold of others.
    pub(crate) notices: &'a Path,
    /// A folder to work in.
    pub(crate) work: &'a Path,
    /// What was built.
    pub(crate) version: &'a Version,
}

/// Makes the packages; answers their files.
pub(crate) fn make(
    arch: Arch,
    inputs: &Inputs<'_>,
    tick: &mut dyn FnMut(&str),
) -> Result<Vec<PathBuf>, Error> {
    remove(inputs.work)?;
    let folder = inputs.work.join(NAME);
    lay_out(arch, inputs, &folder)?;
    let mut command = Chroot::new(inputs.root)
        .write(inputs.work, PLACE)
        .variable("DEB_BUILD_OPTIONS", "nocheck")
        .command("sh");
    command.args([
        "-euc",
        r#"cd "$1"; shift; exec dpkg-buildpackage "$@""#,
        "sh",
    ]);
    command.arg(format!("{PLACE}/{NAME}"));
    command.args([
        "--build=binary",
        "--no-sign",
        "--no-pre-clean",
        "--no-check-builddeps",
    ]);
    command.arg(format!("--host-arch={}", arch.debian()));
    let log = paths::artifacts().join(format!("dist/packages-{}.log", arch.debian()));
    let done = run_logged(
        "dpkg-buildpackage",
        &mut command,
        &log,
        LIMIT,
        |_| (),
        |line| tick(line),
    )?;
    done.require("making the packages")?;
    packages(inputs.work)
}

fn lay_out(arch: Arch, inputs: &Inputs<'_>, folder: &Path) -> Result<(), Error> {
    let debian = folder.join("debian");
    let from = inputs.source.join("packaging/debian");
    source::copy(&from, &source::below(&from)?, &debian)?;
    let control = read(&debian.join("control"))?;
    let maintainer = maintainer(&control).ok_or_else(|| Error::Unexpected {
        what: "packaging/debian/control".to_owned(),
        why: "it has no Maintainer".to_owned(),
    })?;
    write(
        &debian.join("changelog"),
        &inputs.version.changelog(maintainer),
    )?;
    copy(
        &inputs.source.join("CHANGELOG.md"),
        &folder.join("CHANGELOG.md"),
    )?;

    let tree = folder.join("tree");
    let libdir = Path::new("lib").join(arch.gnu());
    fill(&tree, &libdir, inputs.source, inputs.built)?;
    copy(inputs.notices, &tree.join("third-party.txt"))
}

/// Fills a folder with everything that is packaged, as it will be installed; libraries go to `libdir` below `/usr`.
pub(super) fn fill(tree: &Path, libdir: &Path, source: &Path, built: &Path) -> Result<(), Error> {
    install::lay_out(built, Path::new("/usr"), libdir, tree)?;
    for (from, to) in FILES {
        copy(&source.join(from), &tree.join(to))?;
    }
    python(tree, source, built)
}

/// The module: Python's part, and the extension under the name that any Python 3 looks for.
fn python(tree: &Path, source: &Path, built: &Path) -> Result<(), Error> {
    let from = source.join(PYTHON);
    let entries = fs::read_dir(&from).map_err(Error::path("read", &from))?;
    for path in entries.filter_map(Result::ok).map(|entry| entry.path()) {
        let name = path.file_name().unwrap_or_default();
        copy(&path, &tree.join(PYTHON_PLACE).join(name))?;
    }
    copy(
        &built.join("libmos_frame_python.so"),
        &tree.join(PYTHON_PLACE).join("_native.abi3.so"),
    )
}

fn maintainer(control: &str) -> Option<&str> {
    control
        .lines()
        .find_map(|line| line.strip_prefix("Maintainer: "))
}

/// The packages in a folder.
pub(crate) fn packages(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = fs::read_dir(folder).map_err(Error::path("read", folder))?;
    let mut all: Vec<_> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "deb"))
        .collect();
    all.sort();
    Ok(all)
}

/// A package's name and what it says of its size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct About {
    /// Its name.
    pub(crate) name: String,
    /// Bytes of the file.
    pub(crate) size: u64,
    /// Bytes when installed.
    pub(crate) installed: u64,
}

/// Asks a package.
pub(crate) fn about(root: &Path, package: &Path) -> Result<About, Error> {
    let folder = package.parent().unwrap_or(Path::new("."));
    let mut command: Command = Chroot::new(root).read(folder, PLACE).command("dpkg-deb");
    command.args(["--show", "--showformat=${Package} ${Installed-Size}"]);
    let name = package.file_name().unwrap_or_default();
    command.arg(Path::new(PLACE).join(name));
    let answer = capture("dpkg-deb", &mut command)?;
    let parsed = answer.split_once(' ').and_then(|(name, kib)| {
        let kib: u64 = kib.trim().parse().ok()?;
        Some((name.to_owned(), kib * 1024))
    });
    let (name, installed) = parsed.ok_or_else(|| Error::Unexpected {
        what: "dpkg-deb".to_owned(),
        why: answer.clone(),
    })?;
    let size = fs::metadata(package)
        .map_err(Error::path("look at", package))?
        .len();
    Ok(About {
        name,
        size,
        installed,
    })
}

fn read(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(Error::path("read", path))
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    fs::write(path, text).map_err(Error::path("write", path))
}

fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).map_err(Error::path("create", folder))?;
    }
    fs::copy(from, to).map_err(Error::path("copy", from))?;
    fs::set_permissions(to, fs::Permissions::from_mode(0o644)).map_err(Error::path("write", to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packaged_is_in_the_repository() {
        for (from, _) in FILES {
            assert!(paths::root().join(from).is_file(), "{from}");
        }
        assert!(paths::root().join(PYTHON).join("__init__.py").is_file());
    }

    /// Who adds a board drops a file in: both ways of packaging bring the folders that the service reads by itself.
    #[test]
    fn the_default_folders_of_profiles_are_packaged() {
        let text = |path: &str| read(&paths::root().join(path)).unwrap();
        let example = text("dist/mos-camera.toml");
        let line = example
            .lines()
            .find(|line| line.starts_with("#profile_dirs = "));
        let folders: Vec<_> = line.unwrap().split('"').skip(1).step_by(2).collect();
        assert_eq!(folders.len(), 2, "{folders:?}");
        let debian = text("packaging/debian/mos-camera-capture.dirs");
        let recipe =
            text("packaging/yocto/meta-mos-camera/recipes-multimedia/mos-camera/mos-camera_git.bb");
        for folder in folders {
            assert!(debian.contains(&format!("{}\n", &folder[1..])), "{folder}");
            let variable = folder
                .replace("/usr/share", "${D}${datadir}")
                .replace("/etc", "${D}${sysconfdir}");
            assert!(recipe.contains(&variable), "{variable}");
        }
    }

    #[test]
    fn the_library_package_has_the_number_of_the_soname() {
        let control = read(&paths::root().join("packaging/debian/control")).unwrap();
        let abi = read(&paths::root().join("crates/mos-frame-c/ABI")).unwrap();
        assert!(control.contains(&format!("\nPackage: libmos-frame{}\n", abi.trim())));
        assert!(maintainer(&control).is_some_and(|who| who.ends_with('>')));
    }
}
