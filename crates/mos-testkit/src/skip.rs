//! Tests that this host can't run say so, loudly and countably.

use std::io::{self, Write};

/// The file that skipped tests are noted in, one line each.
pub const REPORT: &str = "MOS_SKIP_REPORT";

/// Says on standard error, and in the file named by `$MOS_SKIP_REPORT` if it is set, that a test was skipped and why.
pub fn skip(test: &str, reason: &str) -> io::Result<()> {
    let line = format!("skipped: {test}: {reason}\n");
    // Not `eprint!`: that is captured by the test runner, and nobody would see it.
    io::stderr().write_all(line.as_bytes())?;
    match std::env::var_os(REPORT) {
        // One write of one short line with O_APPEND: lines of tests that run side by side don't mix.
        Some(path) => std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)?
            .write_all(line.as_bytes()),
        None => Ok(()),
    }
}
