//! Processes of a run: this program again, in another role.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdin, Command, Stdio};

use rustix::process::{Pid, Signal};
use serde::de::DeserializeOwned;

use crate::contender::Error;

/// A process that prints one JSON line. Dropping it kills it.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    stdout: BufReader<std::process::ChildStdout>,
    /// Open as long as we want it to run, for roles that end with it.
    stdin: Option<ChildStdin>,
}

impl Process {
    /// Starts this program with `arguments`.
    pub(super) fn start(arguments: &[String]) -> Result<Self, Error> {
        Self::spawn(Command::new(std::env::current_exe()?).args(arguments))
    }

    /// Starts any program.
    pub(super) fn spawn(command: &mut Command) -> Result<Self, Error> {
        let program = command.get_program().to_string_lossy().into_owned();
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| format!("{program} can't be started: {e}"))?;
        let stdout = child.stdout.take().ok_or("no pipe to a process")?;
        let stdin = child.stdin.take();
        Ok(Self {
            child,
            stdout: BufReader::new(stdout),
            stdin,
        })
    }

    pub(super) fn signal(&self, signal: Signal) -> Result<(), Error> {
        Ok(rustix::process::kill_process(self.pid()?, signal)?)
    }

    /// Not reaped yet, so the number is its own.
    pub(super) fn pid(&self) -> Result<Pid, Error> {
        Ok(Pid::from_raw(self.child.id().cast_signed()).ok_or("no process id")?)
    }

    /// The next line that it prints.
    pub(super) fn line(&mut self) -> Result<String, Error> {
        let mut line = String::new();
        if self.stdout.read_line(&mut line)? == 0 {
            return Err(format!("a process ended early: {}", self.child.wait()?).into());
        }
        Ok(line)
    }

    /// Kills it and waits for its end.
    pub(super) fn kill(mut self) -> Result<(), Error> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Its report, which it prints when its stream has ended.
    pub(super) fn finish<T: DeserializeOwned>(mut self) -> Result<T, Error> {
        drop(self.stdin.take());
        let report = self.line()?;
        let status = self.child.wait()?;
        if !status.success() {
            return Err(format!("a process of the run failed: {status}").into());
        }
        Ok(serde_json::from_str(&report)?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // An error of either means that it has ended already.
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
