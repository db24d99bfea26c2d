//! A bound for what a peer may ask of the control thread.

use std::time::{Duration, Instant};

/// So many at once, and one more every so often. Has no clock of its own.
#[derive(Debug)]
pub(super) struct Allowance {
    most: u32,
    every: Duration,
    left: u32,
    since: Instant,
}

impl Allowance {
    pub(super) const fn new(most: u32, every: Duration, now: Instant) -> Self {
        Self {
            most,
            every,
            left: most,
            since: now,
        }
    }

    /// Takes one; false if none is left.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let elapsed = now.saturating_duration_since(self.since);
        let due = elapsed.as_nanos() / self.every.as_nanos().max(1);
        match u32::try_from(due) {
            Ok(due) if due < self.most - self.left => {
                self.left += due;
                self.since += self.every * due;
            }
            _ => {
                self.left = self.most;
                self.since = now;
            }
        }
        self.left = match self.left.checked_sub(1) {
            Some(left) => left,
            None => return false,
        };
        true
    }
}

/// How many lines about its peers a stream's log gets: a peer can come back as often as it likes.
#[derive(Debug)]
pub(super) struct Lines {
    allowance: Allowance,
    left_out: u64,
}

impl Lines {
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            allowance: Allowance::new(64, Duration::from_secs(1), now),
            left_out: 0,
        }
    }

    /// Whether the log gets a line now; if so, how many it did not get since the last.
    pub(super) fn next(&mut self, now: Instant) -> Option<u64> {
        if self.allowance.take(now) {
            return Some(std::mem::take(&mut self.left_out));
        }
        self.left_out += 1;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_bounded_and_time_gives_more() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut allowance = Allowance::new(3, second, start);
        let mut taken = |at: Duration| (0..10).filter(|_| allowance.take(start + at)).count();
        assert_eq!(taken(Duration::ZERO), 3);
        assert_eq!(taken(second / 2), 0);
        assert_eq!(taken(second), 1);
        // What was left over of a second counts for the next.
        assert_eq!(taken(second * 5 / 2), 1);
        assert_eq!(taken(second * 3), 1);
        assert_eq!(taken(second * 1000), 3);
    }

    #[test]
    fn what_a_log_did_not_get_is_counted_with_the_next_line() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut lines = Lines::new(start);
        let burst: Vec<_> = (0..100).map(|_| lines.next(start)).collect();
        assert!(burst[..64].iter().all(|line| *line == Some(0)));
        assert!(burst[64..].iter().all(Option::is_none));
        assert_eq!(lines.next(start + second), Some(36));
        assert_eq!(lines.next(start + second), None);
    }
}
