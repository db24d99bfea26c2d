//! From the pipeline's time to `CLOCK_MONOTONIC` and back; of network cameras, from the camera's.
//!
//! Both clocks are read at the same moment, and times are carried over as ages. That is right for any pipeline clock:
//! over the short life of a frame they all run at the same speed.

pub(crate) mod camera;
pub(crate) mod order;
pub(crate) mod realtime;

use gst::prelude::*;
use mos_frame::{ClockSource, FrameMeta};

/// A frame that is older than this was not captured live; its time stamp counts from somewhere else.
const MAX_AGE_NS: u64 = 10_000_000_000;

/// One moment on both clocks, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Now {
    /// Running time of the pipeline; negative before its start.
    running: i64,
    monotonic: u64,
    /// Bound of the distance between the two readings.
    error: u32,
}

impl Now {
    /// Reads the clocks; `None` while the element has no clock or is not playing.
    pub(crate) fn read(element: &impl IsA<gst::Element>) -> Option<Self> {
        let (clock, base) = (element.clock()?, element.base_time()?);
        let before = mos_frame::monotonic_ns();
        let time = clock.time();
        let gap = mos_frame::monotonic_ns().saturating_sub(before);
        let running = time
            .nseconds()
            .cast_signed()
            .checked_sub(base.nseconds().cast_signed())?;
        Some(Self {
            running,
            monotonic: before + gap / 2,
            error: u32::try_from(gap.div_ceil(2)).unwrap_or(u32::MAX),
        })
    }

    /// Running time at which something happened at `monotonic_ns`; what lies before the start is at the start.
    pub(crate) fn running_at(&self, monotonic_ns: u64) -> gst::ClockTime {
        let age = self
            .monotonic
            .cast_signed()
            .saturating_sub(monotonic_ns.cast_signed());
        gst::ClockTime::from_nseconds(self.running.saturating_sub(age).max(0).cast_unsigned())
    }

    /// Monotonic time of a frame with this running time; `None` if that can't be a live capture.
    fn monotonic_at(&self, running: gst::ClockTime) -> Option<u64> {
        let age = self.running.checked_sub(running.nseconds().cast_signed())?;
        let age = u64::try_from(age).ok().filter(|&age| age <= MAX_AGE_NS)?;
        self.monotonic.checked_sub(age)
    }
}

/// Whose clocks the frames of one stream were stamped by, and what came of it.
#[derive(Debug, Default)]
pub(crate) struct Stamper {
    camera: camera::CameraClock,
    here: realtime::Watch,
    order: order::Order,
    last: Option<StreamClock>,
}

/// The clock of a stream's newest frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamClock {
    /// What its capture time was taken from.
    pub source: ClockSource,
    /// Bound of the error of that, nanoseconds; 0 if none is known.
    pub error_ns: u32,
    /// How far the camera's wall clock is ahead of this machine's, in nanoseconds, less the shortest way from the camera; `None`
    /// where the camera does not tell its time.
    pub camera_ahead_ns: Option<i64>,
    /// From its capture time to its arrival at the sink, nanoseconds.
    pub delay_ns: u64,
}

impl Stamper {
    /// The times of a frame of a network camera.
    pub(crate) fn by_camera(&mut self, origin: &camera::Origin) -> FrameMeta {
        let here = self.here.read(mos_frame::monotonic_ns());
        let captured = self.camera.captured(origin, here);
        let meta = FrameMeta {
            capture_ns: captured.ns,
            clock_source: captured.source,
            clock_error_ns: u32::try_from(captured.error_ns).unwrap_or(u32::MAX),
            wall_ns: origin.wall.map(|wall| wall.ns),
            ..FrameMeta::default()
        };
        self.placed(meta, captured.stepped)
    }

    /// Gives a frame its place behind those before; `stepped` if its clock was set since.
    pub(crate) fn placed(&mut self, meta: FrameMeta, stepped: bool) -> FrameMeta {
        let meta = self.order.place(meta, stepped);
        let ahead = self.camera.ahead_ns();
        let (here, _) = realtime::ahead();
        self.last = Some(StreamClock {
            source: meta.clock_source,
            error_ns: meta.clock_error_ns,
            camera_ahead_ns: ahead.map(|camera| camera.saturating_sub(here)),
            delay_ns: mos_frame::monotonic_ns().saturating_sub(meta.capture_ns),
        });
        meta
    }

    /// The clock of the newest frame.
    pub(crate) const fn last(&self) -> Option<StreamClock> {
        self.last
    }
}

/// Capture time of a frame that only arrived.
pub(crate) fn arrival(arrival_ns: u64) -> FrameMeta {
    FrameMeta {
        capture_ns: arrival_ns,
        clock_source: ClockSource::Arrival,
        ..FrameMeta::default()
    }
}

/// Capture time of a frame: from the pipeline's clock where that makes sense, else its arrival here.
pub(crate) fn stamp(
    now: Option<Now>,
    running: Option<gst::ClockTime>,
    arrival_ns: u64,
) -> FrameMeta {
    let captured = now
        .zip(running)
        .and_then(|(now, running)| Some((now.monotonic_at(running)?, now.error)));
    captured.map_or_else(
        || arrival(arrival_ns),
        |(capture_ns, clock_error_ns)| FrameMeta {
            capture_ns,
            clock_source: ClockSource::PipelineClock,
            clock_error_ns,
            ..FrameMeta::default()
        },
    )
}

/// Seconds from 1900 (NTP, RFC 5905 section 6) to 1970.
const NTP_TO_UNIX: u64 = 2_208_988_800;

/// Time of day of a capture, from what the source attached (`rtspsrc add-reference-timestamp-meta=true`).
pub(crate) fn wall_ns(buffer: &gst::BufferRef) -> Option<u64> {
    buffer
        .iter_meta::<gst::ReferenceTimestampMeta>()
        .find_map(|meta| {
            let time = meta.timestamp().nseconds();
            match meta.reference().structure(0)?.name().as_str() {
                "timestamp/x-unix" => Some(time),
                "timestamp/x-ntp" => time.checked_sub(NTP_TO_UNIX * 1_000_000_000),
                _ => None,
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn now(running: i64) -> Now {
        Now {
            running,
            monotonic: 1000 * SECOND,
            error: 7,
        }
    }

    fn ns(time: u64) -> gst::ClockTime {
        gst::ClockTime::from_nseconds(time)
    }

    #[test]
    fn capture_times() {
        let arrival = 1000 * SECOND + 1;
        let second = SECOND.cast_signed();
        let cases = [
            (
                "20 ms old",
                Some(now(second)),
                Some(ns(SECOND - 20_000_000)),
                1000 * SECOND - 20_000_000,
                true,
            ),
            (
                "just now",
                Some(now(second)),
                Some(ns(SECOND)),
                1000 * SECOND,
                true,
            ),
            (
                "in the future",
                Some(now(second)),
                Some(ns(2 * SECOND)),
                arrival,
                false,
            ),
            (
                "too old",
                Some(now(60 * second)),
                Some(ns(0)),
                arrival,
                false,
            ),
            ("no time stamp", Some(now(second)), None, arrival, false),
            ("no clock", None, Some(ns(0)), arrival, false),
            (
                "before the start",
                Some(now(-5)),
                Some(ns(0)),
                arrival,
                false,
            ),
        ];
        for (name, now, running, capture, from_clock) in cases {
            let meta = stamp(now, running, arrival);
            let source = if from_clock {
                ClockSource::PipelineClock
            } else {
                ClockSource::Arrival
            };
            assert_eq!(
                (meta.capture_ns, meta.clock_source),
                (capture, source),
                "{name}"
            );
            assert_eq!(
                meta.clock_error_ns,
                if from_clock { 7 } else { 0 },
                "{name}"
            );
        }
    }

    #[test]
    fn a_capture_time_comes_back_as_running_time() {
        let now = Now {
            running: 5 * SECOND.cast_signed(),
            monotonic: 1000 * SECOND,
            error: 0,
        };
        let cases = [
            (1000 * SECOND, 5 * SECOND),
            (999 * SECOND, 4 * SECOND),
            (1001 * SECOND, 6 * SECOND),
            (10, 0),
        ];
        for (monotonic, running) in cases {
            assert_eq!(now.running_at(monotonic), ns(running), "{monotonic}");
        }
    }

    #[test]
    fn wall_clocks_count_from_1970() {
        gst::init().unwrap();
        let cases = [
            (
                "timestamp/x-unix",
                1_700_000_000 * SECOND,
                Some(1_700_000_000 * SECOND),
            ),
            (
                "timestamp/x-ntp",
                (1_700_000_000 + NTP_TO_UNIX) * SECOND,
                Some(1_700_000_000 * SECOND),
            ),
            ("timestamp/x-ntp", 5, None),
            ("timestamp/x-other", 5, None),
        ];
        for (reference, time, expected) in cases {
            let mut buffer = gst::Buffer::new();
            let caps = gst::Caps::new_empty_simple(reference);
            gst::ReferenceTimestampMeta::add(
                buffer.get_mut().unwrap(),
                &caps,
                ns(time),
                gst::ClockTime::NONE,
            );
            assert_eq!(wall_ns(&buffer), expected, "{reference}");
        }
    }
}
