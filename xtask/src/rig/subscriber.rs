//! A subscriber: `mosctl frames` in a process of its own, its figures read as they come.

use std::process::Stdio;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde::{Deserialize, Serialize};

use super::ctl::Ctl;
use crate::error::Error;
use crate::exec::{GRACE, Running, create, describe, read_lines, read_lossy, tail};
use crate::paths;

/// What a subscriber measured, over an interval or over all its time.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Figures {
    /// Received.
    pub(crate) frames: u64,
    /// A second.
    pub(crate) fps: f64,
    /// Median time from capture to arrival, in microseconds; none without frames.
    pub(crate) age_p50_us: Option<f64>,
    /// 99th percentile of it.
    pub(crate) age_p99_us: Option<f64>,
    /// How often frames were missed.
    pub(crate) gaps: u64,
    /// How many frames were missed.
    pub(crate) drops: u64,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Line {
    Interval(Figures),
    Total(Figures),
}

/// A subscriber process.
#[derive(Debug)]
pub(crate) struct Subscriber {
    /// The stream that it receives.
    pub(crate) stream: String,
    /// Its name on the bus.
    pub(crate) name: String,
    running: Running,
    lines: Receiver<String>,
    latest: Figures,
    drops: u64,
    total: Option<Figures>,
    log: std::path::PathBuf,
}

impl Subscriber {
    /// Starts one for `stream`; `options` are further arguments of `mosctl frames`.
    pub(crate) fn start(
        ctl: &Ctl,
        stream: &str,
        name: &str,
        options: &[&str],
    ) -> Result<Self, Error> {
        let log = paths::artifacts().join(format!("subscribers/{stream}-{name}.log"));
        let mut command = ctl.command(&["frames", stream, "--json", "--name", name]);
        command
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(create(&log)?);
        let mut running = Running::spawn(format!("subscriber {name} of {stream}"), &mut command)?;
        let stdout = running.child_mut().stdout.take();
        let stdout = stdout.ok_or_else(|| Error::Unexpected {
            what: running.name().to_owned(),
            why: "no output".to_owned(),
        })?;
        Ok(Self {
            stream: stream.to_owned(),
            name: name.to_owned(),
            running,
            lines: read_lines(stdout),
            latest: Figures::default(),
            drops: 0,
            total: None,
            log,
        })
    }

    /// Its last interval, with the drops of all its time.
    pub(crate) fn latest(&mut self) -> Result<Figures, Error> {
        while let Ok(line) = self.lines.try_recv() {
            self.take(&line)?;
        }
        Ok(Figures {
            drops: self.drops,
            ..self.latest.clone()
        })
    }

    fn take(&mut self, line: &str) -> Result<(), Error> {
        let unexpected = |why: serde_json::Error| Error::Unexpected {
            what: "mosctl frames".to_owned(),
            why: format!("{why}: {line}"),
        };
        match serde_json::from_str(line).map_err(unexpected)? {
            Line::Interval(figures) => {
                self.drops += figures.drops;
                self.latest = figures;
            }
            Line::Total(figures) => self.total = Some(figures),
        }
        Ok(())
    }

    /// Asks it to end, as Ctrl-C would.
    pub(crate) fn interrupt(&mut self) -> Result<(), Error> {
        self.running.signal(Signal::INT)
    }

    /// Waits for its end, at most `timeout`, and answers what it measured in all.
    pub(crate) fn finish(mut self, timeout: Duration) -> Result<Figures, Error> {
        let deadline = Instant::now() + timeout;
        while let Ok(line) = self
            .lines
            .recv_timeout(deadline.saturating_duration_since(Instant::now()))
        {
            self.take(&line)?;
        }
        let status = self.running.stop(Signal::INT, GRACE)?;
        if let Some(total) = self.total.take() {
            return Ok(total);
        }
        let text = tail(&read_lossy(&self.log)?, 10);
        Err(Error::Failed {
            what: self.running.name().to_owned(),
            how: describe(status),
            tail: text,
        })
    }
}
