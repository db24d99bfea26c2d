//! What the times that processes noted say. No clock and no process in here.

use crate::contender::Second;

const NS: u64 = 1_000_000_000;

/// From handing over to arriving, one a delivery: each arrival belongs to the newest frame that was handed over before it.
/// That is exact as long as a frame arrives before the next is handed over, and no system here was near that limit.
/// Arrivals before the first known frame are left out.
pub(super) fn wakes(produced: &[u64], arrived: &[u64]) -> Vec<u64> {
    arrived
        .iter()
        .filter_map(|&arrival| {
            let newest = produced
                .partition_point(|&sent| sent <= arrival)
                .checked_sub(1)?;
            Some(arrival - produced[newest])
        })
        .collect()
}

/// Frames a second, for `seconds` seconds from `start` on: of the producer, and of the healthy subscriber that got least.
pub(super) fn timeline(
    start: u64,
    seconds: u64,
    produced: &[u64],
    healthy: &[Vec<u64>],
) -> Vec<Second> {
    let within = |times: &[u64], second: u64| {
        let (from, to) = (start + second * NS, start + (second + 1) * NS);
        times
            .iter()
            .filter(|&&time| (from..to).contains(&time))
            .count() as u64
    };
    (0..seconds)
        .map(|second| Second {
            produced: within(produced, second),
            healthy: healthy
                .iter()
                .map(|times| within(times, second))
                .min()
                .unwrap_or(0),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arrival_belongs_to_the_newest_frame_before_it() {
        let cases: [(&[u64], &[u64], &[u64]); 4] = [
            (&[10, 20, 30], &[11, 22, 33], &[1, 2, 3]),
            (&[10, 30], &[5, 12, 30], &[2, 0]),
            (&[], &[5], &[]),
            (&[5], &[], &[]),
        ];
        for (produced, arrived, expected) in cases {
            assert_eq!(wakes(produced, arrived), expected);
        }
    }

    #[test]
    fn the_worst_subscriber_counts_in_each_second() {
        let at = |second: u64| second * NS + 1;
        let healthy = [vec![at(0), at(0), at(1)], vec![at(0), at(1), at(1)]];
        let line = timeline(0, 3, &[at(0), at(0), at(1), at(5)], &healthy);
        let second = |produced, healthy| Second { produced, healthy };
        assert_eq!(line, [second(2, 1), second(1, 1), second(0, 0)]);
        assert_eq!(timeline(0, 1, &[], &[]), [second(0, 0)]);
    }
}
