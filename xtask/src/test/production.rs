//! The production build keeps its word: it can be built, and no code in it can reach a frame's pixels with the CPU.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::cargo::{Profile, cargo, product_args, program};
use crate::error::Error;
use crate::exec::{capture, create, run_logged};
use crate::paths;
use crate::test::refusal;
use crate::test::tally::Tally;

const LIMIT: Duration = Duration::from_mins(30);
/// The type that stands for mapped pixels (`mos_frame::MappedFrame`); its name is in every symbol of its methods.
const MAPPING: &[u8] = b"MappedFrame";
/// The package whose development build seals nothing.
const ELEMENTS: &str = "gst-plugin-mos";

/// Cargo's arguments that choose what is built.
pub(crate) fn arguments() -> Vec<String> {
    let rest = ["--package", "mos-frame-c", "--no-default-features"];
    product_args()
        .into_iter()
        .chain(rest.map(str::to_owned))
        .collect()
}

/// Builds it beside the development build and checks both: what the one has the other must not.
pub(crate) fn check(log: &Path, tick: &mut dyn FnMut(&str)) -> Result<Tally, Error> {
    let folder = paths::target().join("production");
    let mut command = cargo("build");
    command.args(arguments());
    in_own_folder(&mut command);
    run_logged(
        "production build",
        &mut command,
        log,
        LIMIT,
        |_| (),
        |line| tick(line),
    )?
    .require("production build")?;

    let mut log = create(&log.with_extension("checks.log"))?;
    let mut tally = Tally::default();
    for (what, held) in [
        (
            "the development mosctl can map frames",
            maps(&program(Profile::Dev, "mosctl"))?,
        ),
        (
            "the production mosctl can't",
            !maps(&folder.join("debug/mosctl"))?,
        ),
        (
            "the production service can't",
            !maps(&folder.join("debug/mos-camera-capture"))?,
        ),
        (
            "the production plugin can't",
            !maps(&folder.join("debug/libgstmos.so"))?,
        ),
        (
            "the production C library can't",
            !maps(&folder.join("debug/libmos_frame_c.so"))?,
        ),
        (
            "the production mosctl refuses a snapshot and says why",
            refuses_snapshot(&folder.join("debug/mosctl"))?,
        ),
        (
            "the production service refuses a camera that only the CPU could decode, and explains it",
            refusal::holds(&folder.join("debug"))?,
        ),
        (
            "tests of the production service bring no development build of the elements with them",
            !develops(&features("mos-camera-capture")?),
        ),
        (
            "tests of the production backends don't either",
            !develops(&features("mos-camera-backends")?),
        ),
    ] {
        writeln!(log, "{} {what}", if held { "ok    " } else { "FAILED" })
            .map_err(Error::io("cannot write the log"))?;
        if !held {
            crate::ui::say(format!("    not true: {what}"));
        }
        tally += Tally::one(held);
    }
    Ok(tally)
}

/// Lets cargo put a production build's results into a folder of their own; what both builds have in common is compiled once.
pub(crate) fn in_own_folder(command: &mut Command) {
    command
        .env("CARGO_TARGET_DIR", paths::target().join("production"))
        .env("CARGO_BUILD_BUILD_DIR", paths::target());
}

/// With which features the elements are built for a package's tests in production. A dev-dependency's wish would count for all.
fn features(package: &str) -> Result<String, Error> {
    let mut command = cargo("tree");
    command.args(["--package", package, "--no-default-features"]);
    command.args(["--edges", "features,normal,build,dev", "--invert", ELEMENTS]);
    capture("the features of a production build's tests", &mut command)
}

/// Whether a tree of features holds the one that lets frames be mapped.
fn develops(tree: &str) -> bool {
    tree.contains(&format!("{ELEMENTS} feature \"development\""))
}

/// Whether a program holds code that maps a frame.
fn maps(program: &PathBuf) -> Result<bool, Error> {
    let bytes = fs::read(program).map_err(Error::path("read", program))?;
    Ok(bytes.windows(MAPPING.len()).any(|window| window == MAPPING))
}

fn refuses_snapshot(mosctl: &Path) -> Result<bool, Error> {
    let target = tempfile::tempdir().map_err(Error::io("cannot make a temporary folder"))?;
    let picture = target.path().join("front.png");
    let mut command = Command::new(mosctl);
    command
        .args(["snapshot", "front"])
        .arg(&picture)
        .stdin(Stdio::null());
    let output = command.output().map_err(|source| Error::Spawn {
        program: mosctl.display().to_string(),
        source,
    })?;
    let says_why = String::from_utf8_lossy(&output.stderr).contains("production");
    // 9: not in this build.
    Ok(output.status.code() == Some(9) && says_why && File::open(picture).is_err())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_for_the_development_build_is_found() {
        let tree = "gst-plugin-mos v0.1.0\n└── gst-plugin-mos feature \"development\"\n    └── peer v0.1.0\n";
        assert!(develops(tree));
        assert!(!develops(
            "gst-plugin-mos v0.1.0\n└── mos-camera-backends feature \"development\"\n"
        ));
    }
}
