//! What a failed step's log says about why, short enough for the end of a report.

/// Lines of one step.
const STEP: usize = 40;
/// Lines that follow a test's panic: the message, which may have several.
const MESSAGE: usize = 6;
/// Of a log in which nothing is found that says why.
const TAIL: usize = 20;

/// The names of failed tests with their panics, and what tools call an error; else the log's end.
pub(crate) fn digest(log: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut message = 0;
    for line in log.lines() {
        if speaks(line) {
            found.push(line);
            message = if line.contains("panicked at ") {
                MESSAGE
            } else {
                0
            };
        } else if ends_message(line) {
            message = 0;
        } else if message > 0 {
            found.push(line);
            message -= 1;
        }
    }
    if found.is_empty() {
        found = log.lines().collect();
        return found.split_off(found.len().saturating_sub(TAIL));
    }
    found.truncate(STEP);
    found
}

/// Whether a line says by itself that something failed.
fn speaks(line: &str) -> bool {
    (line.starts_with("test ") && line.ends_with("... FAILED"))
        || line.contains("panicked at ")
        || line.starts_with("error")
        || failed_in_lab(line)
}

/// A line of the lab's, of a script that failed: `== NAME: 1 passed, 2 failed (status 1)`.
fn failed_in_lab(line: &str) -> bool {
    line.starts_with("== ") && line.contains(" failed (") && !line.contains(" 0 failed (")
}

/// Whether the message of a panic is over.
fn ends_message(line: &str) -> bool {
    line.is_empty() || line.starts_with("note: ") || line.starts_with("stack backtrace:")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_is_named_with_its_panic() {
        let log = "test a ... ok\ntest b ... FAILED\n\n---- b stdout ----\nmuch\nthread 'b' panicked at src/b.rs:7:5:\nleft: 1\nright: 2\nnote: run with\nmore\n\n\
                   == unixfd: 2 passed, 0 failed (status 0)\n== libcamera: 1 passed, 1 failed (status 101)\nerror: test failed, to rerun pass\n";
        assert_eq!(
            digest(log),
            [
                "test b ... FAILED",
                "thread 'b' panicked at src/b.rs:7:5:",
                "left: 1",
                "right: 2",
                "== libcamera: 1 passed, 1 failed (status 101)",
                "error: test failed, to rerun pass",
            ]
        );
    }

    #[test]
    fn a_log_that_says_nothing_shows_its_end() {
        let log: Vec<_> = (0..99).map(|n| n.to_string()).collect();
        let log = log.join("\n");
        assert_eq!(digest(&log).first(), Some(&"79"));
        assert_eq!(digest(&log).len(), TAIL);
        assert!(digest("").is_empty());
    }

    #[test]
    fn many_failures_are_cut() {
        let log = "test x ... FAILED\n".repeat(300);
        assert_eq!(digest(&log).len(), STEP);
    }
}
