//! How many buffers a stream needs.

/// Most buffers of a stream: the slots of the frame bus.
pub(crate) const MAX_BUFFERS: u32 = 256;

/// Buffers that a stream needs for a set of subscribers: `P = W + max(1, N) + sum(H)`.
///
/// W are in the camera or decoder, N is the window of newest frames that is kept on offer, and each of the
/// `subscribers` may hold `hold` (H) frames. Never more than the bus has slots.
pub(crate) fn needed(in_flight: u32, window: u32, subscribers: u32, hold: u32) -> u32 {
    in_flight
        .saturating_add(window.max(1))
        .saturating_add(subscribers.saturating_mul(hold))
        .min(MAX_BUFFERS)
}

/// Slots that the stream has: `asked`, else the upper bound of upstream's pool, else what the subscribers need.
///
/// A pool without an upper bound says 0; then the expectation decides, so that admission still has a figure to hold to.
pub(crate) fn slots(asked: u32, pool_max: Option<u32>, needed: u32) -> u32 {
    let known = [Some(asked), pool_max]
        .into_iter()
        .flatten()
        .find(|&slots| slots > 0);
    known.unwrap_or(needed).min(MAX_BUFFERS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needed_is_the_sum_of_the_parts() {
        let cases = [
            ((4, 2, 8, 1), 14),
            ((4, 0, 0, 1), 5),
            ((2, 3, 2, 4), 13),
            ((4, 2, u32::MAX, 2), 256),
        ];
        for ((in_flight, window, subscribers, hold), expected) in cases {
            assert_eq!(needed(in_flight, window, subscribers, hold), expected);
        }
    }

    #[test]
    fn a_figure_that_was_set_wins_over_the_pool_and_that_over_the_estimate() {
        let cases = [
            ((6, Some(24), 14), 6),
            ((0, Some(24), 14), 24),
            ((0, Some(0), 14), 14),
            ((0, None, 14), 14),
            ((999, None, 1), 256),
        ];
        for ((asked, pool, needed), expected) in cases {
            assert_eq!(slots(asked, pool, needed), expected);
        }
    }
}
