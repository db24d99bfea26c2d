//! Looking for frames: oldest first by the board's ring. A pass over the lease page instead would reorder, since a newer
//! frame can land behind it.

use super::board::BoardReader;
use super::lease::LeaseView;

/// Sequence and slot of the frames on offer within the newest `window`, from `next_seq` on, oldest or newest first. Hints:
/// each may be taken back any time. Looks at no more than `window` frames, whatever the board says.
pub(crate) fn offers<'a>(
    board: &'a BoardReader,
    leases: &'a LeaseView,
    window: u64,
    next_seq: u64,
    newest_first: bool,
) -> impl Iterator<Item = (u64, usize)> + 'a {
    let head = board.head();
    let oldest = head.saturating_sub(window.saturating_sub(1));
    let first = oldest.max(next_seq).max(1);
    (first..=head).filter_map(move |seq| {
        let seq = if newest_first {
            head - (seq - first)
        } else {
            seq
        };
        let slot = board.slot_of(seq)?;
        leases.is_offered(slot, seq).then_some((seq, slot))
    })
}
