//! Runs steps one after the other: short while they pass, with their whole output when they fail.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::error::Error;
use crate::exec::{describe, read_lossy, run_logged};
use crate::paths;
use crate::test::report::Report;
use crate::test::tally::Tally;
use crate::ui::{Step, say};

/// A step that takes longer hangs.
const LIMIT: Duration = Duration::from_mins(30);

/// Runs the steps of one report.
#[derive(Debug)]
pub(crate) struct Runner<'a> {
    report: &'a mut Report,
    step: u32,
    steps: u32,
}

impl<'a> Runner<'a> {
    /// `steps` is how many are planned, for the progress.
    pub(crate) fn new(report: &'a mut Report, steps: u32) -> Self {
        Self {
            report,
            step: 0,
            steps,
        }
    }

    fn begin(&mut self, name: &str) -> (Step, PathBuf) {
        self.step += 1;
        let log = format!("test/{:02}-{}.log", self.step, name.replace(' ', "-"));
        (
            Step::begin(format!("[{}/{}] {name}", self.step, self.steps)),
            paths::artifacts().join(log),
        )
    }

    /// A program that has to succeed; counts as one. Answers whether it did.
    pub(crate) fn check(&mut self, name: &str, command: &mut Command) -> Result<bool, Error> {
        let (mut step, log) = self.begin(name);
        let done = run_logged(name, command, &log, LIMIT, |_| (), |line| step.tick(line))?;
        let ok = done.ok();
        let took = step.end(if ok { "ok" } else { "FAILED" });
        if !ok {
            self.show(name, &log)?;
        }
        self.report.ran(name, Tally::one(ok), took);
        Ok(ok)
    }

    /// Test programs, counted by their closing lines. `skips` is where tests note that they skipped themselves.
    pub(crate) fn tests(
        &mut self,
        name: &str,
        command: &mut Command,
        skips: &Path,
    ) -> Result<(), Error> {
        let (mut step, log) = self.begin(name);
        let mut tally = Tally::default();
        let mut ignored = Vec::new();
        let count = |line: &str| {
            tally += Tally::of_line(line).unwrap_or_default();
            ignored.extend(Tally::ignored(line));
        };
        let done = run_logged(name, command, &log, LIMIT, count, |line| step.tick(line))?;
        let noted = read_lossy(skips)?;
        tally.skipped_themselves(noted.lines().count().try_into().unwrap_or(u32::MAX));
        if !done.ok() && tally.failed == 0 {
            say(format!(
                "    ended by {} without a failed test",
                describe(done.status)
            ));
            tally.failed = 1;
        }
        let took = step.end(&format!(
            "{} passed, {} failed, {} skipped",
            tally.passed, tally.failed, tally.skipped
        ));
        if tally.failed > 0 {
            self.show(name, &log)?;
        }
        self.report.ran(name, tally, took);
        self.report.note_skips(noted.lines());
        self.report.note_skips(ignored.iter().map(String::as_str));
        Ok(())
    }

    /// Work that counts for itself; it gets the path of its log and a way to show progress.
    pub(crate) fn work(
        &mut self,
        name: &str,
        work: impl FnOnce(&Path, &mut dyn FnMut(&str)) -> Result<Tally, Error>,
    ) -> Result<(), Error> {
        let (mut step, log) = self.begin(name);
        let outcome = work(&log, &mut |line| step.tick(line));
        let ok = outcome.as_ref().is_ok_and(|tally| tally.failed == 0);
        let took = step.end(if ok { "ok" } else { "FAILED" });
        match outcome {
            Err(Error::Interrupted) => return Err(Error::Interrupted),
            Err(error) => self.report.failed(name, &error.to_string()),
            Ok(tally) => self.report.ran(name, tally, took),
        }
        if ok || !log.exists() {
            Ok(())
        } else {
            self.show(name, &log)
        }
    }

    /// The whole output of a failed step.
    fn show(&mut self, name: &str, log: &Path) -> Result<(), Error> {
        let log = read_lossy(log)?;
        for line in log.lines() {
            say(format!("    {line}"));
        }
        self.report.note_failure(name, &log);
        Ok(())
    }

    /// A step that is left out, with why.
    pub(crate) fn skip(&mut self, name: &str, why: &str) {
        say(format!("skipped: {name}: {why}"));
        self.report.left_out(name, why);
    }
}
