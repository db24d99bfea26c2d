//! An ONVIF camera in a process of its own: `tests/peers/onvif_camera.py`.

use std::io::{self, BufRead, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::paths;
use crate::rtsp::PYTHON;

const PEER: &str = "onvif_camera.py";
/// Longest wait for anything that the peer tells.
const LIMIT: Duration = Duration::from_secs(20);

/// A camera that does as it is told, and tells what it was asked. It ends with this handle.
#[derive(Debug)]
pub struct OnvifCamera {
    process: Child,
    stdin: ChildStdin,
    told: Receiver<Value>,
    port: u16,
}

impl OnvifCamera {
    /// Starts one with the peer's command line options.
    pub fn start(options: &[&str]) -> io::Result<Self> {
        Self::start_by(Command::new(PYTHON), PEER, options)
    }

    /// The same in a network namespace.
    pub fn start_in(namespace: &str, options: &[&str]) -> io::Result<Self> {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", namespace, PYTHON]);
        Self::start_by(command, PEER, options)
    }

    /// Another peer, by the command that runs Python: it has to tell its port as this one does.
    pub fn start_by(mut command: Command, peer: &str, options: &[&str]) -> io::Result<Self> {
        let mut process = command
            .arg(paths::peer(peer))
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let missing = || io::Error::other("the peer has no pipe");
        let stdin = process.stdin.take().ok_or_else(missing)?;
        let stdout = process.stdout.take().ok_or_else(missing)?;
        let (sender, told) = channel();
        std::thread::spawn(move || {
            let lines = BufReader::new(stdout).lines().map_while(Result::ok);
            for value in lines.filter_map(|line| serde_json::from_str(&line).ok()) {
                // The test may have ended.
                if sender.send(value).is_err() {
                    return;
                }
            }
        });
        let mut camera = Self {
            process,
            stdin,
            told,
            port: 0,
        };
        let first = camera.wait_for("listening")?;
        camera.port = first["listening"].as_u64().unwrap_or_default() as u16;
        Ok(camera)
    }

    /// Its TCP port.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Where it is, if it is on loopback.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The next thing that it tells with this key; what it tells before that is left out.
    pub fn wait_for(&self, key: &str) -> io::Result<Value> {
        let until = Instant::now() + LIMIT;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let value = self.told.recv_timeout(left).map_err(io::Error::other)?;
            if value.get(key).is_some() {
                return Ok(value);
            }
        }
    }

    /// All that it has told since it was asked last.
    pub fn told(&self) -> Vec<Value> {
        self.told.try_iter().collect()
    }

    /// Changes it, and waits until that is done. What it told before is left out.
    pub fn change(&mut self, wish: &Value) -> io::Result<()> {
        writeln!(self.stdin, "{wish}")?;
        self.stdin.flush()?;
        self.wait_for("done").map(drop)
    }
}

impl Drop for OnvifCamera {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
