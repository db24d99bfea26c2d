//! `install`: programs, GStreamer plugin and the C library, into a system or a folder of one's own.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use clap::ValueEnum;

use crate::cargo::{self, Profile, cargo};
use crate::error::Error;
use crate::paths;
use crate::setup::{self, Group};
use crate::ui;

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// See the file: the number in the library's soname.
const ABI: &str = include_str!("../../crates/mos-frame-c/ABI");
const PKG_CONFIG: &str = include_str!("../../crates/mos-frame-c/mos-frame.pc.in");
/// Pages of the programs, in `dist/man`.
const MANUAL: [&str; 3] = ["mos-camera-capture.8", "mosctl.1", "mos-unixfd.1"];
/// A call that only a development build of the library has.
const MAPS_FRAMES: &[u8] = b"mos_frame_map";

/// Arguments of `install`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where it will be used from, such as /usr/local or ~/mos; an absolute path
    #[arg(long, value_name = "DIR")]
    prefix: PathBuf,
    /// Put the files below this folder instead of /, for packages
    #[arg(long, value_name = "DIR")]
    destdir: Option<PathBuf>,
    /// Folder of the libraries, below the prefix; for /usr on Debian lib/x86_64-linux-gnu
    #[arg(long, value_name = "DIR", default_value = "lib")]
    libdir: PathBuf,
    /// Only these parts; repeat for several [default: all]
    #[arg(long, value_enum, value_name = "PART")]
    only: Vec<Part>,
    /// Without test cameras, software fall-backs and any code that reads pixels with the CPU
    #[arg(long)]
    production: bool,
    /// Build nothing: take what cargo built into this folder before
    #[arg(long, value_name = "DIR", conflicts_with = "production")]
    from: Option<PathBuf>,
    /// Don't check or install system packages
    #[arg(long)]
    no_setup: bool,
}

/// What can be installed by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// mos-camera-capture, mosctl and mos-unixfd, with their manual pages
    Programs,
    /// mosframesink and mosframesrc
    Gstreamer,
    /// The C library, its header and its pkg-config file
    Library,
}

impl Part {
    const ALL: [Self; 3] = [Self::Programs, Self::Gstreamer, Self::Library];

    fn packages(self) -> &'static [&'static str] {
        match self {
            Self::Programs => &["mos-camera-capture", "mosctl", "mos-unixfd"],
            Self::Gstreamer => &["gst-plugin-mos"],
            Self::Library => &["mos-frame-c"],
        }
    }
}

/// Builds what is to be installed, and installs it.
pub(crate) fn run(args: &Args) -> Result<(), Error> {
    if !args.prefix.is_absolute() {
        let text = "--prefix needs an absolute path: programs and pkg-config will look there";
        return Err(Error::NotMet(text.to_owned()));
    }
    let parts = if args.only.is_empty() {
        &Part::ALL[..]
    } else {
        &args.only
    };
    let built = match &args.from {
        Some(folder) => folder.clone(),
        None => build(args, parts)?,
    };
    let target = Target::new(args);
    put(parts, &built, &target)?;
    say_how_to_use(args, parts, &target);
    Ok(())
}

/// Lays out everything that cargo built into `built` as it will be installed below `prefix`, in the folder `destdir`.
pub(crate) fn lay_out(
    built: &Path,
    prefix: &Path,
    libdir: &Path,
    destdir: &Path,
) -> Result<(), Error> {
    let target = Target {
        prefix: prefix.to_owned(),
        libdir: prefix.join(libdir),
        destdir: Some(destdir.to_owned()),
        quiet: true,
    };
    put(&Part::ALL, built, &target)
}

fn put(parts: &[Part], built: &Path, target: &Target) -> Result<(), Error> {
    for part in parts {
        match part {
            Part::Programs => programs(built, target)?,
            Part::Gstreamer => target.file(
                &built.join("libgstmos.so"),
                &target.libdir.join("gstreamer-1.0/libgstmos.so"),
                0o644,
            )?,
            Part::Library => library(built, target)?,
        }
    }
    Ok(())
}

fn build(args: &Args, parts: &[Part]) -> Result<PathBuf, Error> {
    if !args.no_setup {
        setup::ensure(&[Group::Build])?;
    }
    let mut command = cargo("build");
    command.arg("--release");
    for package in parts.iter().flat_map(|part| part.packages()) {
        command.args(["--package", package]);
    }
    let what = if args.production {
        command.arg("--no-default-features");
        "production build"
    } else {
        "development build"
    };
    cargo::build(what, &mut command)?;
    Ok(paths::target().join(Profile::Release.folder()))
}

fn programs(built: &Path, target: &Target) -> Result<(), Error> {
    for name in Part::Programs.packages() {
        let to = target.prefix.join("bin").join(name);
        target.file(&built.join(name), &to, 0o755)?;
    }
    for page in MANUAL {
        let (_, section) = page.rsplit_once('.').unwrap_or_default();
        let folder = target.prefix.join(format!("share/man/man{section}"));
        let from = paths::root().join("dist/man").join(page);
        target.file(&from, &folder.join(page), 0o644)?;
    }
    Ok(())
}

/// `libmos_frame.so` is what linkers look for, `libmos_frame.so.ABI` what programs look for, the third what both lead to.
fn library(built: &Path, target: &Target) -> Result<(), Error> {
    let shared = built.join("libmos_frame_c.so");
    let full = format!("libmos_frame.so.{}.{VERSION}", ABI.trim_ascii());
    let soname = format!("libmos_frame.so.{}", ABI.trim_ascii());
    target.file(&shared, &target.libdir.join(&full), 0o644)?;
    target.link(&full, &target.libdir.join(&soname))?;
    target.link(&soname, &target.libdir.join("libmos_frame.so"))?;
    target.file(
        &built.join("libmos_frame_c.a"),
        &target.libdir.join("libmos_frame.a"),
        0o644,
    )?;
    target.file(
        &paths::root().join("crates/mos-frame-c/include/mos_frame.h"),
        &target.prefix.join("include/mos_frame.h"),
        0o644,
    )?;
    let text = pkg_config(&target.prefix, &target.libdir, maps_frames(&shared)?);
    target.text(&text, &target.libdir.join("pkgconfig/mos-frame.pc"))
}

/// Asked of the file itself, so that the header never promises what the library lacks.
fn maps_frames(library: &Path) -> Result<bool, Error> {
    let bytes = fs::read(library).map_err(Error::path("read", library))?;
    let mut windows = bytes.windows(MAPS_FRAMES.len());
    Ok(windows.any(|window| window == MAPS_FRAMES))
}

fn pkg_config(prefix: &Path, libdir: &Path, maps_frames: bool) -> String {
    let (cpu_access, defines) = if maps_frames {
        ("yes", " -DMOS_FRAME_CPU_ACCESS")
    } else {
        ("no", "")
    };
    let below = libdir.strip_prefix(prefix).map_or_else(
        |_| libdir.display().to_string(),
        |rest| format!("${{prefix}}/{}", rest.display()),
    );
    PKG_CONFIG
        .replace("@PREFIX@", &prefix.display().to_string())
        .replace("@LIBDIR@", &below)
        .replace("@CPU_ACCESS@", cpu_access)
        .replace("@DEFINES@", defines)
        .replace("@VERSION@", VERSION)
}

/// Where files go.
struct Target {
    prefix: PathBuf,
    libdir: PathBuf,
    destdir: Option<PathBuf>,
    quiet: bool,
}

impl Target {
    fn new(args: &Args) -> Self {
        Self {
            prefix: args.prefix.clone(),
            libdir: args.prefix.join(&args.libdir),
            destdir: args.destdir.clone(),
            quiet: false,
        }
    }

    /// The path on disk of what will be found at `path`; its folder is made.
    fn place(&self, path: &Path) -> Result<PathBuf, Error> {
        let place = match &self.destdir {
            Some(destdir) => destdir.join(path.strip_prefix("/").unwrap_or(path)),
            None => path.to_owned(),
        };
        if let Some(folder) = place.parent() {
            fs::create_dir_all(folder).map_err(Error::path("create", folder))?;
        }
        if !self.quiet {
            ui::say(format!("  {}", place.display()));
        }
        Ok(place)
    }

    fn file(&self, from: &Path, to: &Path, mode: u32) -> Result<(), Error> {
        let mut source = File::open(from).map_err(Error::path("read", from))?;
        self.put(to, mode, |file| io::copy(&mut source, file).map(|_| ()))
    }

    fn text(&self, text: &str, to: &Path) -> Result<(), Error> {
        self.put(to, 0o644, |file| file.write_all(text.as_bytes()))
    }

    /// Replaces the file at once: programs that run from the old one, or have it mapped, keep it.
    fn put(
        &self,
        to: &Path,
        mode: u32,
        fill: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> Result<(), Error> {
        let place = self.place(to)?;
        let written = || {
            let folder = place.parent().unwrap_or(Path::new("/"));
            let mut new = tempfile::NamedTempFile::new_in(folder)?;
            fill(new.as_file_mut())?;
            new.as_file()
                .set_permissions(Permissions::from_mode(mode))?;
            new.persist(&place)?;
            Ok(())
        };
        written().map_err(Error::path("write", &place))
    }

    fn link(&self, to: &str, at: &Path) -> Result<(), Error> {
        let place = self.place(at)?;
        let linked = match fs::remove_file(&place) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => symlink(to, &place),
        };
        linked.map_err(Error::path("link", place))
    }
}

/// What a private prefix takes that the system's own folders don't.
fn say_how_to_use(args: &Args, parts: &[Part], target: &Target) {
    if args.destdir.is_some() || target.prefix == Path::new("/usr") {
        return;
    }
    let libdir = target.libdir.display();
    ui::say("to use it from there:");
    for part in parts {
        ui::say(match part {
            Part::Programs => format!("  export PATH=\"{}/bin:$PATH\"", target.prefix.display()),
            Part::Gstreamer => format!("  export GST_PLUGIN_PATH=\"{libdir}/gstreamer-1.0\""),
            Part::Library => format!(
                "  export PKG_CONFIG_PATH=\"{libdir}/pkgconfig\" LD_LIBRARY_PATH=\"{libdir}\""
            ),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn install(parts: &[&str], built: &Path, prefix: &Path, destdir: Option<&Path>) {
        let args = Args {
            prefix: prefix.to_owned(),
            destdir: destdir.map(Path::to_owned),
            libdir: "lib/triplet".into(),
            only: parts
                .iter()
                .map(|part| Part::from_str(part, true).unwrap())
                .collect(),
            production: false,
            from: Some(built.to_owned()),
            no_setup: true,
        };
        run(&args).unwrap();
    }

    fn built() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in ["libmos_frame_c.so", "libmos_frame_c.a", "libgstmos.so"] {
            fs::write(folder.path().join(name), name).unwrap();
        }
        for name in Part::Programs.packages() {
            fs::write(folder.path().join(name), name).unwrap();
        }
        folder
    }

    #[test]
    fn everything_has_its_place_and_a_second_time_replaces_it() {
        let (built, root) = (built(), tempfile::tempdir().unwrap());
        for _ in 0..2 {
            install(&[], built.path(), Path::new("/opt/mos"), Some(root.path()));
        }
        let prefix = root.path().join("opt/mos");
        let read = |path: &str| fs::read_to_string(prefix.join(path)).unwrap();
        assert_eq!(read("bin/mosctl"), "mosctl");
        for page in [
            "man1/mosctl.1",
            "man1/mos-unixfd.1",
            "man8/mos-camera-capture.8",
        ] {
            assert!(
                read(&format!("share/man/{page}")).contains("\n.TH "),
                "{page}"
            );
        }
        assert_eq!(
            read("lib/triplet/gstreamer-1.0/libgstmos.so"),
            "libgstmos.so"
        );
        assert_eq!(read("lib/triplet/libmos_frame.so"), "libmos_frame_c.so");
        assert_eq!(read("lib/triplet/libmos_frame.a"), "libmos_frame_c.a");
        assert!(read("include/mos_frame.h").contains("mos_subscriber_connect"));
        let config = read("lib/triplet/pkgconfig/mos-frame.pc");
        // Where it will be, not where it was put.
        assert!(config.contains("prefix=/opt/mos\nlibdir=${prefix}/lib/triplet\n"));
        let mode = |path: &str| {
            fs::metadata(prefix.join(path))
                .unwrap()
                .permissions()
                .mode()
        };
        assert_eq!(mode("bin/mosctl") & 0o777, 0o755);
        assert_eq!(mode("include/mos_frame.h") & 0o777, 0o644);
    }

    #[test]
    fn parts_come_alone() {
        let (built, root) = (built(), tempfile::tempdir().unwrap());
        install(&["library"], built.path(), root.path(), None);
        assert!(root.path().join("lib/triplet/libmos_frame.a").exists());
        assert!(!root.path().join("bin").exists());
    }

    #[test]
    fn pkg_config_tells_what_the_library_has() {
        let file = |maps| pkg_config(Path::new("/p"), Path::new("/elsewhere/lib"), maps);
        assert!(file(true).contains("Cflags: -I${includedir} -DMOS_FRAME_CPU_ACCESS\n"));
        assert!(file(true).contains("cpu_access=yes\n"));
        assert!(file(false).contains("Cflags: -I${includedir}\n"));
        assert!(file(false).contains("libdir=/elsewhere/lib\n"));
        assert!(!file(false).contains('@'));
    }
}
