//! Counting frames and their ages.

use std::time::Duration;

use hdrhistogram::Histogram;
use mos_frame::{ClockSource, SubscriberStats};

/// Longest age that is told apart: an hour, in µs.
const LONGEST_US: u64 = 3_600_000_000;

/// The times of one frame that arrived, nanoseconds of `CLOCK_MONOTONIC`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival {
    /// Capture; 0 if the producer does not know.
    pub(crate) captured: u64,
    /// Publishing on the bus.
    pub(crate) published: u64,
    /// Arrival here.
    pub(crate) received: u64,
    /// What tells of its capture.
    pub(crate) clock: Clock,
}

/// What the capture time of a frame was taken from, and the bound of its error in ns, 0 if none is known.
pub(crate) type Clock = (ClockSource, u32);

/// What arrived in a span of time.
#[derive(Debug)]
pub(crate) struct Measure {
    frames: u64,
    age: Histogram<u64>,
    bus: Histogram<u64>,
    clock: Option<Clock>,
    /// The subscriber's counters when the span began.
    before: SubscriberStats,
}

/// 50th and 99th percentile in µs.
pub(crate) type Percentiles = Option<(u64, u64)>;

impl Measure {
    /// Begins a span with the subscriber's counters as they are.
    pub(crate) fn new(before: SubscriberStats) -> Self {
        Self {
            frames: 0,
            age: histogram(),
            bus: histogram(),
            clock: None,
            before,
        }
    }

    /// Counts a frame.
    pub(crate) fn frame(&mut self, arrival: Arrival) {
        self.frames += 1;
        self.clock = Some(arrival.clock);
        if arrival.captured > 0 {
            self.age
                .saturating_record(micros_between(arrival.captured, arrival.received));
        }
        self.bus
            .saturating_record(micros_between(arrival.published, arrival.received));
    }

    /// Begins the next span.
    pub(crate) fn restart(&mut self, now: SubscriberStats) {
        self.frames = 0;
        self.age.reset();
        self.bus.reset();
        self.clock = None;
        self.before = now;
    }

    pub(crate) const fn frames(&self) -> u64 {
        self.frames
    }

    /// Frames per second over a span of this length.
    pub(crate) fn fps(&self, span: Duration) -> f64 {
        if span.is_zero() {
            0.0
        } else {
            self.frames as f64 / span.as_secs_f64()
        }
    }

    /// From capture to arrival.
    pub(crate) fn age(&self) -> Percentiles {
        percentiles(&self.age)
    }

    /// From publishing to arrival.
    pub(crate) fn bus(&self) -> Percentiles {
        percentiles(&self.bus)
    }

    /// The clock of the newest frame.
    pub(crate) const fn clock(&self) -> Option<Clock> {
        self.clock
    }

    /// What the subscriber's counters gained since the span began.
    pub(crate) const fn gained(&self, now: SubscriberStats) -> SubscriberStats {
        SubscriberStats {
            received: now.received - self.before.received,
            missed: now.missed - self.before.missed,
            gaps: now.gaps - self.before.gaps,
            reconnects: now.reconnects - self.before.reconnects,
        }
    }
}

/// Three figures are exact, whatever the age; longer ages than [`LONGEST_US`] count as that.
fn histogram() -> Histogram<u64> {
    #[expect(
        clippy::expect_used,
        reason = "constant bounds; the only error is bounds that contradict each other"
    )]
    Histogram::new_with_bounds(1, LONGEST_US, 3)
        .expect("1 to an hour with 3 figures is a valid histogram")
}

const fn micros_between(earlier: u64, later: u64) -> u64 {
    later.saturating_sub(earlier) / 1000
}

fn percentiles(histogram: &Histogram<u64>) -> Percentiles {
    (!histogram.is_empty()).then(|| {
        (
            histogram.value_at_quantile(0.5),
            histogram.value_at_quantile(0.99),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(captured: u64, published: u64, received: u64) -> Arrival {
        Arrival {
            captured: captured * 1000,
            published: published * 1000,
            received: received * 1000,
            clock: (ClockSource::Arrival, 0),
        }
    }

    #[test]
    fn percentiles_are_of_age_and_of_the_bus() {
        let mut measure = Measure::new(SubscriberStats::default());
        assert_eq!((measure.age(), measure.bus()), (None, None));
        for n in 1..=100 {
            measure.frame(at(1000, 1000 + n, 1000 + 2 * n));
        }
        assert_eq!(measure.age(), Some((100, 198)));
        assert_eq!(measure.bus(), Some((50, 99)));
        assert_eq!(measure.frames(), 100);
        assert!((measure.fps(Duration::from_secs(4)) - 25.0).abs() < 1e-9);
    }

    #[test]
    fn a_frame_of_unknown_capture_time_has_no_age() {
        let mut measure = Measure::new(SubscriberStats::default());
        measure.frame(at(0, 10, 12));
        assert_eq!((measure.age(), measure.bus()), (None, Some((2, 2))));
    }

    #[test]
    fn a_clock_that_seems_to_run_backwards_gives_zero() {
        let mut measure = Measure::new(SubscriberStats::default());
        measure.frame(at(20, 20, 10));
        assert_eq!(measure.age(), Some((0, 0)));
    }

    #[test]
    fn an_absurd_age_counts_as_the_longest() {
        let mut measure = Measure::new(SubscriberStats::default());
        measure.frame(Arrival {
            captured: 1,
            published: 1,
            received: u64::MAX,
            clock: (ClockSource::Unknown, 0),
        });
        let (p50, _) = measure.age().unwrap();
        assert!(p50 >= LONGEST_US * 999 / 1000, "{p50}");
    }

    #[test]
    fn a_restart_forgets_the_span_before() {
        let stats = |received, missed| SubscriberStats {
            received,
            missed,
            ..SubscriberStats::default()
        };
        let mut measure = Measure::new(stats(0, 0));
        measure.frame(at(1, 1, 2));
        measure.restart(stats(10, 4));
        assert_eq!((measure.frames(), measure.age()), (0, None));
        assert_eq!(measure.gained(stats(15, 5)), stats(5, 1));
    }

    #[test]
    fn no_time_gives_no_rate() {
        assert!(
            Measure::new(SubscriberStats::default())
                .fps(Duration::ZERO)
                .abs()
                < f64::EPSILON
        );
    }
}
