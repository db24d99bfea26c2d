//! Frames as payloads: when one is due, and what of it goes into which request.
//!
//! Payload headers: USB Video Class 1.1, 2.4.3.3; how bulk transfers carry them: 2.4.3.2.1.

use std::ops::Range;
use std::time::Duration;

use crate::descriptors::PAYLOAD;
use crate::fault::{Faults, Spoil};
use crate::negotiate::Agreed;
use crate::picture::Painter;

/// Bytes of a payload's header.
pub(crate) const HEADER: usize = 2;

const END_OF_FRAME: u8 = 0x02;
const ERROR: u8 = 0x40;
const END_OF_HEADER: u8 = 0x80;

/// A part of a frame that is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chunk {
    pub(crate) header: [u8; HEADER],
    /// The part of [`Streamer::bytes`].
    pub(crate) range: Range<usize>,
    /// Whether the frame ends with it.
    pub(crate) last: bool,
}

/// What is to be done for a request of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Next {
    Send(Chunk),
    /// Nothing until then; `None` is until something changes.
    Wait(Option<Duration>),
}

/// The frames of one commitment.
#[derive(Debug)]
pub(crate) struct Streamer {
    agreed: Agreed,
    tint: u8,
    painter: Painter,
    /// For frames of half the size.
    half: Option<Painter>,
    /// When the next frame is due.
    due: Duration,
    frame: Option<Frame>,
    /// Whether the newest frame is of half the size.
    halved: bool,
    /// Bit 0 of headers, which changes with each frame.
    parity: bool,
}

#[derive(Debug)]
struct Frame {
    sent: usize,
    end: usize,
}

impl Streamer {
    pub(crate) fn new(agreed: Agreed, tint: u8, now: Duration) -> Self {
        Self {
            agreed,
            tint,
            painter: Painter::new(agreed.kind, agreed.size, tint),
            half: None,
            due: now,
            frame: None,
            halved: false,
            parity: false,
        }
    }

    pub(crate) fn agreed(&self) -> Agreed {
        self.agreed
    }

    /// What to answer to a request with room for `room` bytes. `number` is that of a frame that starts now.
    pub(crate) fn advance(
        &mut self,
        now: Duration,
        room: usize,
        number: u32,
        faults: &Faults,
    ) -> Next {
        if self.frame.is_none() {
            if faults.stall {
                return Next::Wait(None);
            }
            if now < self.due {
                return Next::Wait(Some(self.due));
            }
            self.begin(now, number, faults.spoil);
        }
        let Some(frame) = &mut self.frame else {
            return Next::Wait(None);
        };
        let most = room.min(PAYLOAD as usize).saturating_sub(HEADER);
        let start = frame.sent;
        frame.sent = frame.end.min(start + most);
        let chunk = Chunk {
            range: start..frame.sent,
            last: frame.sent == frame.end,
            header: header(self.parity, frame.sent == frame.end, faults.error_bit),
        };
        Next::Send(chunk)
    }

    /// To be called when a chunk with the frame's end was sent.
    pub(crate) fn end_frame(&mut self) {
        self.frame = None;
        self.parity = !self.parity;
    }

    /// The host takes no more; a frame that was begun is forgotten.
    pub(crate) fn interrupt(&mut self) {
        if self.frame.is_some() {
            self.end_frame();
        }
    }

    /// A part of the newest frame.
    pub(crate) fn bytes(&self, range: Range<usize>) -> &[u8] {
        let half = self.half.as_ref().filter(|_| self.halved);
        let painter = half.unwrap_or(&self.painter);
        painter.bytes().get(range).unwrap_or_default()
    }

    fn begin(&mut self, now: Duration, number: u32, spoil: Option<Spoil>) {
        let interval = Duration::from_nanos(u64::from(self.agreed.proposal.interval) * 100);
        // A camera that was held up goes on at its rate, without making good for what it missed.
        self.due = (self.due + interval).max(now);
        self.halved = spoil == Some(Spoil::WrongSize);
        let painter = if self.halved {
            let (agreed, tint) = (self.agreed, self.tint);
            let size = (even_half(agreed.size.0), even_half(agreed.size.1));
            self.half
                .get_or_insert_with(|| Painter::new(agreed.kind, size, tint))
        } else {
            &mut self.painter
        };
        painter.paint(number);
        let compressed = self.agreed.kind.bits().is_none();
        let whole = painter.bytes().len();
        let end = match spoil {
            Some(Spoil::Short) => whole / 2,
            Some(Spoil::NoEoi) if compressed => whole - 2,
            Some(Spoil::Corrupt) if compressed => {
                corrupt(painter.bytes_mut());
                whole
            }
            _ => whole,
        };
        self.frame = Some(Frame { sent: 0, end });
    }
}

fn even_half(pixels: u16) -> u16 {
    (pixels / 4 * 2).max(2)
}

/// Overwrites an eighth of the bytes in the middle with what no coder wrote.
fn corrupt(bytes: &mut [u8]) {
    let (start, length) = (bytes.len() / 2, bytes.len() / 8);
    for (i, byte) in bytes.iter_mut().skip(start).take(length).enumerate() {
        *byte ^= 0x5a_u8.wrapping_add(i as u8);
    }
}

fn header(parity: bool, last: bool, error: bool) -> [u8; HEADER] {
    let flag = |set, bit| if set { bit } else { 0 };
    let info = END_OF_HEADER | u8::from(parity) | flag(last, END_OF_FRAME) | flag(error, ERROR);
    [HEADER as u8, info]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{FormatKind, FormatSpec};
    use crate::fault::Fault;
    use crate::negotiate::Proposal;

    const ROOM: usize = PAYLOAD as usize;
    const INTERVAL: Duration = Duration::from_millis(100);

    fn streamer(kind: FormatKind) -> Streamer {
        let formats = [FormatSpec::new(kind, &[(320, 240)], &[10])];
        let agreed = Agreed::nearest(&formats, Proposal::default()).unwrap();
        Streamer::new(agreed, 128, Duration::ZERO)
    }

    /// The next frame and its headers' second bytes.
    fn frame(streamer: &mut Streamer, now: Duration, faults: &[Fault]) -> (Vec<u8>, Vec<u8>) {
        let (mut bytes, mut headers) = (Vec::new(), Vec::new());
        let faults = Faults::new(faults);
        loop {
            let Next::Send(chunk) = streamer.advance(now, ROOM, 7, &faults) else {
                panic!("no frame at {now:?}");
            };
            bytes.extend_from_slice(streamer.bytes(chunk.range));
            assert_eq!(chunk.header[0], 2);
            headers.push(chunk.header[1]);
            if chunk.last {
                streamer.end_frame();
                return (bytes, headers);
            }
        }
    }

    #[test]
    fn a_frame_fills_payloads_and_says_where_it_ends() {
        let mut streamer = streamer(FormatKind::Nv12);
        let (bytes, headers) = frame(&mut streamer, Duration::ZERO, &[]);
        assert_eq!(bytes.len(), 320 * 240 * 3 / 2);
        assert_eq!(headers, [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x82]);
        let (_, headers) = frame(&mut streamer, INTERVAL, &[]);
        assert_eq!(headers[0], 0x81, "the next frame has the other parity");
        assert_eq!(headers[7], 0x83);
    }

    #[test]
    fn small_requests_get_small_payloads() {
        let mut streamer = streamer(FormatKind::Nv12);
        let Next::Send(chunk) = streamer.advance(Duration::ZERO, 512, 0, &Faults::default()) else {
            panic!("nothing");
        };
        assert_eq!(chunk.range, 0..510);
    }

    #[test]
    fn frames_come_at_their_rate_and_are_not_made_up_for() {
        let mut streamer = streamer(FormatKind::Mjpeg);
        let wait = |streamer: &mut Streamer, ms| {
            let now = Duration::from_millis(ms);
            match streamer.advance(now, ROOM, 0, &Faults::default()) {
                Next::Wait(until) => until.map(|until| until.as_millis()),
                Next::Send(_) => panic!("a frame at {ms} ms"),
            }
        };
        frame(&mut streamer, Duration::ZERO, &[]);
        assert_eq!(wait(&mut streamer, 99), Some(100));
        // A little late: the next one is not.
        frame(&mut streamer, Duration::from_millis(130), &[]);
        assert_eq!(wait(&mut streamer, 130), Some(200));
        // Late by many: one is due at once, no more.
        frame(&mut streamer, Duration::from_secs(1), &[]);
        frame(&mut streamer, Duration::from_secs(1), &[]);
        assert_eq!(wait(&mut streamer, 1000), Some(1100));
    }

    #[test]
    fn faults_spoil_what_they_say() {
        let whole = |kind| frame(&mut streamer(kind), Duration::ZERO, &[]);
        let spoilt = |kind, fault| frame(&mut streamer(kind), Duration::ZERO, &[fault]);
        let (jpeg, raw) = (whole(FormatKind::Mjpeg).0, whole(FormatKind::Yuyv).0);

        assert_eq!(
            spoilt(FormatKind::Yuyv, Fault::ShortFrames).0,
            raw[..raw.len() / 2]
        );
        let (short, headers) = spoilt(FormatKind::Mjpeg, Fault::ShortFrames);
        assert_eq!(short, jpeg[..jpeg.len() / 2]);
        assert_eq!(headers.last().unwrap() & END_OF_FRAME, END_OF_FRAME);
        assert_eq!(
            spoilt(FormatKind::Mjpeg, Fault::NoEoi).0,
            jpeg[..jpeg.len() - 2]
        );
        assert_eq!(spoilt(FormatKind::Yuyv, Fault::NoEoi).0, raw);

        let (corrupt, _) = spoilt(FormatKind::Mjpeg, Fault::CorruptJpeg);
        let changed = corrupt.iter().zip(&jpeg).filter(|(a, b)| a != b).count();
        assert_eq!(corrupt.len(), jpeg.len());
        assert!(
            changed > jpeg.len() / 16,
            "{changed} bytes of {}",
            jpeg.len()
        );
        assert_eq!(spoilt(FormatKind::Yuyv, Fault::CorruptJpeg).0, raw);

        assert_eq!(
            spoilt(FormatKind::Yuyv, Fault::WrongSize).0.len(),
            raw.len() / 4
        );
        let (small, _) = spoilt(FormatKind::Mjpeg, Fault::WrongSize);
        assert!(
            small.windows(5).any(|five| five == [8, 0, 120, 0, 160]),
            "its header says 160x120"
        );

        assert!(
            spoilt(FormatKind::Mjpeg, Fault::ErrorBit)
                .1
                .iter()
                .all(|info| info & ERROR != 0)
        );
        assert_eq!(whole(FormatKind::Mjpeg).1[0] & ERROR, 0);
    }

    #[test]
    fn a_spoilt_frame_leaves_the_next_one_whole() {
        let mut streamer = streamer(FormatKind::Mjpeg);
        let (before, _) = frame(&mut streamer, Duration::ZERO, &[]);
        for fault in [Fault::CorruptJpeg, Fault::ShortFrames, Fault::WrongSize] {
            frame(&mut streamer, INTERVAL, &[fault]);
            let (after, _) = frame(&mut streamer, INTERVAL * 100, &[]);
            assert!(after == before, "after {fault}");
            streamer.due = Duration::ZERO;
        }
    }

    #[test]
    fn a_stall_begins_no_frame_but_ends_the_one_that_was_begun() {
        let mut streamer = streamer(FormatKind::Nv12);
        streamer.advance(Duration::ZERO, ROOM, 0, &Faults::default());
        frame(&mut streamer, Duration::ZERO, &[Fault::Stall]);
        let stalled = Faults::new(&[Fault::Stall]);
        assert_eq!(
            streamer.advance(INTERVAL * 9, ROOM, 1, &stalled),
            Next::Wait(None)
        );
        frame(&mut streamer, INTERVAL * 9, &[]);
    }
}
