//! What a stream does, from samples of its counters: frames per second, and what subscribers lost.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// How far back the rate looks.
pub(super) const WINDOW: Duration = Duration::from_secs(2);

/// Shortest time between two reports of one kind: of one subscriber's drops, of one kind of violation.
pub(super) const REPORT_EVERY: Duration = Duration::from_secs(1);

/// Frames per second over the last [`WINDOW`].
#[derive(Debug, Clone, Default)]
pub(super) struct Rate {
    /// (when, frames so far), oldest first; the oldest is the newest that is at least a window old.
    samples: VecDeque<(Duration, u64)>,
}

impl Rate {
    /// Takes in the counter as it was at `now`. A counter that went back (another session) starts anew.
    pub(super) fn sample(&mut self, now: Duration, count: u64) {
        if self.samples.back().is_some_and(|&(_, last)| count < last) {
            self.samples.clear();
        }
        self.samples.push_back((now, count));
        while self
            .samples
            .get(1)
            .is_some_and(|&(at, _)| now.saturating_sub(at) >= WINDOW)
        {
            self.samples.pop_front();
        }
    }

    /// Frames per second between the oldest and the newest sample; 0 before there are two.
    pub(super) fn per_second(&self) -> f64 {
        let (Some(&(from, first)), Some(&(to, last))) = (self.samples.front(), self.samples.back())
        else {
            return 0.0;
        };
        let seconds = to.saturating_sub(from).as_secs_f64();
        if seconds > 0.0 {
            (last - first) as f64 / seconds
        } else {
            0.0
        }
    }
}

/// What one subscriber lost so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lost {
    /// The window moved on before the frame was claimed.
    pub recalled: u64,
    /// Not offered.
    pub skipped: u64,
}

/// Turns growing counters into reports of what was lost, at most one a second for each subscriber.
#[derive(Debug, Clone, Default)]
pub(super) struct DropReports {
    reported: BTreeMap<u64, (Duration, Lost)>,
}

impl DropReports {
    /// What each subscriber lost since its last report, for those whose report is due. Subscribers that left are forgotten.
    ///
    /// A subscriber that is met for the first time is measured from zero.
    pub(super) fn due(&mut self, now: Duration, subscribers: &[(u64, Lost)]) -> Vec<(u64, Lost)> {
        self.reported
            .retain(|id, _| subscribers.iter().any(|(present, _)| present == id));
        subscribers
            .iter()
            .filter_map(|&(id, lost)| self.report(now, id, lost))
            .collect()
    }

    fn report(&mut self, now: Duration, id: u64, lost: Lost) -> Option<(u64, Lost)> {
        let last = self.reported.get(&id).copied();
        if last.is_some_and(|(at, _)| now.saturating_sub(at) < REPORT_EVERY) {
            return None;
        }
        let (_, before) = last.unwrap_or_default();
        let since = Lost {
            recalled: lost.recalled.saturating_sub(before.recalled),
            skipped: lost.skipped.saturating_sub(before.skipped),
        };
        if since == Lost::default() {
            return None;
        }
        self.reported.insert(id, (now, lost));
        Some((id, since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn the_rate_is_over_the_last_two_seconds() {
        let mut rate = Rate::default();
        assert!(rate.per_second() <= 0.0);
        for tick in 0..=10u64 {
            rate.sample(ms(tick * 500), tick * 15);
        }
        assert!((rate.per_second() - 30.0).abs() < 1e-9);
        // The stream stops: within two seconds the rate is 0.
        for tick in 11..=14u64 {
            rate.sample(ms(tick * 500), 150);
        }
        assert!(rate.per_second() <= 0.0);
    }

    #[test]
    fn a_counter_that_starts_anew_gives_no_nonsense() {
        let mut rate = Rate::default();
        rate.sample(ms(0), 1000);
        rate.sample(ms(500), 5);
        assert!(rate.per_second() <= 0.0);
        rate.sample(ms(1000), 20);
        assert!((rate.per_second() - 30.0).abs() < 1e-9);
    }

    #[test]
    fn drops_are_summed_up_to_one_report_a_second() {
        let lost = |recalled, skipped| Lost { recalled, skipped };
        let mut reports = DropReports::default();
        // (when, counters of subscriber 7, what is reported)
        let table = [
            (0, lost(0, 0), None),
            (100, lost(3, 0), Some(lost(3, 0))),
            (600, lost(9, 1), None),
            (1099, lost(10, 1), None),
            (1100, lost(11, 1), Some(lost(8, 1))),
            (2200, lost(11, 1), None),
            (2300, lost(12, 1), Some(lost(1, 0))),
        ];
        for (at, counters, expected) in table {
            let due = reports.due(ms(at), &[(7, counters)]);
            assert_eq!(
                due,
                expected.map(|l| (7, l)).into_iter().collect::<Vec<_>>(),
                "at {at} ms"
            );
        }
    }

    #[test]
    fn subscribers_are_reported_apart_and_forgotten_when_they_leave() {
        let lost = |recalled| Lost {
            recalled,
            skipped: 0,
        };
        let mut reports = DropReports::default();
        assert_eq!(
            reports.due(ms(0), &[(1, lost(4)), (2, lost(0))]),
            [(1, lost(4))]
        );
        assert_eq!(
            reports.due(ms(10), &[(1, lost(5)), (2, lost(6))]),
            [(2, lost(6))]
        );
        assert_eq!(reports.due(ms(2000), &[]), []);
        assert!(reports.reported.is_empty());
    }
}
