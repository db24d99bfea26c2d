//! What is said at the end of `test`.

use std::time::Duration;

use crate::test::digest::digest;
use crate::test::tally::Tally;
use crate::ui::seconds;

#[derive(Debug)]
struct Line {
    name: String,
    outcome: String,
    took: Option<Duration>,
}

/// All steps of a run with their counts.
#[derive(Debug, Default)]
pub(crate) struct Report {
    lines: Vec<Line>,
    skipped: Vec<String>,
    failed: Vec<String>,
    sum: Tally,
}

impl Report {
    /// A step that ran.
    pub(crate) fn ran(&mut self, name: &str, tally: Tally, took: Duration) {
        let Tally {
            passed,
            failed,
            skipped,
        } = tally;
        let outcome = format!("{passed} passed, {failed} failed, {skipped} skipped");
        self.lines.push(Line {
            name: name.to_owned(),
            outcome,
            took: Some(took),
        });
        self.sum += tally;
    }

    /// Tests that skipped themselves, one line each; they are in the step's counts already.
    pub(crate) fn note_skips<'a>(&mut self, lines: impl IntoIterator<Item = &'a str>) {
        self.skipped.extend(lines.into_iter().map(str::to_owned));
    }

    /// What a failed step's log says, said again at the end, where it is found in a long output or in its last lines.
    pub(crate) fn note_failure(&mut self, name: &str, log: &str) {
        let lines = digest(log).into_iter();
        self.failed
            .extend(lines.map(|line| format!("{name}: {line}")));
    }

    /// A step that was left out.
    pub(crate) fn left_out(&mut self, name: &str, why: &str) {
        self.lines.push(Line {
            name: name.to_owned(),
            outcome: format!("skipped: {why}"),
            took: None,
        });
        self.skipped.push(format!("{name}: {why}"));
        self.sum.skipped += 1;
    }

    /// A step that could not run to its end.
    pub(crate) fn failed(&mut self, name: &str, why: &str) {
        self.lines.push(Line {
            name: name.to_owned(),
            outcome: format!("failed: {why}"),
            took: None,
        });
        self.failed.push(format!("{name}: {why}"));
        self.sum.failed += 1;
    }

    /// Whether nothing failed.
    pub(crate) fn ok(&self) -> bool {
        self.sum.failed == 0
    }

    /// To standard output; the counts are its last line, alone.
    pub(crate) fn print(&self) {
        println!("\n{self}");
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let width = self
            .lines
            .iter()
            .map(|line| line.name.len())
            .max()
            .unwrap_or(0);
        for line in &self.lines {
            let took = line
                .took
                .map_or(String::new(), |took| format!(" ({})", seconds(took)));
            writeln!(f, "{:width$}  {}{took}", line.name, line.outcome)?;
        }
        for line in &self.skipped {
            writeln!(f, "skipped: {}", line.trim_start_matches("skipped: "))?;
        }
        for line in &self.failed {
            writeln!(f, "failed: {line}")?;
        }
        let Tally {
            passed,
            failed,
            skipped,
        } = self.sum;
        write!(f, "{passed} passed, {failed} failed, {skipped} skipped")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_is_the_plain_sum() {
        let mut report = Report::default();
        report.ran("lints", Tally::one(true), Duration::from_secs(61));
        report.ran(
            "tests",
            Tally {
                passed: 4,
                failed: 0,
                skipped: 1,
            },
            Duration::from_secs(2),
        );
        report.note_skips(["skipped: v4l2: no /dev/video0"]);
        report.left_out("lab", "--no-lab was given");
        let text = report.to_string();
        assert_eq!(text.lines().last(), Some("5 passed, 0 failed, 2 skipped"));
        assert!(
            text.contains("lints  1 passed, 0 failed, 0 skipped (1 min 01 s)\n"),
            "{text}"
        );
        assert!(
            text.contains("skipped: v4l2: no /dev/video0\nskipped: lab: --no-lab was given\n"),
            "{text}"
        );
        assert!(report.ok());
    }

    #[test]
    fn a_failure_shows() {
        let mut report = Report::default();
        report.failed("the run itself", "no disk");
        assert!(!report.ok());
        report.left_out("lab", "--no-lab was given");
        report.ran("tests", Tally::one(false), Duration::from_secs(2));
        report.note_failure("tests", "test a ... ok\ntest b ... FAILED\n");
        assert!(report.to_string().ends_with(
            "failed: the run itself: no disk\nfailed: tests: test b ... FAILED\n0 passed, 2 failed, 1 skipped"
        ));
    }
}
