//! Figures that a producer gathers while it works: how long publishing takes, what was refused, how long epochs drain.
//! Nothing here allocates or waits on the publishing path.

use std::collections::VecDeque;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use super::report::TimeSummary;
use crate::format::monotonic_ns;
use crate::wire::Reason;

/// Bits of a value below its highest that tell buckets apart: bounds are exact to one part in 16.
const FINE: u32 = 4;
/// Longest time that has a bucket of its own: 2^36 ns, about 69 s; longer ones count in the last.
const LONGEST: u32 = 36;
const BUCKETS: usize = ((LONGEST - FINE + 1) << FINE) as usize;

/// Counts times in buckets that grow with the time. Several threads add to it without a lock.
#[derive(Debug)]
pub(super) struct Histogram {
    buckets: Box<[AtomicU64]>,
    max: AtomicU64,
}

impl Histogram {
    pub(super) fn new() -> Self {
        Self {
            buckets: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect(),
            max: AtomicU64::new(0),
        }
    }

    pub(super) fn add(&self, ns: u64) {
        self.buckets[bucket(ns)].fetch_add(1, Relaxed);
        // Almost always a load alone.
        if ns > self.max.load(Relaxed) {
            self.max.fetch_max(ns, Relaxed);
        }
    }

    pub(super) fn summary(&self) -> TimeSummary {
        let counts: Vec<u64> = self.buckets.iter().map(|b| b.load(Relaxed)).collect();
        let count: u64 = counts.iter().sum();
        let max_ns = self.max.load(Relaxed);
        // The bound of the bucket in which the quantile lies, rounded up; never above what was really seen.
        let quantile = |per_mille: u64| {
            let rank = (count * per_mille).div_ceil(1000).max(1);
            let mut seen = 0;
            let at = counts.iter().position(|n| {
                seen += n;
                seen >= rank
            });
            at.map_or(0, |index| upper_bound(index).min(max_ns))
        };
        TimeSummary {
            count,
            p50_ns: quantile(500),
            p99_ns: quantile(990),
            p999_ns: quantile(999),
            max_ns,
        }
    }
}

/// Index of a time's bucket: below 2^FINE one a nanosecond, above that 2^FINE for each doubling.
const fn bucket(ns: u64) -> usize {
    let octave = ns.checked_ilog2();
    match octave {
        Some(octave) if octave >= LONGEST => BUCKETS - 1,
        Some(octave) if octave >= FINE => {
            let fine = (ns >> (octave - FINE)) as usize & ((1 << FINE) - 1);
            (((octave - FINE + 1) as usize) << FINE) | fine
        }
        _ => ns as usize,
    }
}

/// Largest time of a bucket.
const fn upper_bound(index: usize) -> u64 {
    if index < 1 << FINE {
        return index as u64;
    }
    let octave = (index >> FINE) as u32 - 1;
    let fine = (index & ((1 << FINE) - 1)) as u64;
    (((1 << FINE) + fine + 1) << octave) - 1
}

/// Entries that [`Recent`] keeps.
const KEPT: usize = 16;

/// A subscription that was refused or ended by the producer.
#[derive(Debug, Clone)]
pub(super) struct Incident {
    pub(super) at_ns: u64,
    pub(super) name: String,
    pub(super) pid: i32,
    pub(super) uid: u32,
    pub(super) window: u32,
    pub(super) hold: u32,
    pub(super) reason: Reason,
    pub(super) text: String,
}

/// How many incidents there were, and the last of them.
#[derive(Debug, Default)]
pub(super) struct Recent {
    pub(super) count: u64,
    last: VecDeque<Incident>,
}

impl Recent {
    pub(super) fn add(&mut self, incident: Incident) {
        self.count += 1;
        if self.last.len() == KEPT {
            self.last.pop_front();
        }
        self.last.push_back(incident);
    }

    /// The last ones, oldest first.
    pub(super) fn last(&self) -> impl Iterator<Item = &Incident> {
        self.last.iter()
    }
}

/// How long buffers of a format stay once another format took its place.
#[derive(Debug, Default)]
pub(super) struct Drains {
    /// Epochs that still have buffers, and when the next one took their place.
    open: Vec<(u32, u64)>,
    pub(super) last_ns: u64,
    pub(super) max_ns: u64,
}

impl Drains {
    /// Another format took the place of `epoch`, which has buffers.
    pub(super) fn begin(&mut self, epoch: u32) {
        self.open.push((epoch, monotonic_ns()));
    }

    /// The last buffer of `epoch` is gone.
    pub(super) fn end(&mut self, epoch: u32) {
        if let Some(at) = self.open.iter().position(|(open, _)| *open == epoch) {
            let (_, since) = self.open.swap_remove(at);
            self.last_ns = monotonic_ns().saturating_sub(since);
            self.max_ns = self.max_ns.max(self.last_ns);
        }
    }

    /// Epochs that still have buffers.
    pub(super) fn open(&self) -> impl Iterator<Item = u32> + '_ {
        self.open.iter().map(|(epoch, _)| *epoch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_lies_in_its_bucket() {
        let mut last = None;
        for index in 0..BUCKETS {
            let upper = upper_bound(index);
            assert_eq!(bucket(upper), index);
            assert!(last.is_none_or(|last| bucket(last + 1) == index));
            last = Some(upper);
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn buckets_are_narrow() {
        for ns in [17_u64, 100, 12_345, 1_000_000, 59_999_999_999] {
            let upper = upper_bound(bucket(ns));
            assert!(upper >= ns && upper - ns <= ns / 16, "{ns} -> {upper}");
        }
    }

    #[test]
    fn quantiles_are_found() {
        let times = Histogram::new();
        assert_eq!(times.summary(), TimeSummary::default());
        for ns in 1..=1000 {
            times.add(ns * 1000);
        }
        let s = times.summary();
        assert_eq!((s.count, s.max_ns), (1000, 1_000_000));
        for (found, exact) in [
            (s.p50_ns, 500_000),
            (s.p99_ns, 990_000),
            (s.p999_ns, 999_000),
        ] {
            assert!(found >= exact && found <= exact + exact / 16, "{found}");
        }
    }

    #[test]
    fn one_time_is_every_quantile() {
        let times = Histogram::new();
        times.add(777);
        let s = times.summary();
        assert_eq!((s.p50_ns, s.p999_ns, s.max_ns), (777, 777, 777));
    }

    #[test]
    fn only_the_last_incidents_are_kept() {
        let mut recent = Recent::default();
        for at_ns in 0..100 {
            recent.add(Incident {
                at_ns,
                name: String::new(),
                pid: 1,
                uid: 1,
                window: 0,
                hold: 0,
                reason: Reason::Protocol,
                text: String::new(),
            });
        }
        let kept: Vec<u64> = recent.last().map(|i| i.at_ns).collect();
        assert_eq!((recent.count, kept.len()), (100, KEPT));
        assert_eq!((kept[0], kept[KEPT - 1]), (84, 99));
    }
}
