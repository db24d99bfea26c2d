//! A helper program that is told what to do on its standard input, and answers each command with a line.

use std::io::Write;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::mpsc::Receiver;
use std::time::Duration;

use crate::error::Error;
use crate::exec::{Running, create, read_lines, read_lossy, tail};
use crate::paths;

/// Python and GStreamer's registry are slow on a machine that does much else.
const ANSWER: Duration = Duration::from_mins(1);

/// A running helper. It ends when its input closes; dropping it ends it in any case.
#[derive(Debug)]
pub(crate) struct Console {
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    running: Running,
    log: std::path::PathBuf,
}

impl Console {
    /// Starts a program and waits for its first line, which says that it is ready.
    pub(crate) fn start(name: &str, log: &str, command: &mut Command) -> Result<Self, Error> {
        let log = paths::artifacts().join(log);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(create(&log)?);
        let mut running = Running::spawn(name, command)?;
        let child = running.child_mut();
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let output = output.ok_or_else(|| Error::Unexpected {
            what: name.to_owned(),
            why: "no output".to_owned(),
        })?;
        let console = Self {
            input,
            lines: read_lines(output),
            running,
            log,
        };
        console.answer()?;
        Ok(console)
    }

    fn answer(&self) -> Result<String, Error> {
        self.lines.recv_timeout(ANSWER).map_err(|_| {
            let log = read_lossy(&self.log).unwrap_or_default();
            Error::Failed {
                what: self.running.name().to_owned(),
                how: "it does not answer".to_owned(),
                tail: tail(&log, 20),
            }
        })
    }

    /// Has it do something.
    pub(crate) fn tell(&mut self, command: &str) -> Result<(), Error> {
        let name = self.running.name().to_owned();
        if let Some(input) = &mut self.input {
            writeln!(input, "{command}").map_err(Error::io(format!("cannot tell {name}")))?;
        }
        match self.answer()?.as_str() {
            "ok" => Ok(()),
            other => Err(Error::Unexpected {
                what: format!("{name}, told `{command}`,"),
                why: other.to_owned(),
            }),
        }
    }

    /// The program, for signals.
    pub(crate) fn running(&mut self) -> &mut Running {
        &mut self.running
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        // A program that stands still can't end.
        let _gone = self.running.signal(rustix::process::Signal::CONT);
        self.input = None;
    }
}
