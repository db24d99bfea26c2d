//! The board: descriptions that are read whole, and frames that are found in order.

use std::sync::Arc;

use loom::thread;

use super::explore::{NONE, breaks_without, holds, holds_bounded};
use crate::format::FrameMeta;
use crate::shm::{Board, BoardReader, Descriptor, Holds, LeasePage, LeaseView, Step, offers};

fn descriptor(seq: u64) -> Descriptor {
    let meta = FrameMeta {
        capture_ns: seq * 100,
        pts_ns: Some(seq * 1000),
        ..FrameMeta::default()
    };
    Descriptor {
        seq,
        epoch: seq as u32,
        generation: 7,
        publish_ns: seq * 10,
        meta,
    }
}

/// A reader without a claim against a slot that gets its next frame.
fn seqlock() {
    let board = Board::new().unwrap();
    let reader = BoardReader::new(board.fd()).unwrap();
    board.describe(0, &descriptor(1));
    let subscriber = thread::spawn(move || {
        for seq in [1, 2] {
            if let Some(read) = reader.read(0, seq) {
                assert_eq!(read, descriptor(seq), "a mixture");
            }
        }
    });
    board.describe(0, &descriptor(2));
    subscriber.join().unwrap();
}

/// Frames are found in order up to the newest that is known, none is passed over, and each is described exactly.
fn in_order() {
    let board = Board::new().unwrap();
    let page = LeasePage::new().unwrap();
    let reader = BoardReader::new(board.fd()).unwrap();
    let view = LeaseView::new(page.fd()).unwrap();
    let subscriber = thread::spawn(move || {
        let mut holds = Holds::new(view, 2, ());
        let head = reader.head();
        let mut next = 1;
        let found: Vec<_> = offers(&reader, holds.leases(), 2, next, false).collect();
        for (seq, slot) in found {
            let hold = holds.claim(slot, seq).expect("nobody takes it back");
            assert_eq!(seq, next, "a frame was passed over");
            assert_eq!(reader.read(slot, seq), Some(descriptor(seq)));
            next += 1;
            std::mem::forget(hold);
        }
        assert!(next > head, "frame {head} is known and was not found");
    });
    for seq in [1, 2] {
        let slot = seq as usize - 1;
        board.describe(slot, &descriptor(seq));
        page.offer(slot, seq);
        board.advance(seq);
    }
    subscriber.join().unwrap();
}

#[test]
fn a_description_is_never_a_mixture() {
    holds_bounded(seqlock);
}

#[test]
fn the_orderings_of_a_description_are_needed() {
    let steps = [
        (Step::VoidFence, NONE),
        (Step::DescribeSeq, NONE),
        (Step::ReadSeq, NONE),
        (Step::ReadFence, NONE),
    ];
    breaks_without(&steps, seqlock);
}

#[test]
fn frames_are_found_in_order() {
    holds(in_order);
}

#[test]
fn the_orderings_of_the_search_are_needed() {
    let steps = [(Step::Advance, NONE), (Step::Head, NONE)];
    breaks_without(&steps, in_order);
}
