//! Lets the conformance suite drive the Rust subscriber.

use std::collections::HashMap;
use std::io::{self, BufRead, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use mos_frame::{
    ConnectError, Frame, MemoryKind, RecvError, Subscriber, SubscriberOptions, SubscriberStats,
};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Debug, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
enum Command {
    Connect {
        path: PathBuf,
        window: u32,
        hold: u32,
        name: String,
        reconnect: bool,
        timeout_ms: u64,
    },
    Next {
        timeout_ms: u64,
    },
    TryNext,
    Latest,
    Take {
        count: usize,
        timeout_ms: u64,
    },
    Read {
        frame: u64,
        plane: usize,
        offset: usize,
        length: usize,
    },
    Valid {
        frame: u64,
    },
    Release {
        frame: u64,
    },
    Stats,
    Close,
}

/// Why a command did not work.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Connect(#[from] ConnectError),
    #[error("{0}")]
    Receive(#[from] RecvError),
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("no such {0}")]
    No(&'static str),
}

impl Failure {
    fn class(&self) -> &'static str {
        match self {
            Self::Connect(ConnectError::NotFound { .. }) => "not_found",
            Self::Connect(ConnectError::Permission { .. }) => "permission",
            Self::Connect(ConnectError::Refused { .. }) => "refused",
            Self::Connect(ConnectError::Timeout { .. }) => "timeout",
            Self::Connect(ConnectError::Protocol { .. })
            | Self::Receive(RecvError::Protocol(_)) => "protocol",
            Self::Receive(RecvError::Disconnected) => "gone",
            Self::Receive(RecvError::Evicted { .. }) => "evicted",
            Self::Receive(RecvError::HoldLimit { .. }) => "hold_limit",
            Self::Connect(_) | Self::Receive(_) | Self::Io(_) => "io",
            Self::No(_) => "usage",
        }
    }

    fn reason(&self) -> Option<u16> {
        match self {
            Self::Connect(ConnectError::Refused { reason, .. })
            | Self::Receive(RecvError::Evicted { reason, .. }) => Some(*reason as u16),
            _ => None,
        }
    }
}

#[derive(Debug, Default)]
struct Driver {
    subscriber: Option<Subscriber>,
    frames: HashMap<u64, Frame>,
    handles: u64,
}

impl Driver {
    fn answer(&mut self, command: Command) -> Value {
        match self.act(command) {
            Ok(mut answer) => {
                answer["ok"] = true.into();
                answer
            }
            Err(failure) => json!({
                "ok": false,
                "error": failure.class(),
                "reason": failure.reason(),
                "text": failure.to_string(),
            }),
        }
    }

    fn act(&mut self, command: Command) -> Result<Value, Failure> {
        match command {
            Command::Connect {
                path,
                window,
                hold,
                name,
                reconnect,
                timeout_ms,
            } => {
                let options = SubscriberOptions {
                    name,
                    window,
                    hold,
                    reconnect,
                    timeout: Duration::from_millis(timeout_ms),
                };
                self.subscriber = Some(Subscriber::connect(&path, options)?);
                Ok(json!({}))
            }
            Command::Next { timeout_ms } => {
                let frame = self
                    .subscriber()?
                    .next_timeout(Duration::from_millis(timeout_ms))?;
                Ok(self.keep(frame))
            }
            Command::TryNext => {
                let frame = self.subscriber()?.try_next()?;
                Ok(self.keep(frame))
            }
            Command::Latest => {
                let frame = self.subscriber()?.try_latest()?;
                Ok(self.keep(frame))
            }
            Command::Take { count, timeout_ms } => {
                let mut seqs = Vec::with_capacity(count);
                let patience = Duration::from_millis(timeout_ms);
                while seqs.len() < count {
                    match self.subscriber()?.next_timeout(patience)? {
                        Some(frame) => seqs.push(frame.seq()),
                        None => break,
                    }
                }
                Ok(json!({ "seqs": seqs }))
            }
            Command::Read {
                frame,
                plane,
                offset,
                length,
            } => {
                let map = self.frame(frame)?.map()?;
                let bytes = map
                    .plane(plane)
                    .and_then(|p| p.get(offset..)?.get(..length));
                let hex = hex(bytes.ok_or(Failure::No("byte"))?);
                Ok(json!({ "hex": hex }))
            }
            Command::Valid { frame } => Ok(json!({ "valid": self.frame(frame)?.is_valid() })),
            Command::Release { frame } => {
                self.frames.remove(&frame).ok_or(Failure::No("frame"))?;
                Ok(json!({}))
            }
            Command::Stats => {
                let SubscriberStats {
                    received,
                    missed,
                    gaps,
                    reconnects,
                } = self.subscriber()?.stats();
                Ok(json!({ "stats": {
                    "received": received, "missed": missed, "gaps": gaps, "reconnects": reconnects,
                }}))
            }
            Command::Close => {
                self.subscriber = None;
                Ok(json!({}))
            }
        }
    }

    fn subscriber(&mut self) -> Result<&mut Subscriber, Failure> {
        self.subscriber.as_mut().ok_or(Failure::No("subscriber"))
    }

    fn frame(&self, handle: u64) -> Result<&Frame, Failure> {
        self.frames.get(&handle).ok_or(Failure::No("frame"))
    }

    fn keep(&mut self, frame: Option<Frame>) -> Value {
        let Some(frame) = frame else {
            return json!({ "frame": null });
        };
        self.handles += 1;
        let described = describe(self.handles, &frame);
        self.frames.insert(self.handles, frame);
        json!({ "frame": described })
    }
}

fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('?');
    let digits = bytes.iter().flat_map(|b| [digit(b >> 4), digit(b & 15)]);
    digits.collect()
}

fn describe(handle: u64, frame: &Frame) -> Value {
    let (format, meta) = (frame.format(), frame.meta());
    let planes: Vec<Value> = frame
        .layout()
        .planes
        .iter()
        .map(|p| json!({ "fd": p.fd, "offset": p.offset, "stride": p.stride, "size": p.size }))
        .collect();
    json!({
        "frame": handle,
        "seq": frame.seq(),
        "session": frame.session(),
        "epoch": frame.epoch(),
        "buffer": frame.buffer_id(),
        "width": format.width,
        "height": format.height,
        "fourcc": format.fourcc.to_string(),
        "modifier": format.modifier,
        "framerate": format.framerate,
        "memory": match format.memory {
            MemoryKind::Memfd => "memfd",
            MemoryKind::DmaBuf => "dma-buf",
        },
        "read_only": format.read_only,
        "colorimetry": format.colorimetry,
        "planes": planes,
        "fds": frame.fds().len(),
        "capture_ns": meta.capture_ns,
        "publish_ns": frame.publish_ns(),
        "clock_source": meta.clock_source as u8,
        "clock_error_ns": meta.clock_error_ns,
        "pts_ns": meta.pts_ns,
        "wall_ns": meta.wall_ns,
        "flags": meta.flags.0,
    })
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mos-frame-driver: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> io::Result<()> {
    let mut driver = Driver::default();
    say(&json!({ "driver": 1, "implementation": "mos-frame" }))?;
    for line in io::stdin().lock().lines() {
        let command = serde_json::from_str(&line?)?;
        say(&driver.answer(command))?;
    }
    Ok(())
}

fn say(answer: &Value) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{answer}")?;
    stdout.flush()
}
