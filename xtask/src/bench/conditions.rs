//! What a measurement was made on.

use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::cargo::cargo;
use crate::error::Error;
use crate::exec::{self, capture};

/// Machine, date and versions.
#[derive(Debug, Serialize)]
pub(crate) struct Conditions {
    cores: usize,
    kernel: String,
    /// `/proc/loadavg` when the measurement had ended: work of others shows here.
    loadavg: String,
    unix_time: u64,
    version: &'static str,
    commit: String,
    rustc: String,
    gstreamer: String,
}

impl Conditions {
    /// What a benchmark that is a program of its own can't know by itself.
    pub(crate) fn notes(&self) -> Vec<(&'static str, String)> {
        vec![
            ("commit", self.commit.clone()),
            ("cargo", self.rustc.clone()),
            ("GStreamer", self.gstreamer.clone()),
        ]
    }

    /// Of this machine, now.
    pub(crate) fn now() -> Result<Self, Error> {
        let first_line = |text: String| text.lines().next().unwrap_or_default().trim().to_owned();
        let run = |what: &str, command: &mut Command| capture(what, command).map(first_line);
        let root = crate::paths::root();
        Ok(Self {
            cores: thread::available_parallelism().map_or(0, usize::from),
            kernel: rustix::system::uname()
                .release()
                .to_string_lossy()
                .into_owned(),
            loadavg: exec::read_lossy(Path::new("/proc/loadavg"))?
                .trim()
                .to_owned(),
            unix_time: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |time| time.as_secs()),
            version: env!("CARGO_PKG_VERSION"),
            // A copy without its history has no commit to name.
            commit: run(
                "git",
                Command::new("git")
                    .arg("-C")
                    .arg(root)
                    .args(["describe", "--always", "--dirty"]),
            )
            .unwrap_or_default(),
            rustc: run("cargo", &mut cargo("version"))?,
            gstreamer: run(
                "pkg-config",
                Command::new("pkg-config").args(["--modversion", "gstreamer-1.0"]),
            )?,
        })
    }
}
