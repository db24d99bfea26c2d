//! The book of refused mappings: how many, the last one, and when to write a line about them.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Shortest time between two lines about refusals.
const QUIET: Duration = Duration::from_secs(1);

/// An attempt to reach a frame's pixels with the CPU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attempt {
    /// Name of the thread, which GStreamer calls after the pad that drives it; empty if the kernel has none.
    pub(crate) thread: String,
    pub(crate) access: Access,
}

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Map { read: bool, write: bool },
    Copy,
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let thread = match self.thread.as_str() {
            "" => "(a thread without a name)",
            name => name,
        };
        let access = match self.access {
            Access::Map {
                read: true,
                write: true,
            } => "read+write",
            Access::Map { write: true, .. } => "write",
            Access::Map { .. } => "read",
            Access::Copy => "copy",
        };
        write!(f, "{thread}: {access}")
    }
}

/// Counts refusals; shared by a gate and the frames that it sealed, whose users may outlive it.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    count: AtomicU64,
    last: Mutex<Last>,
}

#[derive(Debug, Default)]
struct Last {
    attempt: Option<Attempt>,
    written: Option<Instant>,
    unwritten: u64,
}

impl Refusals {
    /// Refused attempts so far.
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// The last attempt.
    pub(crate) fn last(&self) -> Option<Attempt> {
        self.lock().attempt.clone()
    }

    /// Takes note of an attempt; gives the number of attempts that a line is due for, if one is.
    pub(crate) fn record(&self, attempt: Attempt, now: Instant) -> Option<u64> {
        self.count.fetch_add(1, Ordering::Relaxed);
        let mut last = self.lock();
        last.attempt = Some(attempt);
        last.unwritten += 1;
        let due = last
            .written
            .is_none_or(|written| now.saturating_duration_since(written) >= QUIET);
        due.then(|| {
            last.written = Some(now);
            std::mem::take(&mut last.unwritten)
        })
    }

    fn lock(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(access: Access) -> Attempt {
        Attempt {
            thread: "queue0:src".to_owned(),
            access,
        }
    }

    #[test]
    fn a_line_a_second_says_how_many_there_were() {
        let refusals = Refusals::default();
        let start = Instant::now();
        let cases = [
            (0, Some(1)),
            (1, None),
            (999, None),
            (1000, Some(3)),
            (1500, None),
            (60_000, Some(2)),
        ];
        for (number, (ms, line)) in (1..).zip(cases) {
            let now = start + Duration::from_millis(ms);
            assert_eq!(refusals.record(attempt(Access::Copy), now), line, "{ms} ms");
            assert_eq!(refusals.count(), number);
        }
        assert_eq!(refusals.last(), Some(attempt(Access::Copy)));
    }

    #[test]
    fn attempts_in_words() {
        let map = |read, write| Access::Map { read, write };
        for (access, text) in [
            (map(true, false), "queue0:src: read"),
            (map(false, true), "queue0:src: write"),
            (map(true, true), "queue0:src: read+write"),
            (Access::Copy, "queue0:src: copy"),
        ] {
            assert_eq!(attempt(access).to_string(), text);
        }
        let nameless = Attempt {
            thread: String::new(),
            access: Access::Copy,
        };
        assert_eq!(nameless.to_string(), "(a thread without a name): copy");
    }
}
