//! When to probe. No I/O and no clock here.

use std::time::Duration;

/// After the start and after a change of the interfaces: datagrams get lost, and a link that has just come up loses more.
const BURST: [Duration; 4] = [
    Duration::ZERO,
    Duration::from_millis(500),
    Duration::from_secs(2),
    Duration::from_secs(6),
];
/// From then on: cameras announce themselves, but a lost announcement is not repeated.
const SLOW: Duration = Duration::from_mins(1);
/// Who asks for the devices again and again does not flood the network.
const APART: Duration = Duration::from_secs(5);

/// What is due.
#[derive(Debug, Clone, Default)]
pub(in crate::onvif) struct Schedule {
    /// Times, the next one last.
    due: Vec<Duration>,
    last: Option<Duration>,
}

impl Schedule {
    /// Something has changed: cameras may be there that were not.
    pub(in crate::onvif) fn changed(&mut self, now: Duration) {
        self.due = BURST.iter().rev().map(|after| now + *after).collect();
    }

    /// Somebody wants to know.
    pub(in crate::onvif) fn asked(&mut self, now: Duration) {
        let next = self.last.map_or(now, |last| now.max(last + APART));
        if self.due.last().is_none_or(|due| *due > next) {
            self.due.push(next);
        }
    }

    /// When to look next.
    pub(in crate::onvif) fn next(&self) -> Option<Duration> {
        self.due.last().copied()
    }

    /// Whether a probe is due now; counts as sent then.
    pub(in crate::onvif) fn take(&mut self, now: Duration) -> bool {
        if self.next().is_none_or(|next| next > now) {
            return false;
        }
        self.due.retain(|due| *due > now);
        self.last = Some(now);
        if self.due.is_empty() {
            self.due.push(now + SLOW);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs until `end` and returns when probes were sent, in milliseconds; `C` and `A` are changes and questions.
    fn run(inputs: &[(u64, char)], end: u64) -> Vec<u64> {
        let mut schedule = Schedule::default();
        let mut sent = Vec::new();
        for ms in (0..=end).step_by(100) {
            let now = Duration::from_millis(ms);
            for (_, input) in inputs.iter().filter(|(at, _)| *at == ms) {
                match input {
                    'C' => schedule.changed(now),
                    _ => schedule.asked(now),
                }
            }
            if schedule.take(now) {
                sent.push(ms);
            }
            assert!(schedule.next().is_none_or(|next| next > now));
        }
        sent
    }

    #[test]
    fn probes_come_in_a_burst_and_then_slowly() {
        let start = vec![0, 500, 2000, 6000];
        let with = |more: &[u64]| [start.as_slice(), more].concat();
        for (inputs, end, expected) in [
            (&[][..], 1000, vec![]),
            (&[(0, 'C')], 130_000, with(&[66_000, 126_000])),
            // A change begins anew.
            (
                &[(0, 'C'), (10_000, 'C')],
                20_000,
                with(&[10_000, 10_500, 12_000, 16_000]),
            ),
            // A question is answered at once if the last probe is long ago, else a little later; many are one.
            (&[(0, 'C'), (20_000, 'A')], 30_000, with(&[20_000])),
            (
                &[(0, 'C'), (7000, 'A'), (7100, 'A'), (7200, 'A')],
                30_000,
                with(&[11_000]),
            ),
            // A burst goes on under questions.
            (&[(0, 'C'), (100, 'A')], 7000, start.clone()),
        ] {
            assert_eq!(run(inputs, end), expected, "{inputs:?}");
        }
    }
}
