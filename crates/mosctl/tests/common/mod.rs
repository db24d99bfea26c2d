//! What the tests share: running `mosctl`, and a camera on a bus of its own.

#![allow(
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    reason = "support of tests; each file uses a part of it"
)]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use mos_frame::{
    Budget, Format, FrameMeta, MemfdPool, PoolFrame, Publisher, PublisherOptions, monotonic_ns,
};
use serde_json::Value;

/// `mosctl` with these arguments, untouched by the caller's environment.
pub fn mosctl(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mosctl"));
    command
        .args(args)
        .env_remove("MOS_CONTROL_SOCKET")
        .env_remove("MOS_FRAME_DIR")
        .stdin(Stdio::null());
    command
}

/// Runs it to its end.
pub fn run(args: &[&str]) -> Output {
    mosctl(args).output().unwrap()
}

/// Standard output as text.
pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Standard error as text.
pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Each line of standard output as JSON.
pub fn json_lines(output: &Output) -> Vec<Value> {
    stdout(output)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The error that `--json` puts on standard error.
pub fn json_error(output: &Output) -> Value {
    serde_json::from_str::<Value>(&stderr(output)).unwrap()["error"].take()
}

/// A `mosctl` that goes on until it is told to end.
pub struct Running {
    child: Child,
    lines: Option<BufReader<ChildStdout>>,
}

impl Running {
    pub fn new(args: &[&str]) -> Self {
        let mut child = mosctl(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = child.stdout.take().map(BufReader::new);
        Self { child, lines }
    }

    /// Waits for the next line.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        let read = self.lines.as_mut().unwrap().read_line(&mut line).unwrap();
        assert!(read > 0, "mosctl ended early");
        line
    }

    /// Goes away as a reader.
    pub fn close_stdout(&mut self) {
        self.lines = None;
    }

    /// Waits for it to end by itself.
    pub fn exit_code(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }

    /// Waits for the first line that is JSON of this kind.
    pub fn json_until(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let value: Value = serde_json::from_str(&self.line()).unwrap();
            if wanted(&value) {
                return value;
            }
        }
    }

    /// Sends a signal, and gives the exit code and all that is still printed.
    pub fn end(mut self, signal: rustix::process::Signal) -> (Option<i32>, Vec<String>) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal)
            .unwrap();
        let rest = self
            .lines
            .take()
            .unwrap()
            .lines()
            .map(Result::unwrap)
            .collect();
        (self.child.wait().unwrap().code(), rest)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Already gone where the test went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Buffers of a camera.
pub const BUFFERS: u32 = 12;

/// A camera that publishes black frames of 64x48 on the bus until it is dropped.
pub struct Camera {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Camera {
    pub fn new(dir: &Path, stream: &str, fps: u32) -> Self {
        let options = PublisherOptions {
            budget: Budget {
                slots: BUFFERS,
                in_flight: 1,
                fences: 0,
            },
            ..PublisherOptions::default()
        };
        let publisher = Publisher::bind(&mos_frame::socket_path(dir, stream), options).unwrap();
        let format = Format::nv12_memfd(64, 48, (fps, 1));
        publisher.set_format(format.clone());
        let pool = MemfdPool::new(&publisher, &format, BUFFERS as usize).unwrap();
        let (stop, stopped) = mpsc::channel();
        let frame_time = Duration::from_secs(1) / fps;
        let thread = thread::spawn(move || {
            // The camera's clock: one frame each time that the wait runs out.
            while stopped.recv_timeout(frame_time) == Err(RecvTimeoutError::Timeout) {
                publish(&publisher, &pool);
            }
        });
        Self {
            stop: Some(stop),
            thread: Some(thread),
        }
    }
}

fn publish(publisher: &Publisher<PoolFrame>, pool: &MemfdPool) {
    let meta = FrameMeta {
        capture_ns: monotonic_ns(),
        ..FrameMeta::default()
    };
    // All buffers may be out for a moment; a camera drops its frame then.
    if let Some(frame) = pool.acquire() {
        frame.publish(publisher, meta).unwrap();
    }
}

impl Drop for Camera {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
            && !thread::panicking()
        {
            panic!("the camera's thread failed");
        }
    }
}
