//! Runs the conformance suite on a driver program: `mos-frame-conformance PROGRAM [ARGUMENTS...]`.

use std::ffi::OsString;
use std::process::ExitCode;

use libtest_mimic::Arguments;
use mos_frame_conformance::{Implementation, trials};

fn main() -> ExitCode {
    let command: Vec<OsString> = std::env::args_os().skip(1).collect();
    if command.is_empty() {
        eprintln!(
            "usage: mos-frame-conformance PROGRAM [ARGUMENTS...]\n\
             PROGRAM drives the subscriber under test; see crates/mos-frame-conformance/README.md"
        );
        return ExitCode::from(2);
    }
    let implementation = Implementation {
        name: "subscriber".to_owned(),
        command,
    };
    libtest_mimic::run(&Arguments::default(), trials(&implementation)).exit_code()
}
