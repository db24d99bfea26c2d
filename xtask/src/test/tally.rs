//! Counting tests.

use std::ops::AddAssign;

/// How many tests went how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Held.
    pub(crate) passed: u32,
    /// Did not.
    pub(crate) failed: u32,
    /// Were not run, each with a reason that is listed.
    pub(crate) skipped: u32,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl Tally {
    /// One check that held or did not.
    pub(crate) fn one(passed: bool) -> Self {
        Self {
            passed: u32::from(passed),
            failed: u32::from(!passed),
            skipped: 0,
        }
    }

    /// The counts of a test program's closing line:
    /// `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s`.
    pub(crate) fn of_line(line: &str) -> Option<Self> {
        let (_verdict, counts) = line
            .trim()
            .strip_prefix("test result: ")?
            .split_once(". ")?;
        let count = |word: &str| {
            let part = counts
                .split(';')
                .find_map(|part| part.trim().strip_suffix(word))?;
            part.trim().parse().ok()
        };
        Some(Self {
            passed: count("passed")?,
            failed: count("failed")?,
            skipped: count("ignored")?,
        })
    }

    /// A test that its own program left out, with the reason: `test NAME ... ignored, REASON`.
    pub(crate) fn ignored(line: &str) -> Option<String> {
        let (name, reason) = line.strip_prefix("test ")?.split_once(" ... ignored")?;
        let reason = reason.strip_prefix(", ").unwrap_or("no reason given");
        Some(format!("{name}: {reason}"))
    }

    /// The counts of all closing lines in a log.
    pub(crate) fn of_log(log: &str) -> Self {
        let mut sum = Self::default();
        log.lines()
            .filter_map(Self::of_line)
            .for_each(|tally| sum += tally);
        sum
    }

    /// Moves tests that skipped themselves at run time (the runner took them for passed).
    pub(crate) fn skipped_themselves(&mut self, count: u32) {
        let moved = count.min(self.passed);
        self.passed -= moved;
        self.skipped += moved;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_are_read() {
        let line = |text| Tally::of_line(text);
        let tally = |passed, failed, skipped| {
            Some(Tally {
                passed,
                failed,
                skipped,
            })
        };
        let cases = [
            (
                "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 7 filtered out; finished in 0.00s",
                tally(3, 0, 1),
            ),
            (
                "test result: FAILED. 0 passed; 12 failed; 0 ignored; 0 measured; 0 filtered out; finished in 9s",
                tally(0, 12, 0),
            ),
            (
                "  test result: ok. 1 passed; 0 failed; 0 ignored",
                tally(1, 0, 0),
            ),
            ("test result: ok. many passed", None),
            ("test foo::result ... ok", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(line(text), expected, "{text}");
        }
    }

    #[test]
    fn ignored_tests_have_reasons() {
        let ignored = |line| Tally::ignored(line);
        assert_eq!(
            ignored("test a::b ... ignored, run by others").as_deref(),
            Some("a::b: run by others")
        );
        assert_eq!(
            ignored("test a ... ignored").as_deref(),
            Some("a: no reason given")
        );
        assert_eq!(ignored("test a ... ok"), None);
    }

    #[test]
    fn logs_add_up() {
        let log = "x\ntest result: ok. 1 passed; 0 failed; 2 ignored\ny\ntest result: FAILED. 4 passed; 8 failed; 0 ignored\n";
        assert_eq!(
            Tally::of_log(log),
            Tally {
                passed: 5,
                failed: 8,
                skipped: 2
            }
        );
    }

    #[test]
    fn tests_that_skip_themselves_did_not_pass() {
        let mut tally = Tally {
            passed: 2,
            failed: 0,
            skipped: 0,
        };
        tally.skipped_themselves(1);
        assert_eq!(
            tally,
            Tally {
                passed: 1,
                failed: 0,
                skipped: 1
            }
        );
        tally.skipped_themselves(9);
        assert_eq!(
            tally,
            Tally {
                passed: 0,
                failed: 0,
                skipped: 2
            }
        );
    }
}
