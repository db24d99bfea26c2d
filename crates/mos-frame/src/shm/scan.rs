//! Looking for frames: oldest first by the board's ring. A pass over the lease page instead would reorder, since a newer
//! frame can land behind it.

use super::board::BoardReader;
use super::lease::{LeaseView, MAX_SEQ};

/// Sequence and slot of the frames that may be on offer: those within the newest `window`, from `next_seq` on, oldest or
/// newest first. No more than `window` frames, whatever the board says.
pub(crate) fn candidates(
    board: &BoardReader,
    window: u64,
    next_seq: u64,
    newest_first: bool,
) -> impl Iterator<Item = (u64, usize)> + '_ {
    // Beyond it sequences repeat in the words, and one claimed would be claimed again.
    let head = board.head().min(MAX_SEQ);
    let oldest = head.saturating_sub(window.saturating_sub(1));
    let first = oldest.max(next_seq).max(1);
    (first..=head).filter_map(move |seq| {
        let seq = if newest_first {
            head - (seq - first)
        } else {
            seq
        };
        Some((seq, board.slot_of(seq)?))
    })
}

/// Those of [`candidates`] that are on offer. Hints: each may be taken back any time.
pub(crate) fn offers<'a>(
    board: &'a BoardReader,
    leases: &'a LeaseView,
    window: u64,
    next_seq: u64,
    newest_first: bool,
) -> impl Iterator<Item = (u64, usize)> + 'a {
    candidates(board, window, next_seq, newest_first)
        .filter(|(seq, slot)| leases.is_offered(*slot, *seq))
}

#[cfg(test)]
#[cfg(not(mos_loom))]
mod tests {
    use super::*;
    use crate::format::FrameMeta;
    use crate::shm::{Board, Descriptor, LeasePage};

    struct Bench {
        board: Board,
        page: LeasePage,
    }

    impl Bench {
        fn new() -> Self {
            Self {
                board: Board::new().unwrap(),
                page: LeasePage::new().unwrap(),
            }
        }

        fn publish(&self, slot: usize, seq: u64) {
            let frame = Descriptor {
                seq,
                epoch: 1,
                generation: 1,
                publish_ns: 0,
                meta: FrameMeta::default(),
            };
            self.board.describe(slot, &frame);
            self.page.offer(slot, seq);
            self.board.advance(seq);
        }

        fn offers(&self, window: u64, next_seq: u64, newest_first: bool) -> Vec<u64> {
            let board = BoardReader::new(self.board.fd()).unwrap();
            let leases = LeaseView::new(self.page.fd()).unwrap();
            let found = offers(&board, &leases, window, next_seq, newest_first);
            found.map(|(seq, _slot)| seq).collect()
        }
    }

    #[test]
    fn frames_come_in_either_order_within_the_window() {
        let bench = Bench::new();
        // Slots in an order of their own.
        for (slot, seq) in [(9, 1), (2, 2), (7, 3), (0, 4)] {
            bench.publish(slot, seq);
        }
        assert_eq!(bench.offers(3, 0, false), [2, 3, 4]);
        assert_eq!(bench.offers(3, 0, true), [4, 3, 2]);
        assert_eq!(bench.offers(64, 4, false), [4]);
        assert_eq!(bench.offers(64, 5, false), [0; 0]);
    }

    #[test]
    fn a_head_that_no_word_can_carry_offers_nothing() {
        let bench = Bench::new();
        bench.publish(0, MAX_SEQ + 1);
        assert_eq!(bench.offers(64, 0, false), [0; 0]);
        bench.publish(0, MAX_SEQ);
        assert_eq!(bench.offers(64, 0, false), [MAX_SEQ]);
        assert_eq!(bench.offers(64, MAX_SEQ + 1, false), [0; 0]);
    }
}
