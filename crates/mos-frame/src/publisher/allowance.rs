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
}
