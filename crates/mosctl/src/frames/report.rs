//! What `mosctl frames` prints: a line a second, and a last one.

use std::time::Duration;

use mos_frame::SubscriberStats;
use serde::Serialize;

use super::measure::Measure;
use crate::text;

/// Which span a report is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// The last second.
    Interval,
    /// All of it.
    Total,
}

/// Figures of a span. The names are part of the command line's contract.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    #[serde(rename = "type")]
    kind: Kind,
    stream: String,
    subscriber: String,
    /// Length of the span.
    seconds: f64,
    frames: u64,
    fps: f64,
    /// From capture to arrival; `null` if no frame came, or none with a capture time.
    age_p50_us: Option<u64>,
    age_p99_us: Option<u64>,
    /// From publishing to arrival.
    bus_p50_us: Option<u64>,
    bus_p99_us: Option<u64>,
    /// What the capture time of the newest frame was taken from, as docs/frame-bus-protocol.md names it.
    clock: Option<&'static str>,
    /// Bound of its error; `null` if none is known.
    clock_error_us: Option<f64>,
    /// Places where at least one frame was missed.
    gaps: u64,
    /// Frames that were missed.
    drops: u64,
    /// Times that the producer went away and came back.
    reconnects: u64,
}

/// Header of the lines.
pub(crate) const HEADER: &str =
    "  TIME     FPS   FRAMES   AGE p50   AGE p99   BUS p50   BUS p99   DROPS  GAPS  CLOCK\n";

impl Report {
    pub(crate) fn new(
        kind: Kind,
        names: (&str, &str),
        measure: &Measure,
        span: Duration,
        stats: SubscriberStats,
    ) -> Self {
        let (age, bus, gained) = (measure.age(), measure.bus(), measure.gained(stats));
        Self {
            kind,
            stream: names.0.to_owned(),
            subscriber: names.1.to_owned(),
            seconds: round(span.as_secs_f64()),
            frames: measure.frames(),
            fps: round(measure.fps(span)),
            age_p50_us: age.map(|a| a.0),
            age_p99_us: age.map(|a| a.1),
            bus_p50_us: bus.map(|b| b.0),
            bus_p99_us: bus.map(|b| b.1),
            clock: measure.clock().map(|(source, _)| source.name()),
            clock_error_us: measure
                .clock()
                .filter(|&(_, error)| error > 0)
                .map(|(_, error)| f64::from(error) / 1000.0),
            gaps: gained.gaps,
            drops: gained.missed,
            reconnects: gained.reconnects,
        }
    }

    /// A line under [`HEADER`]; `elapsed` is the time since the command began.
    pub(crate) fn line(&self, elapsed: Duration) -> String {
        let us = |value: Option<u64>| value.map_or_else(|| text::NONE.to_owned(), micros);
        let note = if self.reconnects > 0 {
            "  reconnected"
        } else {
            ""
        };
        format!(
            "{:>6}  {:>6.1}  {:>7}  {:>8}  {:>8}  {:>8}  {:>8}  {:>6}  {:>4}  {}{note}\n",
            format!("{:.0}s", elapsed.as_secs_f64()),
            self.fps,
            self.frames,
            us(self.age_p50_us),
            us(self.age_p99_us),
            us(self.bus_p50_us),
            us(self.bus_p99_us),
            self.drops,
            self.gaps,
            self.clock_text(),
        )
    }

    /// Where capture times come from, and how good they are.
    fn clock_text(&self) -> String {
        let source = self.clock.unwrap_or(text::NONE);
        self.clock_error_us.map_or_else(
            || source.to_owned(),
            |us| {
                format!(
                    "{source} ±{}",
                    text::fine_duration(Duration::from_nanos((us * 1000.0) as u64))
                )
            },
        )
    }

    /// The summary in words.
    pub(crate) fn summary(&self) -> String {
        let counts = [
            text::count(self.frames, "frame")
                + &format!(" in {:.1} s ({:.1} fps)", self.seconds, self.fps),
            text::count(self.drops, "drop") + " in " + &text::count(self.gaps, "gap"),
            text::count(self.reconnects, "reconnect"),
        ];
        let age = self
            .age_p50_us
            .zip(self.age_p99_us)
            .map(|p| percentiles("age", p));
        let bus = self
            .bus_p50_us
            .zip(self.bus_p99_us)
            .map(|p| percentiles("bus", p));
        let clock = self.clock.map(|_| format!("clock {}", self.clock_text()));
        let times: Vec<String> = age.into_iter().chain(bus).chain(clock).collect();
        let times = if times.is_empty() {
            String::new()
        } else {
            format!("  {}\n", times.join("; "))
        };
        format!("{}: {}\n{times}", self.stream, counts.join(", "))
    }
}

fn percentiles(name: &str, (p50, p99): (u64, u64)) -> String {
    format!("{name} p50 {}, p99 {}", micros(p50), micros(p99))
}

fn micros(us: u64) -> String {
    text::fine_duration(Duration::from_micros(us))
}

/// Three decimals are more than a second's measurement is worth.
fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use mos_frame::ClockSource;

    use super::*;
    use crate::frames::Arrival;

    fn measured() -> (Measure, SubscriberStats) {
        let mut measure = Measure::new(SubscriberStats::default());
        for n in 0..30 {
            measure.frame(Arrival {
                captured: 1_000_000,
                published: 1_500_000,
                received: 1_600_000 + n * 1000,
                clock: (ClockSource::NtpRelative, 1_250_500),
            });
        }
        (
            measure,
            SubscriberStats {
                received: 30,
                missed: 7,
                gaps: 2,
                reconnects: 0,
            },
        )
    }

    #[test]
    fn json_has_the_documented_fields() {
        let (measure, stats) = measured();
        let report = Report::new(
            Kind::Total,
            ("front", "slow"),
            &measure,
            Duration::from_millis(1500),
            stats,
        );
        assert_eq!(
            serde_json::to_string(&report).unwrap(),
            r#"{"type":"total","stream":"front","subscriber":"slow","seconds":1.5,"frames":30,"fps":20.0,"age_p50_us":614,"age_p99_us":629,"bus_p50_us":114,"bus_p99_us":129,"clock":"ntp-relative","clock_error_us":1250.5,"gaps":2,"drops":7,"reconnects":0}"#
        );
    }

    #[test]
    fn lines_stand_under_their_header() {
        let (measure, stats) = measured();
        let report = Report::new(
            Kind::Interval,
            ("front", "x"),
            &measure,
            Duration::from_secs(1),
            stats,
        );
        let line = report.line(Duration::from_secs(12));
        assert_eq!(
            line,
            "   12s    30.0       30    614 µs    629 µs    114 µs    129 µs       7     2  ntp-relative ±1250 µs\n"
        );
        let place = |text: &str, word| text.split(word).next().unwrap().chars().count();
        assert_eq!(place(&line, "ntp"), place(HEADER, "CLOCK"));
    }

    #[test]
    fn a_silent_second_has_dashes() {
        let measure = Measure::new(SubscriberStats::default());
        let report = Report::new(
            Kind::Interval,
            ("front", "x"),
            &measure,
            Duration::from_secs(1),
            SubscriberStats::default(),
        );
        assert_eq!(
            report.line(Duration::ZERO).split_whitespace().nth(3),
            Some("-")
        );
        assert_eq!(
            report.summary(),
            "front: 0 frames in 1.0 s (0.0 fps), 0 drops in 0 gaps, 0 reconnects\n"
        );
    }

    #[test]
    fn the_summary_reads_as_a_sentence() {
        let (measure, stats) = measured();
        let report = Report::new(
            Kind::Total,
            ("front", "x"),
            &measure,
            Duration::from_secs(1),
            stats,
        );
        assert_eq!(
            report.summary(),
            "front: 30 frames in 1.0 s (30.0 fps), 7 drops in 2 gaps, 0 reconnects\n  age p50 614 µs, p99 629 µs; bus p50 114 µs, p99 129 µs; clock ntp-relative ±1250 µs\n"
        );
    }
}
