//! Running programs: to their end with a log, or in the background behind a handle that stops them.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

use crate::error::Error;
use crate::signals;

/// How often waiting looks up for Ctrl-C and shows progress.
const TICK: Duration = Duration::from_millis(200);
/// How long a program that was asked to end gets before it is killed.
pub(crate) const GRACE: Duration = Duration::from_secs(10);
const TAIL_LINES: usize = 40;

/// A program in a process group of its own. Dropping it ends the whole group.
#[derive(Debug)]
pub(crate) struct Running {
    name: String,
    child: Child,
    status: Option<ExitStatus>,
}

impl Running {
    /// Starts `command`; `name` is for messages.
    pub(crate) fn spawn(name: impl Into<String>, command: &mut Command) -> Result<Self, Error> {
        let child = command
            .process_group(0)
            .spawn()
            .map_err(|source| spawn_error(command, source))?;
        Ok(Self {
            name: name.into(),
            child,
            status: None,
        })
    }

    /// What it was called at its start.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The pipes that the command asked for.
    pub(crate) fn child_mut(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Waits for its end, at most `timeout`.
    pub(crate) fn wait_timeout(&mut self, timeout: Duration) -> Result<Option<ExitStatus>, Error> {
        if self.status.is_none() {
            wait_for_exit(self.child.id(), timeout)
                .map_err(Error::io(format!("cannot wait for {}", self.name)))?;
            self.status = self
                .child
                .try_wait()
                .map_err(Error::io(format!("cannot wait for {}", self.name)))?;
        }
        Ok(self.status)
    }

    /// Sends a signal to its group, if it still runs.
    pub(crate) fn signal(&mut self, signal: Signal) -> Result<(), Error> {
        if self.wait_timeout(Duration::ZERO)?.is_none() {
            self.signal_group(signal);
        }
        Ok(())
    }

    /// Asks its group to end by `signal`, kills what is left after `grace`.
    pub(crate) fn stop(&mut self, signal: Signal, grace: Duration) -> Result<ExitStatus, Error> {
        if let Some(status) = self.wait_timeout(Duration::ZERO)? {
            return Ok(status);
        }
        self.signal_group(signal);
        if let Some(status) = self.wait_timeout(grace)? {
            return Ok(status);
        }
        self.signal_group(Signal::KILL);
        let status = self
            .child
            .wait()
            .map_err(Error::io(format!("cannot wait for {}", self.name)))?;
        self.status = Some(status);
        Ok(status)
    }

    /// The child is not reaped yet, so its id can't have been reused.
    fn signal_group(&self, signal: Signal) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process_group(pid, signal);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.stop(Signal::TERM, GRACE);
    }
}

fn wait_for_exit(pid: u32, timeout: Duration) -> io::Result<()> {
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
    let timeout = Timespec::try_from(timeout).map_err(io::Error::other)?;
    match poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&timeout)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn spawn_error(command: &Command, source: io::Error) -> Error {
    Error::Spawn {
        program: command.get_program().to_string_lossy().into_owned(),
        source,
    }
}

/// How a logged program ended.
#[derive(Debug)]
pub(crate) struct Finished {
    /// Its exit status.
    pub(crate) status: ExitStatus,
    /// All it printed, standard output and error as they came.
    pub(crate) log: PathBuf,
    /// It was stopped because it took longer than its limit.
    pub(crate) timed_out: bool,
}

impl Finished {
    /// Whether it did its work.
    pub(crate) fn ok(&self) -> bool {
        self.status.success() && !self.timed_out
    }

    /// Fails unless it did its work, with the end of its output.
    pub(crate) fn require(&self, what: &str) -> Result<(), Error> {
        if self.ok() {
            return Ok(());
        }
        let how = if self.timed_out {
            "it took too long".to_owned()
        } else {
            describe(self.status)
        };
        Err(Error::Failed {
            what: what.to_owned(),
            how,
            tail: tail(&for_people(&read_lossy(&self.log)?), TAIL_LINES),
        })
    }
}

/// Runs a program to its end with all its output in `log`. `on_line` sees each line, `on_tick` the newest one about
/// five times a second.
pub(crate) fn run_logged(
    name: &str,
    command: &mut Command,
    log: &Path,
    limit: Duration,
    mut on_line: impl FnMut(&str),
    mut on_tick: impl FnMut(&str),
) -> Result<Finished, Error> {
    let mut file = create(log)?;
    let (reader, writer) = io::pipe().map_err(Error::io("cannot make a pipe"))?;
    let second = writer
        .try_clone()
        .map_err(Error::io("cannot copy a pipe"))?;
    command.stdin(Stdio::null()).stdout(writer).stderr(second);
    let mut running = Running::spawn(name, command)?;
    // The command holds copies of the pipe's writing end: the end of the output shows only once they are gone.
    command.stdout(Stdio::null()).stderr(Stdio::null());

    let (lines, started, mut last) = (read_lines(reader), Instant::now(), String::new());
    loop {
        match lines.recv_timeout(TICK) {
            Ok(line) => {
                writeln!(file, "{line}").map_err(Error::path("write", log))?;
                on_line(&line);
                last = line;
            }
            Err(RecvTimeoutError::Disconnected) => break,
            // Something it started may still hold the pipe; the program's own end is what counts.
            Err(RecvTimeoutError::Timeout) if running.wait_timeout(Duration::ZERO)?.is_some() => {
                break;
            }
            Err(RecvTimeoutError::Timeout) => on_tick(&last),
        }
        signals::check()?;
        if started.elapsed() > limit {
            let status = running.stop(Signal::TERM, GRACE)?;
            return Ok(Finished {
                status,
                log: log.to_owned(),
                timed_out: true,
            });
        }
    }
    let left = limit.saturating_sub(started.elapsed());
    let ended = running.wait_timeout(left)?;
    let status = ended.map_or_else(|| running.stop(Signal::TERM, GRACE), Ok)?;
    Ok(Finished {
        status,
        log: log.to_owned(),
        timed_out: ended.is_none(),
    })
}

/// The lines of `source` as they come; the channel closes at its end.
pub(crate) fn read_lines(source: impl io::Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut reader = BufReader::new(source);
        let mut line = Vec::new();
        while reader
            .read_until(b'\n', &mut line)
            .is_ok_and(|read| read > 0)
        {
            let text = String::from_utf8_lossy(&line)
                .trim_end_matches(['\n', '\r'])
                .to_owned();
            if sender.send(text).is_err() {
                return;
            }
            line.clear();
        }
    });
    receiver
}

/// Runs a short program and answers its standard output; fails with its standard error.
pub(crate) fn capture(what: &str, command: &mut Command) -> Result<String, Error> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|source| spawn_error(command, source))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let tail = tail(&String::from_utf8_lossy(&output.stderr), TAIL_LINES);
    Err(Error::Failed {
        what: what.to_owned(),
        how: describe(output.status),
        tail,
    })
}

/// Whether a program runs and succeeds, its output thrown away.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    let quiet = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// Exit code or signal in words.
pub(crate) fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "unknown status".to_owned(),
    }
}

/// The last `lines` lines of `text`.
pub(crate) fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

/// Without the lines that cargo prints for programs.
fn for_people(log: &str) -> String {
    let mut text = String::new();
    for line in log
        .lines()
        .filter(|line| !line.starts_with(r#"{"reason":"#))
    {
        text.push_str(line);
        text.push('\n');
    }
    text
}

/// A whole file as text, whatever bytes a program printed.
pub(crate) fn read_lossy(path: &Path) -> Result<String, Error> {
    fs::read(path)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .map_err(Error::path("read", path))
}

/// Makes a file and the folders above it.
pub(crate) fn create(path: &Path) -> Result<File, Error> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(Error::path("create", parent))?;
    }
    File::create(path).map_err(Error::path("create", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_logged_run_keeps_output_and_status() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("sub/log");
        let mut seen = Vec::new();
        let minute = Duration::from_mins(1);
        let mut command = shell("echo out; echo err >&2; exit 3");
        let done = run_logged(
            "t",
            &mut command,
            &log,
            minute,
            |line| seen.push(line.to_owned()),
            |_| (),
        )
        .unwrap();
        assert_eq!((done.status.code(), done.timed_out), (Some(3), false));
        assert_eq!(seen, ["out", "err"]);
        assert_eq!(fs::read_to_string(log).unwrap(), "out\nerr\n");
        assert!(
            done.require("the run")
                .unwrap_err()
                .to_string()
                .contains("exit code 3")
        );
    }

    #[test]
    fn a_run_over_its_limit_is_ended() {
        let folder = tempfile::tempdir().unwrap();
        let limit = Duration::from_millis(50);
        let log = folder.path().join("log");
        let done = run_logged("t", &mut shell("sleep 600"), &log, limit, |_| (), |_| ()).unwrap();
        assert!(done.timed_out && !done.ok());
    }

    #[test]
    fn a_left_over_grandchild_does_not_hold_a_run_up() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let mut script = shell("sleep 30 & echo done");
        let started = Instant::now();
        let done = run_logged(
            "t",
            &mut script,
            &log,
            Duration::from_mins(1),
            |_| (),
            |_| (),
        )
        .unwrap();
        assert!(done.ok() && started.elapsed() < Duration::from_secs(25));
    }

    #[test]
    fn dropping_a_handle_ends_the_whole_group() {
        let mut command = shell("sleep 600 & echo $!; wait");
        let mut running = Running::spawn("t", command.stdout(Stdio::piped())).unwrap();
        let lines = read_lines(running.child_mut().stdout.take().unwrap());
        let grandchild = lines.recv().unwrap();
        drop(running);
        // The grandchild held the pipe too: its end closes the channel.
        assert!(
            lines
                .recv_timeout(Duration::from_secs(30))
                .is_err_and(|e| e == RecvTimeoutError::Disconnected)
        );
        assert!(!grandchild.is_empty());
    }

    #[test]
    fn tails_are_short() {
        assert_eq!(tail("a\nb\nc", 2), "b\nc");
        assert_eq!(tail("a", 2), "a");
        assert_eq!(tail("", 2), "");
    }
}
