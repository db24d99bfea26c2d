//! A WHEP server in a process of its own: `tests/peers/whep_server.py`, which is aiortc, or any program that tells what
//! happens in the same way: `ready PORT` first, then a line for each event.

use std::io::{self, Write};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal};

use crate::lines::Lines;
use crate::paths;

/// The environment variable that names a Python interpreter with aiortc.
pub const PYTHON: &str = "MOS_WHEP_PYTHON";

/// The environment variable that names the program of `tests/peers/whepserversink`, which `./x test` builds.
pub const WHEPSERVERSINK: &str = "MOS_WHEPSERVERSINK";

/// A Python interpreter with aiortc: `$MOS_WHEP_PYTHON`, or the one that `cargo xtask test` has made. None if there is none, and
/// then `./x test` makes it.
pub fn python() -> Option<PathBuf> {
    let cache = || {
        let home = PathBuf::from(std::env::var_os("HOME")?);
        let cache = std::env::var_os("XDG_CACHE_HOME").map_or(home.join(".cache"), PathBuf::from);
        Some(cache.join("mos-camera/whep/bin/python"))
    };
    std::env::var_os(PYTHON)
        .map(PathBuf::from)
        .or_else(cache)
        .filter(|python| python.exists())
}

/// A running server; it is killed on drop.
#[derive(Debug)]
pub struct WhepServer {
    child: Child,
    stdin: Mutex<ChildStdin>,
    lines: Lines,
    port: u16,
    path: &'static str,
}

/// How long the server may take to come up; Python is slow on a cold machine.
const STARTUP: Duration = Duration::from_mins(1);

impl WhepServer {
    /// Starts aiortc's server with these arguments; with a token, it wants that.
    pub fn aiortc(arguments: &[&str], token: Option<&str>) -> io::Result<Self> {
        let python = python().ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::NotFound,
                "no Python with aiortc; `./x test` makes one",
            )
        })?;
        let mut command = Command::new(python);
        command
            .arg(paths::peer("whep_server.py"))
            .args(arguments)
            .envs(token.map(|token| ("WHEP_TOKEN", token)));
        Self::start(command)
    }

    /// Starts GStreamer's own server with these arguments; None where it was not built.
    pub fn whepserversink(arguments: &[&str]) -> io::Result<Option<Self>> {
        let Some(program) = std::env::var_os(WHEPSERVERSINK) else {
            return Ok(None);
        };
        let mut command = Command::new(program);
        command.args(arguments);
        let mut server = Self::start(command)?;
        server.path = "/whep/endpoint";
        Ok(Some(server))
    }

    /// Starts a browser that sends in this codec (`h264`, `vp8`); None where there is no browser.
    pub fn browser(codec: &str) -> io::Result<Option<Self>> {
        let there = |folder: PathBuf| folder.join("chromium").exists();
        let path = std::env::var_os("PATH").unwrap_or_default();
        if !std::env::split_paths(&path).any(there) {
            return Ok(None);
        }
        let mut command = Command::new(crate::rtsp::PYTHON);
        command
            .arg(paths::peer("browser_whep.py"))
            .arg(format!("--codec={codec}"));
        Self::start(command).map(Some)
    }

    /// Starts a server and waits until it can be reached.
    pub fn start(mut command: Command) -> io::Result<Self> {
        let mut child = command
            // It ends when this pipe closes, so it does not outlive a test that was killed.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let (Some(stdin), Some(stdout)) = (stdin, stdout) else {
            return Err(io::Error::other("no pipes to the server"));
        };
        let mut server = Self {
            child,
            stdin: Mutex::new(stdin),
            lines: Lines::of("WHEP server", stdout),
            port: 0,
            path: "/whep",
        };
        let ready = server.wait_for("ready ", STARTUP)?;
        server.port = ready
            .split(' ')
            .nth(1)
            .and_then(|port| port.parse().ok())
            .ok_or_else(|| io::Error::other(format!("`{ready}` names no port")))?;
        Ok(server)
    }

    /// The port of HTTP.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Its WHEP endpoint, without TLS.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}{}", self.port, self.path)
    }

    /// Waits for a line that begins so, also one that came before.
    pub fn wait_for(&self, prefix: &str, patience: Duration) -> io::Result<String> {
        let begins = |line: &str| line.starts_with(prefix);
        self.lines.wait_for(prefix, patience, begins)
    }

    /// The lines so far.
    pub fn lines(&self) -> Vec<String> {
        self.lines.all()
    }

    /// Ends all sessions, as a server does that is stopped.
    pub fn close_sessions(&self) -> io::Result<()> {
        self.command("close")
    }

    /// Gives it a line.
    pub fn command(&self, line: &str) -> io::Result<()> {
        let mut stdin = self.stdin.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(stdin, "{line}")?;
        stdin.flush()
    }

    /// Stops the whole server where it stands (SIGSTOP): its sockets stay open and go silent.
    pub fn freeze(&self) -> io::Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets a frozen server go on.
    pub fn thaw(&self) -> io::Result<()> {
        self.signal(Signal::CONT)
    }

    /// Kills the server (SIGKILL); it has no chance to say goodbye.
    pub fn kill(mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop)
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| io::Error::other("the server has no process id"))?;
        Ok(rustix::process::kill_process(pid, signal)?)
    }
}

impl Drop for WhepServer {
    fn drop(&mut self) {
        // Both fail only if the process is gone already, which is what is wanted.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}
