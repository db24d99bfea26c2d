//! The statistics of the benchmarks: pure functions over samples.

use serde::Serialize;

/// Median of the values; NaN for none, so that no bar is met by what was not measured.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}

/// Value at quantile `q` (0 to 1) of sorted samples, nearest rank; 0 for none.
pub(crate) fn quantile(sorted: &[u64], q: f64) -> u64 {
    let rank = (q * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied().unwrap_or_default()
}

/// What is said of a set of times.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(crate) struct Times {
    pub(crate) samples: usize,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p999_us: f64,
    pub(crate) max_us: f64,
}

impl Times {
    /// Of nanoseconds, in any order.
    pub(crate) fn of(samples_ns: &[u64]) -> Self {
        let mut sorted = samples_ns.to_vec();
        sorted.sort_unstable();
        let at = |q| quantile(&sorted, q) as f64 / 1000.0;
        Self {
            samples: sorted.len(),
            p50_us: at(0.5),
            p99_us: at(0.99),
            p999_us: at(0.999),
            max_us: at(1.0),
        }
    }
}

/// At most `points` points of the cumulative distribution: (microseconds, share of samples at or below), dense at the tail.
pub(crate) fn distribution(samples_ns: &[u64], points: usize) -> Vec<(f64, f64)> {
    let mut sorted = samples_ns.to_vec();
    sorted.sort_unstable();
    if sorted.is_empty() {
        return Vec::new();
    }
    // Half of the points over all samples, half over the slowest tenth down to one in ten thousand: there systems differ.
    let half = (points / 2).max(1);
    let body = (0..half).map(|i| 0.9 * i as f64 / half as f64);
    let tail = (0..half).map(|i| 1.0 - 10_f64.powf(-1.0 - 3.0 * i as f64 / half as f64));
    body.chain(tail)
        .chain([1.0])
        .map(|q| (quantile(&sorted, q) as f64 / 1000.0, q))
        .collect()
}

/// A small seeded generator (`SplitMix64`, Steele et al. 2014): benchmarks draw their schedules from it, so that a seed repeats one.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`, which is not 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// Brings the items into a random order.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert!(median(&[]).is_nan());
        assert!((median(&[3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!((median(&[4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < f64::EPSILON);
    }

    #[test]
    fn quantiles_are_samples() {
        let thousand: Vec<u64> = (1..=1000).collect();
        let cases: [(&[u64], f64, u64); 7] = [
            (&[], 0.5, 0),
            (&[7], 0.0, 7),
            (&[7], 0.999, 7),
            (&[1, 2], 0.5, 1),
            (&thousand, 0.5, 500),
            (&thousand, 0.999, 999),
            (&thousand, 1.0, 1000),
        ];
        for (sorted, q, expected) in cases {
            assert_eq!(quantile(sorted, q), expected, "{} at {q}", sorted.len());
        }
    }

    #[test]
    fn times_do_not_depend_on_order() {
        let times = Times::of(&[3000, 1000, 2000]);
        assert_eq!(times, Times::of(&[1000, 2000, 3000]));
        assert!((times.p50_us - 2.0).abs() < 1e-9 && (times.max_us - 3.0).abs() < 1e-9);
        assert_eq!(Times::of(&[]), Times::default());
    }

    #[test]
    fn a_distribution_rises_to_one() {
        let samples: Vec<u64> = (0..500).rev().map(|n| n * 1000).collect();
        let points = distribution(&samples, 100);
        assert!(points.len() <= 102);
        assert!(
            points
                .windows(2)
                .all(|w| w[0].0 <= w[1].0 && w[0].1 < w[1].1)
        );
        assert_eq!(points.last(), Some(&(499.0, 1.0)));
        assert!(distribution(&[], 100).is_empty());
    }

    #[test]
    fn a_seed_repeats_its_schedule_and_a_shuffle_keeps_all() {
        let draw = |seed| {
            let mut items: Vec<u32> = (0..50).collect();
            Random::new(seed).shuffle(&mut items);
            items
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        let mut sorted = draw(3);
        sorted.sort_unstable();
        assert_eq!(sorted, (0..50).collect::<Vec<_>>());
    }
}
