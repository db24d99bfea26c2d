//! `dist`: Debian packages of the production build, for this machine's processor and others.

mod again;
mod arch;
mod build;
mod check;
mod elf;
mod notices;
mod package;
mod root;
mod source;
mod units;
mod version;
mod yocto;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::exec;
use crate::lock::{self, Mode};
use crate::paths;
use crate::setup::{self, Group};
use crate::ui::{self, step};

use self::arch::Arch;
use self::package::About;

/// What service and command line together may take on a disk.
const INSTALLED_BAR: u64 = 40_000_000;
/// The packages that count for it.
const COUNTED: [&str; 2] = ["mos-camera-capture", "mosctl"];

/// Arguments of `dist`.
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Processor to build for; repeat for several [default: this machine's]
    #[arg(long, value_enum)]
    arch: Vec<Arch>,
    /// Look through the packages with lintian, and install, use and purge those for this machine in a root that is thrown away
    #[arg(long)]
    check: bool,
    /// Build everything a second time, from nothing, and compare the packages byte for byte
    #[arg(long)]
    reproducible: bool,
    /// Only write the Yocto layer's list of crates anew, after a change of Cargo.lock
    #[arg(long, conflicts_with_all = ["arch", "check", "reproducible"])]
    yocto_crates: bool,
    /// Don't check or install system packages
    #[arg(long)]
    no_setup: bool,
}

/// Builds packages, and says what they are and how big.
pub(crate) fn run(args: &Args) -> Result<(), Error> {
    if args.yocto_crates {
        return yocto::update();
    }
    if !rustix::process::geteuid().is_root() {
        return Err(Error::NotMet(
            "packages are built in a root folder that is changed to, which takes root: call this with sudo".to_owned(),
        ));
    }
    if !args.no_setup {
        setup::ensure(&[Group::Dist])?;
    }
    let archs = if args.arch.is_empty() {
        &[Arch::NATIVE][..]
    } else {
        &args.arch
    };
    let cache = Cache::take()?;
    let version = version::find(paths::root())?;
    ui::say(format!("version {}", version.debian));
    let source = cache.folder.join("source");
    source::copy(paths::root(), &source::files(paths::root())?, &source)?;
    let crates = step("crates", |tick| root::crates(&cache.folder, tick))?;
    for arch in archs {
        let made = Making {
            arch: *arch,
            cache: &cache.folder,
            root: step(format!("root for {}", arch.debian()), |tick| {
                root::ready(*arch, &cache.folder, tick)
            })?,
            source: &source,
            crates: &crates,
            version: &version,
        };
        made.once()?;
        if args.check {
            check(*arch, &cache.folder, &made.root)?;
        }
        if args.reproducible {
            made.again()?;
        }
    }
    Ok(())
}

/// What the lab's board is given.
#[derive(Debug)]
pub(crate) struct ForBoard {
    /// The packages of the service and its command line.
    pub(crate) packages: Vec<PathBuf>,
    /// A GStreamer plugin for tests, of the workspace.
    pub(crate) plugin: PathBuf,
}

/// Builds the packages for arm64, and the library of a package of the workspace that is for tests.
pub(crate) fn for_board(package: &str, library: &str) -> Result<ForBoard, Error> {
    let arch = Arch::Arm64;
    run(&Args {
        arch: vec![arch],
        check: false,
        reproducible: false,
        yocto_crates: false,
        no_setup: true,
    })?;
    let cache = Cache::take()?;
    let version = version::find(paths::root())?;
    let root = root::ready(arch, &cache.folder, &mut |_| ())?;
    let crates = root::crates(&cache.folder, &mut |_| ())?;
    let inputs = build::Inputs {
        root: &root,
        source: &cache.folder.join("source"),
        crates: &crates,
        target: &target(&cache.folder, arch, ""),
        version: &version,
    };
    let built = step(package, |tick| {
        build::for_tests(arch, &inputs, package, tick)
    })?;
    // Another build may take the cache as soon as this one leaves it.
    let plugin = output(arch).join(library);
    fs::copy(built.join(library), &plugin).map_err(Error::path("copy", built.join(library)))?;
    let packages = COUNTED
        .iter()
        .map(|name| only(&output(arch), &format!("{name}_")))
        .collect::<Result<_, _>>()?;
    Ok(ForBoard { packages, plugin })
}

/// The package whose file starts like this.
fn only(folder: &Path, start: &str) -> Result<PathBuf, Error> {
    let entries = fs::read_dir(folder).map_err(Error::path("read", folder))?;
    let mut paths = entries.filter_map(Result::ok).map(|entry| entry.path());
    let matches = |path: &PathBuf| {
        path.file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with(start))
    };
    paths.find(matches).ok_or_else(|| Error::Unexpected {
        what: folder.display().to_string(),
        why: format!("it has no package {start}"),
    })
}

/// The folder in the cache, which nobody else uses at the same time.
struct Cache {
    folder: PathBuf,
    _lock: File,
}

impl Cache {
    fn take() -> Result<Self, Error> {
        let folder = paths::cache().join("dist");
        fs::create_dir_all(&folder).map_err(Error::path("create", &folder))?;
        let file = exec::create(&folder.join("lock"))?;
        let mut said = false;
        lock::take(&file, Mode::Exclusive, || {
            if !said {
                ui::say("waiting for another build of packages");
                said = true;
            }
        })?;
        Ok(Self {
            folder,
            _lock: file,
        })
    }
}

/// What packages for a processor are made with.
struct Making<'a> {
    arch: Arch,
    cache: &'a Path,
    root: PathBuf,
    source: &'a Path,
    crates: &'a Path,
    version: &'a version::Version,
}

impl Making<'_> {
    /// Makes the packages, hands them out, and says what they are.
    fn once(&self) -> Result<(), Error> {
        let made = self.make("")?;
        let out = output(self.arch);
        let made = hand_out(&made, &out)?;
        let about = made.iter().map(|path| package::about(&self.root, path));
        let about: Vec<_> = about.collect::<Result<_, _>>()?;
        ui::say(out.display().to_string());
        print!("{}", ui::table(&table(&about), 1));
        judge(&about)
    }

    /// Makes them from nothing, beside the first.
    fn again(&self) -> Result<(), Error> {
        const AGAIN: &str = "-again";
        let target = target(self.cache, self.arch, AGAIN);
        crate::debian::remove(&target)?;
        let made = self.make(AGAIN);
        crate::debian::remove(&target)?;
        made?;
        let (first, second) = (output(self.arch), self.work(AGAIN));
        let differences = again::differences(&first, &second)?;
        if differences.is_empty() {
            ui::say("made twice, the packages are the same, byte for byte");
            return crate::debian::remove(&second);
        }
        Err(Error::NotMet(format!(
            "{}\ncompare {} with {}, for instance by diffoscope",
            differences.join("\n"),
            first.display(),
            second.display()
        )))
    }

    fn make(&self, suffix: &str) -> Result<Vec<PathBuf>, Error> {
        let name = self.arch.debian();
        let target = target(self.cache, self.arch, suffix);
        fs::create_dir_all(&target).map_err(Error::path("create", &target))?;
        let inputs = build::Inputs {
            root: &self.root,
            source: self.source,
            crates: self.crates,
            target: &target,
            version: self.version,
        };
        let built = step(format!("production build for {name}{suffix}"), |tick| {
            build::build(self.arch, &inputs, tick)
        })?;
        let linked = build::linked(self.arch, &inputs)?;
        let notices = self.cache.join(format!("third-party-{name}.txt"));
        notices::write(&linked, self.crates, &notices)?;
        let inputs = package::Inputs {
            root: &self.root,
            source: self.source,
            built: &built,
            notices: &notices,
            work: &self.work(suffix),
            version: self.version,
        };
        step(format!("packages for {name}{suffix}"), |tick| {
            package::make(self.arch, &inputs, tick)
        })
    }

    fn work(&self, suffix: &str) -> PathBuf {
        let name = self.arch.debian();
        self.cache.join(format!("packages-{name}{suffix}"))
    }
}

/// Cargo's folder, one for each processor: what runs on this machine while it builds, such as macros, is configured by the
/// target, too, so that in a common folder each would have the other's built again, and everything that depends on it.
fn target(cache: &Path, arch: Arch, suffix: &str) -> PathBuf {
    cache.join(format!("target-{}{suffix}", arch.debian()))
}

/// Where the packages are put.
fn output(arch: Arch) -> PathBuf {
    paths::target().join("dist").join(arch.debian())
}

fn check(arch: Arch, cache: &Path, root: &Path) -> Result<(), Error> {
    let (name, packages) = (arch.debian(), output(arch));
    step(format!("looking through the packages for {name}"), |tick| {
        check::look_through(arch, root, &packages, tick)
    })?;
    if arch != Arch::NATIVE {
        ui::say(format!("programs for {name} don't run here: not tried"));
        return Ok(());
    }
    step("installing, using and purging them", |tick| {
        check::install(arch, cache, &packages, tick)
    })
}

/// Puts the packages where the user finds them, in the place of earlier ones.
fn hand_out(made: &[PathBuf], out: &Path) -> Result<Vec<PathBuf>, Error> {
    crate::debian::remove(out)?;
    fs::create_dir_all(out).map_err(Error::path("create", out))?;
    let hand = |path: &PathBuf| {
        let to = out.join(path.file_name().unwrap_or_default());
        fs::copy(path, &to).map_err(Error::path("copy", path))?;
        Ok(to)
    };
    made.iter().map(hand).collect()
}

fn table(about: &[About]) -> Vec<Vec<String>> {
    let kb = |bytes: u64| format!("{} kB", bytes.div_ceil(1000));
    let head = ["package", "size", "installed"].map(str::to_owned).to_vec();
    let rows = about.iter().map(|package| {
        vec![
            package.name.clone(),
            kb(package.size),
            kb(package.installed),
        ]
    });
    std::iter::once(head).chain(rows).collect()
}

/// Holds service and command line to their bar.
fn judge(about: &[About]) -> Result<(), Error> {
    let counted = about
        .iter()
        .filter(|package| COUNTED.contains(&package.name.as_str()));
    let bytes: u64 = counted.map(|package| package.installed).sum();
    let mb = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
    let text = format!(
        "{} installed: {} of at most {}",
        COUNTED.join(" and "),
        mb(bytes),
        mb(INSTALLED_BAR)
    );
    if bytes == 0 || bytes > INSTALLED_BAR {
        return Err(Error::NotMet(text));
    }
    println!("{text}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(name: &str, installed: u64) -> About {
        About {
            name: name.to_owned(),
            size: 1_234,
            installed,
        }
    }

    #[test]
    fn the_bar_counts_service_and_command_line_together() {
        let both = |service, ctl| {
            let all = [
                about("mos-camera-capture", service),
                about("mosctl", ctl),
                about("libmos-frame-dev", 90_000_000),
            ];
            judge(&all)
        };
        assert!(both(30_000_000, 10_000_000).is_ok());
        let text = both(30_000_000, 10_000_001).unwrap_err().to_string();
        assert!(text.contains("40.0 MB of at most 40.0 MB"), "{text}");
        // Packages of other names would not be held to anything.
        assert!(judge(&[about("libmos-frame-dev", 1)]).is_err());
    }

    #[test]
    fn the_table_has_a_row_for_each_package() {
        assert_eq!(
            ui::table(&table(&[about("mosctl", 2_000)]), 1),
            "package  size  installed\nmosctl   2 kB       2 kB\n"
        );
    }
}
