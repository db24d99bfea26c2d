//! A subscriber: `mosctl frames` in a process of its own, its figures read as they come.

use std::process::{Command, Stdio};
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
    /// Length of the span.
    pub(crate) seconds: f64,
    /// Received.
    pub(crate) frames: u64,
    /// A second.
    pub(crate) fps: f64,
    /// Median time from capture to arrival, in microseconds; none without frames.
    pub(crate) age_p50_us: Option<u64>,
    /// 99th percentile of it.
    pub(crate) age_p99_us: Option<u64>,
    /// How often frames were missed.
    pub(crate) gaps: u64,
    /// How many frames were missed.
    pub(crate) drops: u64,
}

impl Figures {
    /// Several spans as one. Percentiles can't be joined exactly: the median of the medians, the largest of the 99th.
    fn joined(spans: &[Self]) -> Self {
        let sum = |field: fn(&Self) -> u64| spans.iter().map(field).sum();
        let seconds: f64 = spans.iter().map(|span| span.seconds).sum();
        let frames: u64 = sum(|span| span.frames);
        let mut medians: Vec<_> = spans.iter().filter_map(|span| span.age_p50_us).collect();
        medians.sort_unstable();
        Self {
            seconds,
            frames,
            fps: if seconds > 0.0 {
                frames as f64 / seconds
            } else {
                0.0
            },
            age_p50_us: medians.get(medians.len() / 2).copied(),
            age_p99_us: spans.iter().filter_map(|span| span.age_p99_us).max(),
            gaps: sum(|span| span.gaps),
            drops: sum(|span| span.drops),
        }
    }
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
    intervals: Vec<Figures>,
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
        let mut command = ctl.command(&["frames", stream, "--json", "--name", name]);
        command.args(options);
        Self::run(stream, name, command)
    }

    /// Starts any program that prints figures as `mosctl frames --json` does, and ends at SIGINT.
    pub(crate) fn run(stream: &str, name: &str, mut command: Command) -> Result<Self, Error> {
        let log = paths::artifacts().join(format!("subscribers/{stream}-{name}.log"));
        command
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
            intervals: Vec::new(),
            drops: 0,
            total: None,
            log,
        })
    }

    /// Its last interval, with the drops of all its time.
    pub(crate) fn latest(&mut self) -> Result<Figures, Error> {
        self.read()?;
        let latest = self.intervals.last().cloned().unwrap_or_default();
        Ok(Figures {
            drops: self.drops,
            ..latest
        })
    }

    /// Forgets the intervals so far.
    pub(crate) fn restart(&mut self) -> Result<(), Error> {
        self.read()?;
        self.intervals.clear();
        Ok(())
    }

    /// All intervals since the restart as one.
    pub(crate) fn since_restart(&mut self) -> Result<Figures, Error> {
        self.read()?;
        Ok(Figures::joined(&self.intervals))
    }

    /// Time since the restart in which no frame came, in whole intervals.
    pub(crate) fn silent_seconds(&mut self) -> Result<f64, Error> {
        self.read()?;
        let silent = self.intervals.iter().filter(|span| span.frames == 0);
        Ok(silent.fold(0.0, |sum, span| sum + span.seconds))
    }

    fn read(&mut self) -> Result<(), Error> {
        while let Ok(line) = self.lines.try_recv() {
            self.take(&line)?;
        }
        Ok(())
    }

    fn take(&mut self, line: &str) -> Result<(), Error> {
        let unexpected = |why: serde_json::Error| Error::Unexpected {
            what: "a subscriber".to_owned(),
            why: format!("{why}: {line}"),
        };
        match serde_json::from_str(line).map_err(unexpected)? {
            Line::Interval(figures) => {
                self.drops += figures.drops;
                self.intervals.push(figures);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn span(frames: u64, age: Option<u64>) -> Figures {
        Figures {
            seconds: 1.0,
            frames,
            fps: frames as f64,
            age_p50_us: age,
            age_p99_us: age.map(|age| 2 * age),
            gaps: 1,
            drops: 2,
        }
    }

    #[test]
    fn spans_join() {
        let joined = Figures::joined(&[
            span(30, Some(100)),
            span(28, Some(300)),
            span(0, None),
            span(30, Some(200)),
        ]);
        assert_eq!((joined.frames, joined.gaps, joined.drops), (88, 4, 8));
        assert_eq!(
            (joined.age_p50_us, joined.age_p99_us),
            (Some(200), Some(600))
        );
        assert!((joined.fps - 22.0).abs() < 1e-9);
        assert_eq!(Figures::joined(&[]).frames, 0);
    }

    #[test]
    fn the_lines_of_mosctl_are_understood() {
        let line = r#"{"type":"total","stream":"front","subscriber":"slow","seconds":1.5,"frames":30,"fps":20.0,"age_p50_us":614,"age_p99_us":629,"bus_p50_us":114,"bus_p99_us":null,"gaps":2,"drops":7,"reconnects":0}"#;
        assert!(matches!(
            serde_json::from_str(line),
            Ok(Line::Total(Figures {
                frames: 30,
                drops: 7,
                ..
            }))
        ));
        let interval = line.replace("total", "interval");
        assert!(matches!(
            serde_json::from_str(&interval),
            Ok(Line::Interval(_))
        ));
    }
}
