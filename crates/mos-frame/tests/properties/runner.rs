//! Runs each scenario in a process of its own and says what it said if it failed.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use libtest_mimic::{Arguments, Failed, Trial};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

/// Names the one scenario that this process is to run.
const SCENARIO: &str = "MOS_FRAME_SCENARIO";
/// Only a hang reaches it.
const DEADLINE: Duration = Duration::from_secs(150);

/// All scenarios, by name.
#[derive(Default)]
pub(crate) struct Properties(Vec<(String, fn())>);

impl Properties {
    /// Adds scenarios of one property: `p07::name`.
    pub(crate) fn add(&mut self, property: &str, scenarios: &[(&str, fn())]) {
        let named = scenarios
            .iter()
            .map(|(name, scenario)| (format!("{property}::{name}"), *scenario));
        self.0.extend(named);
    }

    pub(crate) fn run(self) -> ExitCode {
        if let Ok(name) = std::env::var(SCENARIO) {
            let found = self.0.iter().find(|(known, _)| *known == name);
            found.expect("the name of a scenario").1();
            return ExitCode::SUCCESS;
        }
        let trial = |(name, _): (String, fn())| {
            let scenario = name.clone();
            Trial::test(name, move || run_apart(&scenario))
        };
        let trials = self.0.into_iter().map(trial).collect();
        libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
    }
}

/// Runs a scenario in a process group of its own, which ends with it.
fn run_apart(name: &str) -> Result<(), Failed> {
    let mut said = tempfile::tempfile()?;
    let mut child = Command::new(std::env::current_exe()?)
        .env(SCENARIO, name)
        .stdin(Stdio::null())
        .stdout(said.try_clone()?)
        .stderr(said.try_clone()?)
        .process_group(0)
        .spawn()?;
    let group = Pid::from_child(&child);
    let in_time = ends_in_time(&child);
    if !matches!(in_time, Ok(true)) {
        child.kill()?;
    }
    let status = child.wait()?;
    // Whom the scenario left behind, stopped ones among them. There is nobody if it ended well.
    let _ = kill_process_group(group, Signal::KILL);
    let text = read_all(&mut said)?;
    if !in_time? {
        return Err(format!("it did not end within {DEADLINE:?}; it said:\n{text}").into());
    }
    if status.success() {
        for line in text.lines().filter(|line| line.starts_with("skipped:")) {
            writeln!(std::io::stderr(), "{line}")?;
        }
        return Ok(());
    }
    Err(format!("{status}; it said:\n{text}").into())
}

fn ends_in_time(child: &Child) -> std::io::Result<bool> {
    let process = pidfd_open(Pid::from_child(child), PidfdFlags::empty())?;
    let deadline = Timespec::try_from(DEADLINE).map_err(std::io::Error::other)?;
    let ended = poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&deadline))?;
    Ok(ended > 0)
}

fn read_all(file: &mut File) -> std::io::Result<String> {
    let mut text = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}
