//! Where a camera's clock stands against this machine's: which moment of `CLOCK_MONOTONIC` a frame was captured at.
//!
//! Logic without I/O and without a clock. A frame brings three times: what the camera's media clock says (RTP timestamps,
//! which run evenly and are never set), what its wall clock says (sender reports or RFC 7273, may be set at any moment),
//! and when its first packet arrived. The least delay between media clock and arrival, over a window, tells where a frame
//! would be that had the shortest way: that takes the jitter of the network out, and a stall or a backlog does not move it.
//!
//! With that the camera's wall clock is judged. If this machine's own clock is synchronised and the frames of the shortest way
//! are neither from the future nor older than a live picture can be, the wall clock is believed, and one clock carries the
//! frame to the other. Else only the distances of frames are believed; their place is the shortest way's.

use std::collections::VecDeque;

use mos_frame::ClockSource;

/// Length of the spans whose least delays are kept, in time of the camera: a backlog that comes all at once, or a long
/// silence, does not empty the window.
const SPAN_NS: i64 = 500_000_000;
/// Spans in the window: 10 s. A camera whose crystal is off by 100 ppm moves 1 ms in that time.
const SPANS: usize = 20;
/// Longest shortest way, exposure and encoding included. A live picture that always comes later than that is from a clock that is off.
const LONGEST_WAY_NS: i64 = 2_000_000_000;
/// How far before its capture a frame may seem to arrive because of the clocks' own errors.
const TOLERANCE_NS: i64 = 10_000_000;
/// A frame that is this much faster than the shortest way: its media clock jumped.
const MEDIA_JUMP_NS: i64 = 2_000_000_000;
/// A wall clock that moves by so much more or less than the media clock between two frames was set. A clock that is slewed
/// moves by 500 ppm at most (ntpd), 5 ms in 10 s.
const STEP_NS: i64 = 20_000_000;
/// What a media clock of 90 kHz can't tell apart.
const TICK_NS: i64 = 11_112;

/// Which clock a camera's word is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reference {
    /// NTP, by RTCP sender reports or RFC 7273.
    Ntp,
    /// PTP, by RFC 7273; already as UTC.
    Ptp,
}

/// What a camera says about the time of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wall {
    /// Nanoseconds since 1970 UTC.
    pub ns: u64,
    /// Where it has that from.
    pub reference: Reference,
}

/// How a frame came into this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// When its first packet arrived, `CLOCK_MONOTONIC`.
    pub arrival_ns: u64,
    /// The camera's media clock, from any zero.
    pub media_ns: i64,
    /// The camera's wall clock, where it is known.
    pub wall: Option<Wall>,
}

/// This machine's synchronised time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Realtime {
    /// `CLOCK_REALTIME` less `CLOCK_MONOTONIC`.
    pub(crate) ahead_ns: i64,
    /// Bound of its error.
    pub(crate) error_ns: u64,
}

/// A frame's capture time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Captured {
    /// `CLOCK_MONOTONIC`; never after its arrival.
    pub(crate) ns: u64,
    pub(crate) source: ClockSource,
    /// Bound of its error as far as one is known, else 0: of a relative one it is that of the placing, without the way itself.
    pub(crate) error_ns: u64,
    /// The camera's clocks do not go on from the frame before: one of them was set.
    pub(crate) stepped: bool,
}

/// What is known about a camera's clocks.
#[derive(Debug, Default)]
pub(crate) struct CameraClock {
    way: Way,
    /// Media clock, and wall clock less media clock, of the frame before.
    before: Option<(i64, Option<i64>)>,
    /// Of the newest frame: the wall clock less `CLOCK_MONOTONIC`, by the shortest way.
    ahead_ns: Option<i64>,
}

impl CameraClock {
    /// The capture time of the next frame; `here` is this machine's clock if it is synchronised.
    pub(crate) fn captured(&mut self, origin: &Origin, here: Option<Realtime>) -> Captured {
        let arrival = signed(origin.arrival_ns);
        let wall_less_media = origin
            .wall
            .map(|w| signed(w.ns).saturating_sub(origin.media_ns));
        let jumped = self.follow(origin.media_ns, arrival);
        let set = self.was_set(wall_less_media);
        self.before = Some((origin.media_ns, wall_less_media));
        // The wall clock of a frame that would have come by the shortest way, at its arrival.
        self.ahead_ns = wall_less_media.map(|w| w.saturating_sub(self.way.least()));
        let captured = match (origin.wall, self.ahead_ns) {
            (Some(wall), Some(ahead)) => self.by_word(wall, ahead, origin, here),
            _ => Captured {
                ns: origin.arrival_ns,
                source: ClockSource::Arrival,
                error_ns: 0,
                stepped: false,
            },
        };
        Captured {
            stepped: jumped || set,
            ..captured
        }
    }

    /// How far the camera's clock is ahead of `CLOCK_MONOTONIC`, less the shortest way; `None` before its first word.
    pub(crate) const fn ahead_ns(&self) -> Option<i64> {
        self.ahead_ns
    }

    /// Takes the frame's delay into account; true if the media clock does not go on from the frame before.
    fn follow(&mut self, media: i64, arrival: i64) -> bool {
        let Some((before, _)) = self.before else {
            self.way.see(media, arrival);
            return false;
        };
        let jumped = media < before
            || arrival.saturating_sub(media) < self.way.least().saturating_sub(MEDIA_JUMP_NS);
        if jumped {
            self.way = Way::default();
        }
        self.way.see(media, arrival);
        jumped
    }

    /// Whether the wall clock moved otherwise than the media clock.
    fn was_set(&self, now: Option<i64>) -> bool {
        let before = self.before.and_then(|(_, wall)| wall);
        before
            .zip(now)
            .is_some_and(|(before, now)| now.abs_diff(before) > STEP_NS.unsigned_abs())
    }

    fn by_word(&self, wall: Wall, ahead: i64, origin: &Origin, here: Option<Realtime>) -> Captured {
        let believed = here.filter(|here| is_plausible(here.ahead_ns.saturating_sub(ahead)));
        let (ahead, error, source) = match (believed, wall.reference) {
            (Some(here), Reference::Ntp) => (here.ahead_ns, here.error_ns, ClockSource::Ntp),
            (Some(here), Reference::Ptp) => (here.ahead_ns, here.error_ns, ClockSource::Ptp),
            (None, Reference::Ntp) => (ahead, self.way.spread(), ClockSource::NtpRelative),
            (None, Reference::Ptp) => (ahead, self.way.spread(), ClockSource::PtpRelative),
        };
        let ns = signed(wall.ns).saturating_sub(ahead).max(0).cast_unsigned();
        let early = ns.saturating_sub(origin.arrival_ns);
        Captured {
            ns: ns - early,
            source,
            error_ns: error.max(early),
            stepped: false,
        }
    }
}

/// Whether a live picture may take so long from its capture to its arrival.
const fn is_plausible(shortest_way_ns: i64) -> bool {
    shortest_way_ns >= -TOLERANCE_NS && shortest_way_ns <= LONGEST_WAY_NS
}

fn signed(ns: u64) -> i64 {
    i64::try_from(ns).unwrap_or(i64::MAX)
}

/// The least delays of the newest spans, from any zero.
#[derive(Debug, Default)]
struct Way {
    spans: VecDeque<Span>,
}

#[derive(Debug)]
struct Span {
    /// Media clock at its first frame.
    begin: i64,
    least: i64,
}

impl Way {
    fn see(&mut self, media: i64, arrival: i64) {
        let delay = arrival.saturating_sub(media);
        match self.spans.back_mut() {
            Some(span) if media.saturating_sub(span.begin) < SPAN_NS => {
                span.least = span.least.min(delay);
            }
            _ => self.spans.push_back(Span {
                begin: media,
                least: delay,
            }),
        }
        if self.spans.len() > SPANS {
            self.spans.pop_front();
        }
    }

    /// Delay of the shortest way; 0 before the first frame.
    fn least(&self) -> i64 {
        self.spans.iter().map(|s| s.least).min().unwrap_or(0)
    }

    /// How far the least delays of the whole spans lie apart, which holds both jitter that was not taken out and clocks that
    /// run at different speeds. 0, not known, until there are two: the first frames of a session may all come late.
    fn spread(&self) -> u64 {
        let whole = self.spans.len().saturating_sub(1);
        if whole < 2 {
            return 0;
        }
        let worst = self.spans.iter().take(whole).map(|s| s.least).max();
        let spread = worst.unwrap_or(0).saturating_sub(self.least());
        spread.max(TICK_NS).unsigned_abs()
    }
}

#[cfg(test)]
mod tests;
