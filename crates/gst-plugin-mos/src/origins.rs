//! How frames of a network camera came into this machine, from where their packets are seen to where they are published.
//!
//! What packets carry does not reach the bus by itself: `rtpjpegdepay` drops it, and a decoder keeps what it likes. What every
//! element keeps is the presentation time, so that is what frames are found by; packets of a frame share their RTP timestamp.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::clock;
pub use crate::clock::camera::{Origin, Reference, Wall};

/// Time of day of a packet in nanoseconds since 1970 UTC, from what `rtspsrc add-reference-timestamp-meta=true` attached.
pub fn ntp_ns(packet: &gst::BufferRef) -> Option<u64> {
    clock::wall_ns(packet)
}

/// TAI less UTC in seconds: the kernel's, if a daemon told it, else what it is since 2017.
pub fn tai_less_utc() -> i32 {
    const SINCE_2017: i32 = 37;
    clock::realtime::tai_seconds().unwrap_or(SINCE_2017)
}

/// Frames that are remembered: two seconds at 60 fps, more than lie between a socket and the bus.
const FRAMES: usize = 128;
/// A packet of an older frame than so many is a frame that has its RTP timestamp by chance.
const OVERTAKEN: usize = 8;

/// The newest frames of one camera; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Origins(Arc<Mutex<VecDeque<Entry>>>);

#[derive(Debug, Clone, Copy)]
struct Entry {
    rtp: u32,
    /// The same without wrapping.
    ticks: i64,
    arrival_ns: u64,
    left: Option<Left>,
}

/// What is known when the frame leaves the jitter buffer.
#[derive(Debug, Clone, Copy)]
struct Left {
    pts_ns: u64,
    media_ns: i64,
    wall: Option<Wall>,
}

impl Origins {
    /// A packet with this RTP timestamp arrived at `now` (`CLOCK_MONOTONIC`). The first of a frame counts.
    pub fn arrived(&self, rtp: u32, now: u64) {
        let mut frames = self.frames();
        if find(&frames, rtp).is_none() {
            push(&mut frames, rtp, now);
        }
    }

    /// A packet left the jitter buffer with this presentation time at `now`; `clock_rate` is its RTP clock's, in Hz.
    pub fn left(&self, rtp: u32, clock_rate: u32, pts_ns: u64, wall: Option<Wall>, now: u64) {
        let mut frames = self.frames();
        let index = find(&frames, rtp)
            .or_else(|| find_waiting(&frames, rtp))
            .unwrap_or_else(|| push(&mut frames, rtp, now));
        if let Some(entry) = frames.get_mut(index) {
            let media_ns = media_ns(entry.ticks, clock_rate);
            entry.left.get_or_insert(Left {
                pts_ns,
                media_ns,
                wall,
            });
        }
    }

    /// A new session begins: its times have nothing to do with those before.
    pub fn clear(&self) {
        self.frames().clear();
    }

    /// The frame with this presentation time.
    pub(crate) fn of(&self, pts_ns: u64) -> Option<Origin> {
        let frames = self.frames();
        let entries = frames.iter().rev();
        let (entry, left) = entries
            .filter_map(|entry| Some((entry, entry.left?)))
            .find(|(_, left)| left.pts_ns == pts_ns)?;
        Some(Origin {
            arrival_ns: entry.arrival_ns,
            media_ns: left.media_ns,
            wall: left.wall,
        })
    }

    fn frames(&self) -> MutexGuard<'_, VecDeque<Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Index of a frame that is still in the jitter buffer: that holds more than the newest where it is long or frames are many.
fn find_waiting(frames: &VecDeque<Entry>, rtp: u32) -> Option<usize> {
    frames
        .iter()
        .rposition(|entry| entry.rtp == rtp && entry.left.is_none())
}

/// Index of the frame among the newest.
fn find(frames: &VecDeque<Entry>, rtp: u32) -> Option<usize> {
    let newest = frames.len().saturating_sub(OVERTAKEN);
    (newest..frames.len())
        .rev()
        .find(|&index| frames[index].rtp == rtp)
}

/// Notes a frame; its index.
fn push(frames: &mut VecDeque<Entry>, rtp: u32, arrival_ns: u64) -> usize {
    let ticks = frames.back().map_or(0, |last| {
        // The shorter way around the 32-bit circle.
        let step = rtp.wrapping_sub(last.rtp).cast_signed();
        last.ticks + i64::from(step)
    });
    if frames.len() == FRAMES {
        frames.pop_front();
    }
    frames.push_back(Entry {
        rtp,
        ticks,
        arrival_ns,
        left: None,
    });
    frames.len() - 1
}

fn media_ns(ticks: i64, clock_rate: u32) -> i64 {
    let ns = i128::from(ticks) * 1_000_000_000 / i128::from(clock_rate.max(1));
    i64::try_from(ns).unwrap_or(if ns < 0 { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u32 = 90_000;

    const WALL: Option<Wall> = Some(Wall {
        ns: 1,
        reference: Reference::Ntp,
    });

    #[test]
    fn a_frame_is_found_by_its_time_with_its_first_packet() {
        let origins = Origins::default();
        for (rtp, now) in [(1000, 5), (1000, 6), (1000, 7), (10_000, 105), (1000, 106)] {
            origins.arrived(rtp, now);
        }
        origins.left(1000, RATE, 70, None, 200);
        origins.left(1000, RATE, 71, None, 201);
        origins.left(10_000, RATE, 170, WALL, 202);
        let origin = |arrival_ns, media_ns, wall| {
            Some(Origin {
                arrival_ns,
                media_ns,
                wall,
            })
        };
        assert_eq!(origins.of(70), origin(5, 0, None));
        assert_eq!(origins.of(170), origin(105, 100_000_000, WALL));
        assert_eq!(origins.of(71), None);
        origins.clear();
        assert_eq!(origins.of(70), None);
    }

    #[test]
    fn a_long_jitter_buffer_holds_many_frames() {
        let origins = Origins::default();
        let frames = 3 * OVERTAKEN as u32;
        for n in 0..frames {
            origins.arrived(n * 3000, u64::from(n));
        }
        for n in 0..frames {
            origins.left(n * 3000, RATE, 1000 + u64::from(n), None, 500);
        }
        for n in 0..frames {
            let arrival = origins.of(1000 + u64::from(n)).map(|o| o.arrival_ns);
            assert_eq!(arrival, Some(u64::from(n)), "{n}");
        }
    }

    #[test]
    fn a_frame_that_nobody_saw_arrive_arrived_when_it_left() {
        let origins = Origins::default();
        origins.left(5, RATE, 70, None, 200);
        assert_eq!(origins.of(70).map(|o| o.arrival_ns), Some(200));
    }

    #[test]
    fn timestamps_go_on_over_their_end_and_back() {
        let origins = Origins::default();
        let rows = [
            (u32::MAX - 8999, 0),
            (0, 100),
            (9000, 200),
            (4500, 150),
            (18_000, 300),
        ];
        for (n, (rtp, ms)) in rows.into_iter().enumerate() {
            let pts = n as u64;
            origins.left(rtp, RATE, pts, None, 0);
            let media = origins.of(pts).map(|o| o.media_ns / 1_000_000);
            assert_eq!(media, Some(ms), "{rtp}");
        }
    }

    #[test]
    fn no_more_than_the_newest_are_kept() {
        let origins = Origins::default();
        for n in 0..FRAMES as u32 + 10 {
            origins.left(n * 3000, RATE, u64::from(n), None, 0);
        }
        assert_eq!(origins.frames().len(), FRAMES);
        assert!(origins.of(9).is_none() && origins.of(10).is_some());
    }
}
