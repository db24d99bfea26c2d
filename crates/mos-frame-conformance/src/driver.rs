//! The subscriber under test: a program that is driven by JSON lines, as README.md describes.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal};
use serde::Deserialize;
use serde_json::{Value, json};

/// Longest wait for an answer; only a hang reaches it.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// What a scenario gives the subscriber to wait where something is sure to come.
pub const WAIT_MS: u64 = 20_000;
/// Version of the driver's commands.
const DRIVER: u64 = 1;

/// A subscriber program to check.
#[derive(Debug, Clone)]
pub struct Implementation {
    /// How its tests are named.
    pub name: String,
    /// Program and arguments.
    pub command: Vec<OsString>,
}

/// The driver failed, as opposed to the subscriber in it.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// It could not be started or talked to.
    #[error("the driver can't be talked to: {0}")]
    Io(#[from] io::Error),
    /// It ended.
    #[error("the driver ended; its own messages are on standard error")]
    Ended,
    /// It does not answer.
    #[error("the driver did not answer {0} within {PATIENCE:?}")]
    Silent(String),
    /// It answered something else than README.md says.
    #[error("the driver's answer to {command} makes no sense: {error}: {answer}")]
    Answer {
        /// What was asked.
        command: String,
        /// What came.
        answer: String,
        /// What is wrong with it.
        error: String,
    },
    /// The subscriber says that it failed, where a scenario can't go on.
    #[error("the subscriber failed at {command}: {refusal:?}")]
    Failed {
        /// What was asked.
        command: String,
        /// What it said.
        refusal: Refusal,
    },
}

/// A subscriber's own word for why something did not work.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Refusal {
    /// One of README.md's classes.
    pub error: String,
    /// The producer's reason, for `refused` and `evicted`.
    pub reason: Option<u16>,
    /// For people.
    pub text: String,
}

/// A plane, as a subscriber describes it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[expect(missing_docs, reason = "the fields of `mos_frame::Plane`")]
pub struct PlaneInfo {
    pub fd: u8,
    pub offset: u64,
    pub stride: u32,
    pub size: u64,
}

/// A frame, as a subscriber describes it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[expect(missing_docs, reason = "the fields of the protocol")]
pub struct FrameInfo {
    /// The driver's handle.
    pub frame: u64,
    pub seq: u64,
    pub session: u64,
    pub epoch: u32,
    pub buffer: u32,
    pub width: u32,
    pub height: u32,
    pub fourcc: String,
    pub modifier: u64,
    pub framerate: (u32, u32),
    pub memory: String,
    pub read_only: bool,
    pub colorimetry: String,
    pub planes: Vec<PlaneInfo>,
    /// How many descriptors it has.
    pub fds: usize,
    pub capture_ns: u64,
    pub publish_ns: u64,
    pub clock_source: u8,
    pub clock_error_ns: u32,
    pub pts_ns: Option<u64>,
    pub wall_ns: Option<u64>,
    pub flags: u16,
}

/// What a subscriber counted.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[expect(missing_docs, reason = "the fields of `mos_frame::SubscriberStats`")]
pub struct Stats {
    pub received: u64,
    pub missed: u64,
    pub gaps: u64,
    pub reconnects: u64,
}

/// How to connect.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "the options of every subscriber")]
pub struct Connect {
    pub window: u32,
    pub hold: u32,
    pub reconnect: bool,
    pub timeout_ms: u64,
}

impl Default for Connect {
    fn default() -> Self {
        Self {
            window: 2,
            hold: 1,
            reconnect: false,
            timeout_ms: WAIT_MS,
        }
    }
}

/// The answer to a command: its fields, or why not.
pub type Answer = Result<Value, Refusal>;

/// A running driver; stopped when dropped.
#[derive(Debug)]
pub struct Driver {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    asked: String,
}

impl Driver {
    /// Starts the program.
    pub fn start(implementation: &Implementation) -> Result<Self, DriverError> {
        let (program, arguments) = implementation
            .command
            .split_first()
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no program is given"))?;
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (sender, lines) = channel();
        let stdout = child.stdout.take().ok_or(DriverError::Ended)?;
        // Ends with the child's output, which ends with the child.
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let stdin = child.stdin.take();
        let mut driver = Self {
            child,
            stdin,
            lines,
            asked: "start".to_owned(),
        };
        let greeting: Value = driver.line()?;
        if greeting["driver"] == DRIVER {
            Ok(driver)
        } else {
            Err(driver.nonsense(&greeting, &format!("not a driver of version {DRIVER}")))
        }
    }

    /// Sends a command; the answer is fetched by [`Self::answer`].
    pub fn ask(&mut self, command: &Value) -> Result<(), DriverError> {
        self.asked = command.to_string();
        let stdin = self.stdin.as_mut().ok_or(DriverError::Ended)?;
        writeln!(stdin, "{}", self.asked)?;
        Ok(stdin.flush()?)
    }

    /// The answer to the last command.
    pub fn answer(&mut self) -> Result<Answer, DriverError> {
        let answer = self.line()?;
        match answer["ok"].as_bool() {
            Some(true) => Ok(Ok(answer)),
            Some(false) => match Refusal::deserialize(&answer) {
                Ok(refusal) => Ok(Err(refusal)),
                Err(error) => Err(self.nonsense(&answer, &error.to_string())),
            },
            None => Err(self.nonsense(&answer, "no `ok`")),
        }
    }

    fn line(&mut self) -> Result<Value, DriverError> {
        let line = match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => return Err(DriverError::Silent(self.asked.clone())),
            Err(RecvTimeoutError::Disconnected) => return Err(DriverError::Ended),
        };
        serde_json::from_str(&line).map_err(|e| self.nonsense(&Value::String(line), &e.to_string()))
    }

    fn nonsense(&self, answer: &Value, error: &str) -> DriverError {
        DriverError::Answer {
            command: self.asked.clone(),
            answer: answer.to_string(),
            error: error.to_owned(),
        }
    }

    fn call(&mut self, command: &Value) -> Result<Answer, DriverError> {
        self.ask(command)?;
        self.answer()
    }

    /// A command that has to work.
    fn demand(&mut self, command: &Value) -> Result<Value, DriverError> {
        self.call(command)?.map_err(|refusal| DriverError::Failed {
            command: self.asked.clone(),
            refusal,
        })
    }

    fn field<T: for<'de> Deserialize<'de>>(
        &self,
        answer: &Value,
        field: &str,
    ) -> Result<T, DriverError> {
        T::deserialize(&answer[field])
            .map_err(|e| self.nonsense(answer, &format!("field `{field}`: {e}")))
    }

    // ---- the commands --------------------------------------------------------------------------------------------

    /// The command that connects, for [`Self::ask`].
    pub fn connecting(path: &Path, how: Connect) -> Value {
        json!({
            "op": "connect", "path": path, "window": how.window, "hold": how.hold, "name": "conformance",
            "reconnect": how.reconnect, "timeout_ms": how.timeout_ms,
        })
    }

    /// Connects and waits for the answer.
    pub fn connect(&mut self, path: &Path, how: Connect) -> Result<Answer, DriverError> {
        self.call(&Self::connecting(path, how))
    }

    /// Connects, which has to work.
    pub fn must_connect(&mut self, path: &Path, how: Connect) -> Result<(), DriverError> {
        self.demand(&Self::connecting(path, how)).map(drop)
    }

    /// The command that waits for a frame, for [`Self::ask`].
    pub fn awaiting(timeout_ms: u64) -> Value {
        json!({ "op": "next", "timeout_ms": timeout_ms })
    }

    /// The frame of an answer to `next`.
    pub fn frame_of(&self, answer: Answer) -> Result<Option<FrameInfo>, DriverError> {
        match answer {
            Ok(answer) => self.field(&answer, "frame"),
            Err(refusal) => Err(DriverError::Failed {
                command: self.asked.clone(),
                refusal,
            }),
        }
    }

    /// The next frame, which has to come.
    pub fn frame(&mut self) -> Result<FrameInfo, DriverError> {
        let answer = self.call(&Self::awaiting(WAIT_MS))?;
        let silent = DriverError::Silent(self.asked.clone());
        self.frame_of(answer)?.ok_or(silent)
    }

    /// `next` with little patience, for what is there already, or for an error.
    pub fn next_now(&mut self) -> Result<Result<Option<FrameInfo>, Refusal>, DriverError> {
        self.optional(&Self::awaiting(0))
    }

    /// The next frame if it is there.
    pub fn try_next(&mut self) -> Result<Result<Option<FrameInfo>, Refusal>, DriverError> {
        self.optional(&json!({ "op": "try_next" }))
    }

    /// The newest frame if it is there.
    pub fn latest(&mut self) -> Result<Result<Option<FrameInfo>, Refusal>, DriverError> {
        self.optional(&json!({ "op": "latest" }))
    }

    fn optional(
        &mut self,
        command: &Value,
    ) -> Result<Result<Option<FrameInfo>, Refusal>, DriverError> {
        match self.call(command)? {
            Ok(answer) => Ok(Ok(self.field(&answer, "frame")?)),
            Err(refusal) => Ok(Err(refusal)),
        }
    }

    /// Why `next` fails, which it has to.
    pub fn next_fails(&mut self) -> Result<Refusal, DriverError> {
        match self.call(&Self::awaiting(WAIT_MS))? {
            Err(refusal) => Ok(refusal),
            Ok(answer) => Err(self.nonsense(&answer, "an error is due")),
        }
    }

    /// Takes frames and releases each at once; gives their sequences.
    pub fn take(&mut self, count: usize, timeout_ms: u64) -> Result<Vec<u64>, DriverError> {
        let answer =
            self.demand(&json!({ "op": "take", "count": count, "timeout_ms": timeout_ms }))?;
        self.field(&answer, "seqs")
    }

    /// Bytes of a plane of a frame.
    pub fn read(
        &mut self,
        frame: &FrameInfo,
        plane: usize,
        offset: u64,
        length: usize,
    ) -> Result<Vec<u8>, DriverError> {
        let command = json!({
            "op": "read", "frame": frame.frame, "plane": plane, "offset": offset, "length": length
        });
        let answer = self.demand(&command)?;
        let hex: String = self.field(&answer, "hex")?;
        let byte = |i: usize| {
            hex.get(i..i + 2)
                .and_then(|h| u8::from_str_radix(h, 16).ok())
        };
        let bytes: Option<Vec<u8>> = (0..hex.len()).step_by(2).map(byte).collect();
        bytes.ok_or_else(|| self.nonsense(&answer, "no hexadecimal digits"))
    }

    /// Whether a frame is still the subscriber's.
    pub fn valid(&mut self, frame: &FrameInfo) -> Result<bool, DriverError> {
        let answer = self.demand(&json!({ "op": "valid", "frame": frame.frame }))?;
        self.field(&answer, "valid")
    }

    /// Gives a frame back.
    pub fn release(&mut self, frame: &FrameInfo) -> Result<(), DriverError> {
        self.demand(&json!({ "op": "release", "frame": frame.frame }))
            .map(drop)
    }

    /// What the subscriber counted.
    pub fn stats(&mut self) -> Result<Stats, DriverError> {
        let answer = self.demand(&json!({ "op": "stats" }))?;
        self.field(&answer, "stats")
    }

    /// Ends the subscription; frames stay.
    pub fn close(&mut self) -> Result<(), DriverError> {
        self.demand(&json!({ "op": "close" })).map(drop)
    }

    // ---- the process -----------------------------------------------------------------------------------------------

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Open descriptors, and mappings of memfds, of the idle driver.
    pub fn resources(&self) -> io::Result<Resources> {
        let proc = Path::new("/proc").join(self.child.id().to_string());
        let maps = std::fs::read_to_string(proc.join("maps"))?;
        Ok(Resources {
            fds: std::fs::read_dir(proc.join("fd"))?.count(),
            maps: maps.lines().filter(|line| line.contains("memfd:")).count(),
        })
    }

    /// Waits until the connected, idle subscriber has open what is expected: the producer's last messages may be on their way.
    pub fn settles_at(&mut self, expected: Resources) -> Result<(), DriverError> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Ok(Some(frame)) = self.next_now()? {
                return Err(io::Error::other(format!("nothing was due, {frame:?} came")).into());
            }
            let now = self.resources()?;
            if now == expected {
                return Ok(());
            }
            if Instant::now() > deadline {
                let text = format!("{now:?} instead of {expected:?}");
                return Err(io::Error::other(text).into());
            }
        }
    }

    /// Stops the process, or lets it go on, by a signal.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        Ok(rustix::process::kill_process(self.pid(), signal)?)
    }

    /// Limits the number of descriptors that the process may open to what it has now and `more`; gives the old limit.
    pub fn limit_fds(&self, more: u64) -> io::Result<Rlimit> {
        let fds = self.resources()?.fds as u64;
        let now = rustix::process::getrlimit(Resource::Nofile);
        let low = Rlimit {
            current: Some(fds + more),
            maximum: now.maximum,
        };
        Ok(rustix::process::prlimit(
            Some(self.pid()),
            Resource::Nofile,
            low,
        )?)
    }

    /// Sets the limit that [`Self::limit_fds`] gave.
    pub fn restore_fds(&self, limit: Rlimit) -> io::Result<()> {
        rustix::process::prlimit(Some(self.pid()), Resource::Nofile, limit)?;
        Ok(())
    }
}

/// What a process holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resources {
    /// Open descriptors.
    pub fds: usize,
    /// Mappings of memfds.
    pub maps: usize,
}

impl Drop for Driver {
    fn drop(&mut self) {
        // The end of its input ends it; a driver that hangs, or is stopped, is killed.
        drop(self.stdin.take());
        let gone = matches!(
            self.lines.recv_timeout(Duration::from_secs(2)),
            Err(RecvTimeoutError::Disconnected)
        );
        if !gone && let Err(error) = self.child.kill() {
            eprintln!("a driver could not be killed: {error}");
        }
        if let Err(error) = self.child.wait() {
            eprintln!("a driver could not be waited for: {error}");
        }
    }
}
