//! A subscriber that tells of each frame.

use std::process::{Command, Stdio};
use std::sync::mpsc::Receiver;

use serde::Deserialize;

use crate::cargo::{Profile, program};
use crate::error::Error;
use crate::exec::{Running, create, read_lines};
use crate::paths;
use crate::rig::ctl::Ctl;

/// A frame that arrived.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Frame {
    pub(super) session: u64,
    /// `CLOCK_MONOTONIC`, nanoseconds.
    pub(super) publish_ns: u64,
    /// `CLOCK_MONOTONIC`, nanoseconds.
    pub(super) capture_ns: u64,
    pub(super) wall_ns: Option<u64>,
    pub(super) clock: String,
    pub(super) error_ns: u32,
    /// What is burnt into the picture.
    pub(super) counter: Option<u32>,
}

/// A subscriber process of `mos-bench`; it is ended on drop.
#[derive(Debug)]
pub(super) struct Viewer {
    lines: Receiver<String>,
    _running: Running,
}

impl Viewer {
    /// Subscribes to a stream, now or when it is there.
    pub(super) fn start(
        profile: Profile,
        ctl: &Ctl,
        stream: &str,
        counter: bool,
    ) -> Result<Self, Error> {
        let mut command = Command::new(program(profile, "mos-bench"));
        command.arg("frames").arg(ctl.stream_socket(stream));
        command.args(counter.then_some("--counter"));
        let log = create(&paths::artifacts().join(format!("bench/viewer-{stream}.log")))?;
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log);
        let mut running = Running::spawn(format!("viewer of {stream}"), &mut command)?;
        let output = running.child_mut().stdout.take();
        let lines = read_lines(output.ok_or_else(|| Error::Unexpected {
            what: running.name().to_owned(),
            why: "no output".to_owned(),
        })?);
        Ok(Self {
            lines,
            _running: running,
        })
    }

    /// The frames since the last call.
    pub(super) fn take(&self) -> Result<Vec<Frame>, Error> {
        let parse = |line: String| {
            serde_json::from_str(&line).map_err(|why| Error::Unexpected {
                what: "mos-bench frames".to_owned(),
                why: format!("{why}: {line}"),
            })
        };
        self.lines.try_iter().map(parse).collect()
    }
}
