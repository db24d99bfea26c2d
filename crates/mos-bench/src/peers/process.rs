//! A peer process seen from the benchmark. It is ended when its handle is dropped.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::MetadataExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use super::console::{Answer, Tally, order};
use crate::contender::Error;

/// For answers that need no work; a machine that is busy may take its time.
const PATIENCE: Duration = Duration::from_secs(20);
/// A pipeline that is stuck does not end by itself: that is what is measured.
const GRACE: Duration = Duration::from_secs(3);

/// One process.
#[derive(Debug)]
pub(super) struct Peer {
    name: String,
    child: Child,
    orders: Option<ChildStdin>,
    answers: Receiver<String>,
}

/// Memory and descriptors of a process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Held {
    /// Its own pages, and those of the memory files that it keeps open or mapped.
    pub(super) kib: u64,
    pub(super) fds: u64,
}

impl Peer {
    /// Starts it; `name` is for messages.
    pub(super) fn start(name: &str, command: &mut Command) -> Result<Self, Error> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|why| {
                format!(
                    "cannot start {name} ({}): {why}",
                    command.get_program().display()
                )
            })?;
        let (sender, answers) = channel();
        if let Some(output) = child.stdout.take() {
            thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    if sender.send(line).is_err() {
                        break;
                    }
                }
            });
        }
        Ok(Self {
            name: name.to_owned(),
            orders: child.stdin.take(),
            child,
            answers,
        })
    }

    /// Waits for its first frame.
    pub(super) fn wait_ready(&mut self) -> Result<(), Error> {
        match self.answer("its first frame")? {
            Answer::Ready => Ok(()),
            other => Err(format!("{} answered {other:?} before its first frame", self.name).into()),
        }
    }

    /// Its stretch begins.
    pub(super) fn begin(&mut self) -> Result<(), Error> {
        self.order(order::BEGIN)
    }

    /// What it saw in its stretch.
    pub(super) fn tally(&mut self) -> Result<Tally, Error> {
        self.order(order::TELL)?;
        match self.answer("its figures")? {
            Answer::Tally(tally) => Ok(tally),
            other => Err(format!("{} answered {other:?} instead of its figures", self.name).into()),
        }
    }

    /// The same where it may have failed meanwhile (its source was stalled or cut it off): then nothing.
    pub(super) fn tally_if_alive(&mut self) -> Option<Tally> {
        self.order(order::TELL).ok()?;
        loop {
            match self.answer("its figures") {
                Ok(Answer::Tally(tally)) => return Some(tally),
                Ok(_) => (),
                Err(_) => return None,
            }
        }
    }

    /// Sends it a signal. It is not reaped before this handle goes, so its id is its own.
    pub(super) fn signal(&self, signal: Signal) -> Result<(), Error> {
        Ok(kill_process(self.pid()?, signal)?)
    }

    /// Its process id.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Memory and descriptors now.
    pub(super) fn held(&self) -> Result<Held, Error> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id()))?;
        let (mut fds, mut files_kib) = (0, 0);
        for entry in fs::read_dir(format!("/proc/{}/fd", self.id()))? {
            let path = entry?.path();
            fds += 1;
            let is_memory = fs::read_link(&path).is_ok_and(|target| {
                let target = target.to_string_lossy();
                target.starts_with("/memfd:") || target.starts_with("/dev/shm/")
            });
            if is_memory {
                // Blocks are 512 bytes, whatever the file system (stat(2)). A descriptor may be gone by now.
                files_kib += fs::metadata(&path).map_or(0, |file| file.blocks() / 2);
            }
        }
        let kib = field(&status, "RssAnon")
            + field(&status, "RssFile")
            + field(&status, "RssShmem").max(files_kib);
        Ok(Held { kib, fds })
    }

    fn order(&mut self, order: &str) -> Result<(), Error> {
        let input = self.orders.as_mut().ok_or("its input is closed")?;
        writeln!(input, "{order}")
            .map_err(|why| format!("{} takes no orders any more: {why}", self.name).into())
    }

    fn answer(&mut self, what: &str) -> Result<Answer, Error> {
        let line = self
            .answers
            .recv_timeout(PATIENCE)
            .map_err(|why| match why {
                RecvTimeoutError::Timeout => {
                    format!("{} did not tell {what} within {PATIENCE:?}", self.name)
                }
                RecvTimeoutError::Disconnected => {
                    format!("{} ended before it told {what}", self.name)
                }
            })?;
        match serde_json::from_str(&line)? {
            Answer::Failed(why) => Err(format!("{}: {why}", self.name).into()),
            answer => Ok(answer),
        }
    }

    fn pid(&self) -> Result<Pid, Error> {
        Ok(Pid::from_raw(self.id().cast_signed()).ok_or("no process id")?)
    }

    fn ended_within(&self, time: Duration) -> bool {
        let wait = || -> Result<bool, Error> {
            let pidfd = pidfd_open(self.pid()?, PidfdFlags::empty())?;
            let mut polled = [PollFd::new(&pidfd, PollFlags::IN)];
            Ok(poll(&mut polled, Some(&Timespec::try_from(time)?))? > 0)
        };
        wait().unwrap_or(false)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // The end of its input asks it to end.
        self.orders = None;
        if !self.ended_within(GRACE) {
            // What cannot be killed has ended.
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

/// A figure of `/proc/<pid>/status`, KiB.
fn field(status: &str, name: &str) -> u64 {
    status
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Peer {
        Peer::start("test", Command::new("sh").args(["-c", script])).unwrap()
    }

    #[test]
    fn figures_of_a_status() {
        let status = "RssAnon:\t     120 kB\nRssFile:\t 7 kB\n";
        assert_eq!(
            (field(status, "RssAnon"), field(status, "RssFile")),
            (120, 7)
        );
        assert_eq!(field(status, "RssShmem"), 0);
    }

    #[test]
    fn a_process_follows_orders_and_its_failure_has_its_name() {
        let mut peer = shell(
            r#"echo '"ready"'; read a; read b; echo "{\"tally\":{\"cpu_ns\":5,\"times_ns\":[9],\"torn\":null}}"; read c; echo '{"failed":"why"}'; read d"#,
        );
        peer.wait_ready().unwrap();
        peer.begin().unwrap();
        assert_eq!(peer.tally().unwrap().times_ns, [9]);
        let why = peer.tally().unwrap_err().to_string();
        assert_eq!(why, "test: why");
        assert!(peer.held().unwrap().fds >= 3);
    }

    #[test]
    fn dropping_the_handle_ends_a_process_that_does_not_listen() {
        let peer = shell("exec sleep 600");
        let id = peer.id();
        drop(peer);
        assert!(!std::path::Path::new(&format!("/proc/{id}")).exists());
    }
}
