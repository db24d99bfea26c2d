//! The board: what the producer tells every subscriber about the newest frames. Only the producer can write it.
//!
//! ```text
//! word 0        sequence of the newest frame (head)
//! word 8..      one descriptor of 8 words per slot
//! then          ring: sequence -> slot, one word per entry
//! ```

use std::io;
use std::sync::atomic::Ordering::Relaxed;

use super::order::Step;
use super::words::{Handle, OwnWords, Peer, ReadWords};
use super::{RING, SLOTS};
use crate::format::{ClockSource, FrameFlags, FrameMeta};

const HEAD: usize = 0;
const FIRST_DESCRIPTOR: usize = 8;
const DESCRIPTOR: usize = 8;
const FIRST_RING: usize = FIRST_DESCRIPTOR + SLOTS * DESCRIPTOR;
const WORDS: usize = FIRST_RING + RING;
/// Low bits of a ring entry that hold the slot; the rest holds the low bits of the sequence.
const SLOT_BITS: u32 = 16;

/// One frame, as the board describes it: 64 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Descriptor {
    pub(crate) seq: u64,
    pub(crate) epoch: u32,
    /// Counts buffers of the session, so that a reused slot number is told from its predecessor.
    pub(crate) generation: u32,
    pub(crate) publish_ns: u64,
    pub(crate) meta: FrameMeta,
}

impl Descriptor {
    /// Words 1 to 7; word 0 is the sequence. `u64::MAX` stands for an absent time.
    fn encode(&self) -> [u64; DESCRIPTOR - 1] {
        let meta = &self.meta;
        [
            u64::from(self.epoch) << 32 | u64::from(self.generation),
            self.publish_ns,
            meta.capture_ns,
            meta.pts_ns.unwrap_or(u64::MAX),
            meta.wall_ns.unwrap_or(u64::MAX),
            u64::from(meta.clock_error_ns) << 32
                | u64::from(meta.flags.0) << 16
                | meta.clock_source as u64,
            0, // reserved for a fence
        ]
    }

    fn decode(seq: u64, words: [u64; DESCRIPTOR - 1]) -> Self {
        let [ids, publish_ns, capture_ns, pts, wall, rest, _fence] = words;
        Self {
            seq,
            epoch: (ids >> 32) as u32,
            generation: ids as u32,
            publish_ns,
            meta: FrameMeta {
                capture_ns,
                clock_source: ClockSource::from_wire(rest as u8),
                clock_error_ns: (rest >> 32) as u32,
                pts_ns: (pts != u64::MAX).then_some(pts),
                wall_ns: (wall != u64::MAX).then_some(wall),
                flags: FrameFlags((rest >> 16) as u16),
            },
        }
    }
}

const fn ring_entry(seq: u64, slot: usize) -> u64 {
    seq << SLOT_BITS | slot as u64
}

/// The producer's side of the board.
#[derive(Debug)]
pub(crate) struct Board {
    words: OwnWords,
}

impl Board {
    pub(crate) fn new() -> io::Result<Self> {
        let words = OwnWords::new("mos-frame-board", WORDS, Peer::Reads)?;
        Ok(Self { words })
    }

    /// What subscribers are sent.
    pub(crate) fn fd(&self) -> Handle<'_> {
        self.words.handle()
    }

    /// Describes the frame in `slot` and enters it in the ring; nobody looks until it is offered. The sequence word is the
    /// seqlock: it is void while the rest changes, for readers that look without a claim.
    pub(crate) fn describe(&self, slot: usize, frame: &Descriptor) {
        let first = FIRST_DESCRIPTOR + slot * DESCRIPTOR;
        self.words.store(first, 0, Relaxed);
        Step::VoidFence.fence();
        for (i, word) in frame.encode().into_iter().enumerate() {
            self.words.store(first + 1 + i, word, Relaxed);
        }
        self.words
            .store(first, frame.seq, Step::DescribeSeq.order());
        let entry = FIRST_RING + frame.seq as usize % RING;
        self.words
            .store(entry, ring_entry(frame.seq, slot), Relaxed);
    }

    /// Makes `seq` the newest frame; after its offers.
    pub(crate) fn advance(&self, seq: u64) {
        self.words.store(HEAD, seq, Step::Advance.order());
    }

    /// Writes any word anywhere, as no honest producer does.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn poke(&self, index: usize, word: u64) {
        self.words.store(index % WORDS, word, Relaxed);
    }
}

/// A subscriber's side of the board. It trusts the producer with what it says, not with indices.
#[derive(Debug)]
pub(crate) struct BoardReader {
    words: ReadWords,
}

impl BoardReader {
    /// Maps the board that the producer sent; refuses memory that could shrink under us.
    pub(crate) fn new(handle: Handle<'_>) -> io::Result<Self> {
        let words = ReadWords::map(handle, WORDS)?;
        Ok(Self { words })
    }

    /// Sequence of the newest frame; 0 before the first. The offers and the ring's entries up to it can be seen from then on.
    pub(crate) fn head(&self) -> u64 {
        self.words.load(HEAD, Step::Head.order())
    }

    /// Slot of frame `seq`, if the ring still knows it.
    pub(crate) fn slot_of(&self, seq: u64) -> Option<usize> {
        let entry = self.words.load(FIRST_RING + seq as usize % RING, Relaxed);
        let slot = (entry & ((1 << SLOT_BITS) - 1)) as usize;
        (entry == ring_entry(seq, slot) && slot < SLOTS).then_some(slot)
    }

    /// Description of frame `seq` in `slot`; `None` if the slot holds another frame by now. Exact while the slot is claimed.
    pub(crate) fn read(&self, slot: usize, seq: u64) -> Option<Descriptor> {
        let first = FIRST_DESCRIPTOR + slot * DESCRIPTOR;
        if self.words.load(first, Step::ReadSeq.order()) != seq {
            return None;
        }
        let words = std::array::from_fn(|i| self.words.load(first + 1 + i, Relaxed));
        Step::ReadFence.fence();
        (self.words.load(first, Relaxed) == seq).then(|| Descriptor::decode(seq, words))
    }
}

#[cfg(test)]
#[cfg(not(mos_loom))]
mod tests {
    use super::*;

    fn descriptor(seq: u64) -> Descriptor {
        Descriptor {
            seq,
            epoch: 3,
            generation: 0xffff_fffe,
            publish_ns: 11,
            meta: FrameMeta {
                capture_ns: 10,
                clock_source: ClockSource::Ntp,
                clock_error_ns: u32::MAX,
                pts_ns: Some(5),
                wall_ns: None,
                flags: FrameFlags::DISCONT.with(FrameFlags::CORRUPTED),
            },
        }
    }

    #[test]
    fn a_description_is_read_back_whole() {
        let board = Board::new().unwrap();
        let reader = BoardReader::new(board.fd()).unwrap();
        board.describe(255, &descriptor(1 << 40));
        board.advance(1 << 40);
        assert_eq!(reader.head(), 1 << 40);
        assert_eq!(reader.slot_of(1 << 40), Some(255));
        assert_eq!(reader.read(255, 1 << 40), Some(descriptor(1 << 40)));
    }

    #[test]
    fn an_overwritten_slot_is_not_taken_for_the_old_frame() {
        let board = Board::new().unwrap();
        let reader = BoardReader::new(board.fd()).unwrap();
        board.describe(0, &descriptor(1));
        board.describe(0, &descriptor(2));
        assert_eq!(reader.read(0, 1), None);
        board.describe(1, &descriptor(1 + RING as u64));
        assert_eq!(reader.slot_of(1), None);
    }

    #[test]
    fn an_empty_board_offers_nothing() {
        let board = Board::new().unwrap();
        let reader = BoardReader::new(board.fd()).unwrap();
        assert_eq!(reader.head(), 0);
        assert_eq!(reader.slot_of(1), None);
    }
}
