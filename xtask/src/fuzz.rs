//! `fuzz`: libFuzzer on both directions of the bus's control protocol, the lease page and the board, and on what network
//! cameras send.
//!
//! The targets are laid out for `cargo fuzz`, but built without it: it wants a nightly compiler for its sanitizers, while
//! what instruments for coverage is a pass that the stable one has too.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use clap::ValueEnum;

use crate::cargo::cargo;
use crate::error::Error;
use crate::exec::{capture, read_lossy, run_logged, tail};
use crate::paths;
use crate::setup::{self, Group};
use crate::test::Tally;
use crate::ui::{self, Step};

/// Building, cold, on a slow and busy machine.
const BUILD_LIMIT: Duration = Duration::from_mins(20);
/// Seconds after which one input hangs: a thousand times what it takes.
const HANG: u32 = 60;
/// What a run may take beyond its time: the corpus, and a last input that hangs.
const GRACE: Duration = Duration::from_mins(5);
/// Longest input in bytes; longer ones only repeat.
const LONGEST: u32 = 2048;
/// What libFuzzer needs in every function: counters, their places, and what is compared.
const INSTRUMENT: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

/// Arguments of `fuzz`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only this target [default: all, one after the other]
    #[arg(value_enum)]
    target: Option<Target>,
    /// How long each target runs
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Then add to the committed corpus what reaches new code, and throw out what no longer does
    #[arg(long)]
    merge: bool,
    /// Don't check or install system packages
    #[arg(long)]
    no_setup: bool,
}

/// What is fuzzed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Target {
    /// Packets from a peer to a producer
    WireFromSubscriber,
    /// Packets from a peer to a subscriber
    WireFromProducer,
    /// Words in a peer's lease page, to a producer
    LeasePage,
    /// Words on a board and in a lease page, to a subscriber
    Board,
    /// What an ONVIF camera answers
    SoapAnswer,
    /// Datagrams of WS-Discovery
    WsDiscovery,
    /// What a camera's HTTP server wants for a log-in
    HttpChallenge,
    /// SDP of cameras and of WHEP servers
    SessionDescription,
    /// `Link` headers of WHEP servers
    IceLinks,
    /// URLs that cameras or people name
    CameraUrls,
}

impl Target {
    /// Its name as a program and as a folder.
    const fn name(self) -> &'static str {
        match self {
            Self::WireFromSubscriber => "wire_from_subscriber",
            Self::WireFromProducer => "wire_from_producer",
            Self::LeasePage => "lease_page",
            Self::Board => "board",
            Self::SoapAnswer => "soap_answer",
            Self::WsDiscovery => "ws_discovery",
            Self::HttpChallenge => "http_challenge",
            Self::SessionDescription => "session_description",
            Self::IceLinks => "ice_links",
            Self::CameraUrls => "camera_urls",
        }
    }

    /// Seconds in `cargo xtask test`. The bus has state that takes steps to reach; a parser has none.
    const fn short(self) -> u32 {
        match self {
            Self::WireFromSubscriber | Self::WireFromProducer | Self::LeasePage | Self::Board => 15,
            Self::SoapAnswer
            | Self::WsDiscovery
            | Self::HttpChallenge
            | Self::SessionDescription
            | Self::IceLinks
            | Self::CameraUrls => 8,
        }
    }

    fn committed(self) -> PathBuf {
        folder().join("corpus").join(self.name())
    }

    /// Inputs that runs on this machine found; not under version control.
    fn found(self) -> PathBuf {
        target_folder().join("corpus").join(self.name())
    }

    /// Inputs that broke something.
    fn findings(self) -> PathBuf {
        paths::artifacts().join("fuzz").join(self.name())
    }
}

fn folder() -> PathBuf {
    paths::root().join("fuzz")
}

/// A folder of its own, since the flags would rebuild everything in the usual one.
fn target_folder() -> PathBuf {
    paths::target().join("fuzz")
}

/// Fuzzes and says what was found.
pub(crate) fn run(args: &Args) -> Result<(), Error> {
    if !args.no_setup {
        setup::ensure(&[Group::Test])?;
    }
    let targets = args
        .target
        .map_or(Target::value_variants().to_vec(), |t| vec![t]);
    let mut step = Step::begin("building the fuzz targets");
    let log = paths::artifacts().join("fuzz/build.log");
    let folder = build(&log, &mut |line| step.tick(line))?;
    step.end("done");
    let mut broken = Vec::new();
    for target in targets {
        let log = paths::artifacts().join(format!("fuzz/{}.log", target.name()));
        let mut step = Step::begin(format!("{} for {} s", target.name(), args.seconds));
        let ok = fuzz(&folder, target, args.seconds, &log, &mut |line| {
            step.tick(line);
        })?;
        step.end(if ok { "nothing found" } else { "FAILED" });
        if !ok {
            ui::say(tail(&read_lossy(&log)?, 40));
            broken.push(target.name());
        } else if args.merge {
            merge(&folder, target)?;
        }
    }
    if broken.is_empty() {
        return Ok(());
    }
    Err(Error::NotMet(format!(
        "faults were found by {}; the inputs are in artifacts/fuzz",
        broken.join(", ")
    )))
}

/// Every target over its corpus and for a short while beyond it; counts targets.
pub(crate) fn check(log: &Path, tick: &mut dyn FnMut(&str)) -> Result<Tally, Error> {
    let folder = build(log, tick)?;
    let mut tally = Tally::default();
    let mut said = Vec::new();
    for &target in Target::value_variants() {
        let own = log.with_extension(format!("{}.log", target.name()));
        let ok = fuzz(&folder, target, target.short(), &own, tick)?;
        if !ok {
            let end = tail(&read_lossy(&own)?, 60);
            said.push(format!("error: {} found a fault\n{end}", target.name()));
        }
        tally += Tally::one(ok);
    }
    // What the build said is of no interest any more.
    fs::write(log, said.join("\n")).map_err(Error::path("write", log))?;
    Ok(tally)
}

/// Builds the targets; answers where they are.
fn build(log: &Path, tick: &mut dyn FnMut(&str)) -> Result<PathBuf, Error> {
    let host = host()?;
    let mut command = cargo("build");
    command
        .current_dir(folder())
        // With a target named, the flags are for the targets alone, not for what runs while they are built.
        .args(["--release", "--bins", "--target", &host])
        .env("CARGO_TARGET_DIR", target_folder())
        .env("RUSTFLAGS", INSTRUMENT);
    run_logged("fuzz targets", &mut command, log, BUILD_LIMIT, |_| (), tick)?
        .require("building the fuzz targets")?;
    Ok(target_folder().join(host).join("release"))
}

/// The compiler's own platform.
fn host() -> Result<String, Error> {
    let text = capture(
        "rustc",
        Command::new("rustc").args(["--version", "--verbose"]),
    )?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| Error::Unexpected {
        what: "rustc".to_owned(),
        why: "it does not name its host".to_owned(),
    })
}

/// Runs a target; false if it found something.
fn fuzz(
    programs: &Path,
    target: Target,
    seconds: u32,
    log: &Path,
    tick: &mut dyn FnMut(&str),
) -> Result<bool, Error> {
    for folder in [target.found(), target.findings()] {
        fs::create_dir_all(&folder).map_err(Error::path("create", &folder))?;
    }
    let mut command = Command::new(programs.join(target.name()));
    command
        .args([
            format!("-max_total_time={seconds}"),
            format!("-timeout={HANG}"),
            format!("-max_len={LONGEST}"),
            format!("-artifact_prefix={}/", target.findings().display()),
            "-print_final_stats=1".to_owned(),
        ])
        // What is found goes to the first folder; the committed one is only read.
        .args([target.found(), target.committed()]);
    let limit = Duration::from_secs(seconds.into()) + GRACE;
    Ok(run_logged(target.name(), &mut command, log, limit, |_| (), tick)?.ok())
}

/// Makes the committed corpus the smallest set of files that reaches all that it and the found ones reach. Inputs that once
/// broke something stay.
fn merge(programs: &Path, target: Target) -> Result<(), Error> {
    let fresh = tempfile::tempdir().map_err(Error::io("cannot make a temporary folder"))?;
    let log = paths::artifacts().join(format!("fuzz/{}-merge.log", target.name()));
    let mut command = Command::new(programs.join(target.name()));
    command
        // By branches, not by how often each was taken: a corpus of tens of files, not of hundreds.
        .args(["-set_cover_merge=1", "-use_counters=0"])
        .arg(fresh.path())
        .args([target.committed(), target.found()]);
    run_logged("merge", &mut command, &log, GRACE, |_| (), |_| ())?.require("the merge")?;
    let committed = target.committed();
    for old in files(&committed)? {
        if !is_finding(&old) {
            fs::remove_file(&old).map_err(Error::path("remove", &old))?;
        }
    }
    for new in files(fresh.path())? {
        let to = committed.join(new.file_name().unwrap_or_default());
        fs::copy(&new, &to).map_err(Error::path("write", &to))?;
    }
    let count = files(&committed)?.len();
    ui::say(format!("{}: {count} inputs in the corpus", target.name()));
    Ok(())
}

fn is_finding(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with("found-"))
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = fs::read_dir(folder).map_err(Error::path("read", folder))?;
    entries
        .map(|entry| Ok(entry.map_err(Error::path("read", folder))?.path()))
        .collect()
}
