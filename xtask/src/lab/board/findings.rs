//! What the board wrote, read and held to what has to be so.

use std::fs;
use std::path::PathBuf;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::error::Error;

/// A boot's results.
#[derive(Debug)]
pub(super) struct Findings {
    folder: PathBuf,
}

/// What `mosctl --json platform` says; the rest of it is for people.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Platform {
    pub(super) family: String,
    pub(super) ground: String,
    pub(super) compatible: Vec<String>,
    pub(super) csi_backend: Option<String>,
    pub(super) problems: Vec<Problem>,
}

/// Something that is missing on the board.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Problem {
    pub(super) message: String,
}

/// A start of the service, in milliseconds from systemd's start of the unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Start {
    /// To its READY=1.
    pub(super) ready: u64,
    /// To the end of a program that asked the control socket and was answered.
    pub(super) answered: u64,
}

/// What came of a camera.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stream {
    /// Frames that the subscriber received.
    pub(super) received: u64,
    /// What they lived in.
    pub(super) memory: String,
    /// Frames that were copied at the gate.
    pub(super) copied: u64,
    /// Frames that something in the service reached for.
    pub(super) violations: u64,
    /// The elements.
    pub(super) chain: Vec<String>,
}

impl Findings {
    /// Of a folder of results.
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// A file's text.
    pub(super) fn text(&self, name: &str) -> Result<String, Error> {
        let path = self.folder.join(name);
        fs::read_to_string(&path).map_err(Error::path("read", path))
    }

    /// Whether the job did all it had to.
    pub(super) fn done(&self) -> bool {
        self.text("status").is_ok_and(|text| text.trim() == "0")
    }

    /// What the service runs on.
    pub(super) fn platform(&self) -> Result<Platform, Error> {
        self.read("platform.json", json)
    }

    /// The service's starts.
    pub(super) fn starts(&self) -> Result<Vec<Start>, Error> {
        self.read("starts", starts)
    }

    /// Resident memory of the idle service in bytes, and its largest so far.
    pub(super) fn resident(&self) -> Result<(u64, u64), Error> {
        self.read("idle-status", |text| {
            Ok((kilobytes(text, "VmRSS:")?, kilobytes(text, "VmHWM:")?))
        })
    }

    /// Its part that belongs to nobody else and is no file, in bytes.
    pub(super) fn anonymous(&self) -> Result<u64, Error> {
        self.read("idle-smaps", |text| kilobytes(text, "Anonymous:"))
    }

    /// Installed size of the packages in bytes.
    pub(super) fn installed(&self) -> Result<u64, Error> {
        self.read("installed", installed)
    }

    /// How the service ended when it was told to, in systemd's word, and the milliseconds that it took.
    pub(super) fn stop(&self) -> Result<(String, u64), Error> {
        self.read("stop", stop)
    }

    /// What came of a stream.
    pub(super) fn stream(&self, name: &str) -> Result<Stream, Error> {
        let received = self.read(&format!("frames-{name}.jsonl"), received)?;
        self.read(&format!("status-{name}.json"), |text| {
            stream(text, name, received)
        })
    }

    fn read<T>(
        &self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<T, Error> {
        let text = self.text(name)?;
        parse(&text).map_err(|why| Error::Unexpected {
            what: format!("the board's {name}"),
            why,
        })
    }
}

fn json<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| format!("{error}: {text}"))
}

/// Lines of systemd's start, READY=1, and the answer, in microseconds of the monotonic clock.
fn starts(text: &str) -> Result<Vec<Start>, String> {
    let line = |line: &str| {
        let words: Vec<u64> = line
            .split_whitespace()
            .map(str::parse)
            .collect::<Result<_, _>>()
            .ok()?;
        let [start, ready, answered] = words[..] else {
            return None;
        };
        Some(Start {
            ready: ready.checked_sub(start)? / 1000,
            answered: answered.checked_sub(start)? / 1000,
        })
    };
    text.lines()
        .map(|text| line(text).ok_or_else(|| format!("no start: {text}")))
        .collect()
}

/// `Result BEFORE AFTER`, the last two in seconds.
fn stop(text: &str) -> Result<(String, u64), String> {
    let words: Vec<_> = text.split_whitespace().collect();
    let took = |before: &str, after: &str| {
        let took = after.parse::<f64>().ok()? - before.parse::<f64>().ok()?;
        (took >= 0.0).then_some((took * 1000.0).round() as u64)
    };
    match words[..] {
        [result, before, after] => took(before, after).map(|took| (result.to_owned(), took)),
        _ => None,
    }
    .ok_or_else(|| format!("no stop: {text}"))
}

/// The middle one of several figures, the upper of two middle ones.
pub(super) fn median(figures: impl IntoIterator<Item = u64>) -> Option<u64> {
    let mut figures: Vec<_> = figures.into_iter().collect();
    figures.sort_unstable();
    figures.get(figures.len() / 2).copied()
}

/// A line of `proc_pid_status(5)` in bytes.
fn kilobytes(text: &str, key: &str) -> Result<u64, String> {
    text.lines()
        .find_map(|line| {
            line.strip_prefix(key)?
                .trim()
                .strip_suffix(" kB")?
                .parse()
                .ok()
        })
        .map(|kilobytes: u64| kilobytes * 1024)
        .ok_or_else(|| format!("no {key}"))
}

/// Sums up `Package Version Installed-Size`; the size is in units of 1024 bytes (Debian Policy, 5.6.20).
fn installed(text: &str) -> Result<u64, String> {
    let sizes: Option<Vec<u64>> = text
        .lines()
        .map(|line| line.split_whitespace().nth(2)?.parse().ok())
        .collect();
    match sizes {
        Some(sizes) if sizes.len() == 2 => Ok(sizes.iter().sum::<u64>() * 1024),
        _ => Err(format!("not two packages: {text}")),
    }
}

/// The frames of the last line, which is the total.
fn received(text: &str) -> Result<u64, String> {
    #[derive(Deserialize)]
    struct Report {
        #[serde(rename = "type")]
        kind: String,
        frames: u64,
    }
    let last: Report = json(text.lines().last().unwrap_or_default())?;
    (last.kind == "total")
        .then_some(last.frames)
        .ok_or_else(|| "it ended before its time".to_owned())
}

fn stream(text: &str, name: &str, received: u64) -> Result<Stream, String> {
    #[derive(Deserialize)]
    struct Status {
        streams: Vec<One>,
    }
    #[derive(Deserialize)]
    struct One {
        stream: String,
        format: Option<Format>,
        frames: Option<Frames>,
        chain: Vec<String>,
    }
    #[derive(Deserialize)]
    struct Format {
        memory: String,
    }
    #[derive(Deserialize)]
    struct Frames {
        copied: u64,
        violations: u64,
    }
    let status: Status = json(text)?;
    let one = status
        .streams
        .into_iter()
        .find(|one| one.stream == name)
        .ok_or_else(|| format!("no stream {name}"))?;
    let (Some(format), Some(frames)) = (one.format, one.frames) else {
        return Err(format!("{name} does not stream"));
    };
    Ok(Stream {
        received,
        memory: format.memory,
        copied: frames.copied,
        violations: frames.violations,
        chain: one.chain,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_are_differences() {
        let expected = [Start {
            ready: 2500,
            answered: 4000,
        }];
        assert_eq!(starts("1000000 3500000 5000000\n").unwrap(), expected);
        for wrong in ["1 2\n", "5 4 6\n", "a b c\n", "1000 2000 \n", "0 0 0 0\n"] {
            assert!(starts(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_stop_has_a_result_and_a_time() {
        assert_eq!(
            stop("success 100.50 101.75\n"),
            Ok(("success".to_owned(), 1250))
        );
        for wrong in ["", "success 1.0\n", "success a b\n", "success 2.0 1.0\n"] {
            assert!(stop(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median([5, 1, 3]), Some(3));
        assert_eq!(median([4, 1]), Some(4));
        assert_eq!(median([]), None);
    }

    #[test]
    fn memory_is_in_bytes() {
        let text = "VmHWM:\t   30000 kB\nVmRSS:\t   20000 kB\n";
        assert_eq!(kilobytes(text, "VmRSS:"), Ok(20_480_000));
        assert!(kilobytes(text, "VmSwap:").is_err());
    }

    #[test]
    fn installed_sizes_are_summed_up() {
        let text = "mos-camera-capture 0.1 20000\nmosctl 0.1 10000\n";
        assert_eq!(installed(text), Ok(30_000 * 1024));
        assert!(installed("mosctl 0.1 10000\n").is_err());
        assert!(installed("a 1 2\nb 1 \n").is_err());
    }

    #[test]
    fn a_subscriber_that_broke_off_received_nothing() {
        let line = |kind: &str, frames: u64| {
            serde_json::json!({ "type": kind, "frames": frames }).to_string()
        };
        let text = format!("{}\n{}\n", line("interval", 20), line("total", 60));
        assert_eq!(received(&text), Ok(60));
        assert!(received(&line("interval", 20)).is_err());
        assert!(received("").is_err());
    }

    #[test]
    fn a_stream_is_found_by_its_name() {
        let text = r#"{"service":null,"streams":[{"stream":"other","format":null,"frames":null,"chain":[]},
            {"stream":"front","format":{"memory":"dmabuf"},"frames":{"copied":0,"violations":2},"chain":["libcamerasrc"]}]}"#;
        let front = stream(text, "front", 60).unwrap();
        assert_eq!((front.memory.as_str(), front.violations), ("dmabuf", 2));
        assert!(stream(text, "other", 0).is_err());
        assert!(stream(text, "none", 0).is_err());
    }
}
