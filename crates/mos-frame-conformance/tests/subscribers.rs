//! Every subscriber of this repository passes the conformance suite: the Rust one, and the Python one that was written from
//! the protocol's document.

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use libtest_mimic::{Arguments, Trial};
use mos_frame_conformance::{Implementation, trials};

/// Debian's interpreter, as for the other peers.
const PYTHON: &str = "/usr/bin/python3";

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut all = trials(&Implementation {
        name: "rust".to_owned(),
        command: vec![env!("CARGO_BIN_EXE_mos-frame-driver").into()],
    });
    all.extend(python_trials());
    libtest_mimic::run(&arguments, all).exit_code()
}

/// On a machine without Python or libatomic the tests are counted as skipped; set-up installs both.
fn python_trials() -> Vec<Trial> {
    let driver = mos_testkit::paths::root().join("tests/python-subscriber/driver.py");
    let implementation = Implementation {
        name: "python".to_owned(),
        command: vec![PYTHON.into(), driver.into()],
    };
    match unusable() {
        None => trials(&implementation),
        Some(why) => {
            let skip = move || Ok(mos_testkit::skip::skip("python subscriber", &why)?);
            vec![Trial::test("python::skipped", skip)]
        }
    }
}

fn unusable() -> Option<String> {
    if !Path::new(PYTHON).exists() {
        return Some(format!("{PYTHON} is not there; run `cargo xtask setup`"));
    }
    let probe = "import ctypes; ctypes.CDLL('libatomic.so.1')";
    let found = Command::new(PYTHON)
        .args(["-c", probe])
        .stderr(Stdio::null())
        .status();
    match found {
        Ok(status) if status.success() => None,
        _ => Some("libatomic.so.1 is not there; run `cargo xtask setup`".to_owned()),
    }
}
