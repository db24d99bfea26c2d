//! How many buffers the pool of a stream needs.

/// Buffers of a stream that are in use at one time, by who holds them.
///
/// With recall by window the pool never runs dry at [`Budget::buffers`]: the frames on offer are the newest ones, the same
/// for every subscriber, so only the largest window counts, while each hold may pin a buffer of its own. It assumes that
/// every subscriber is offered every frame.
///
/// ```
/// use mos_camera_core::Budget;
///
/// let two_of_window_3_and_hold_1 = Budget::for_subscribers(4, 0, 2, 3, 1);
/// assert_eq!(two_of_window_3_and_hold_1.buffers(), 4 + 3 + 2);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Budget {
    /// W: buffers in flight in the camera or decoder.
    pub in_flight: u32,
    /// F: buffers that are finished but unpublished, waiting for a fence.
    pub fences: u32,
    /// max N: the largest window of a subscriber, in frames.
    pub max_window: u32,
    /// sum(H): the holds of all subscribers, in frames.
    pub holds: u32,
}

/// The buffers of a source that has a number of its own, whatever it is asked for.
///
/// Subscribers that need more are refused when they come, with the figures, so that the camera never runs dry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FixedPool {
    /// All of them.
    pub buffers: u32,
    /// Those that the camera needs to go on.
    pub in_flight: u32,
}

impl FixedPool {
    /// How many subscribers of the usual window and hold it serves.
    pub const fn serves(&self) -> u32 {
        let mut subscribers = 0;
        while Budget::usual(self.in_flight, subscribers + 1).buffers() <= self.buffers {
            subscribers += 1;
        }
        subscribers
    }
}

impl Budget {
    /// Newest frames on offer to a subscriber that does not say how many it wants.
    pub const WINDOW: u32 = 2;
    /// Frames that a subscriber holds that does not say how many it holds.
    pub const HOLD: u32 = 1;

    /// The budget for so many subscribers of the usual window and hold.
    pub const fn usual(in_flight: u32, subscribers: u32) -> Self {
        Self::for_subscribers(in_flight, 0, subscribers, Self::WINDOW, Self::HOLD)
    }

    /// The budget for `subscribers` that each have `window` frames on offer and hold `hold`.
    pub const fn for_subscribers(
        in_flight: u32,
        fences: u32,
        subscribers: u32,
        window: u32,
        hold: u32,
    ) -> Self {
        let max_window = if subscribers == 0 { 0 } else { window };
        Self {
            in_flight,
            fences,
            max_window,
            holds: subscribers.saturating_mul(hold),
        }
    }

    /// P = W + max(1, max N) + sum(H) + F. The newest frame is kept for late joiners, also while nobody subscribes.
    pub const fn buffers(&self) -> u32 {
        let offered = if self.max_window == 0 {
            1
        } else {
            self.max_window
        };
        self.in_flight
            .saturating_add(offered)
            .saturating_add(self.holds)
            .saturating_add(self.fences)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_formula_adds_up() {
        for (in_flight, fences, max_window, holds, buffers) in [
            (0, 0, 0, 0, 1),
            (4, 0, 0, 0, 5),
            (4, 0, 1, 1, 6),
            (4, 0, 2, 8, 14),
            (3, 1, 2, 8, 14),
            (u32::MAX, 1, 1, 1, u32::MAX),
        ] {
            let budget = Budget {
                in_flight,
                fences,
                max_window,
                holds,
            };
            assert_eq!(budget.buffers(), buffers, "{budget:?}");
        }
    }

    #[test]
    fn a_fixed_pool_serves_as_many_as_the_budget_allows() {
        for (buffers, in_flight, serves) in
            [(4, 1, 1), (3, 1, 0), (5, 1, 2), (1, 1, 0), (16, 4, 10)]
        {
            let pool = FixedPool { buffers, in_flight };
            assert_eq!(pool.serves(), serves, "{pool:?}");
        }
    }

    #[test]
    fn many_subscribers_share_a_window_and_hold_each_their_own() {
        for (subscribers, buffers) in [(0, 6), (1, 10), (8, 24), (64, 136)] {
            let budget = Budget::for_subscribers(4, 1, subscribers, 3, 2);
            assert_eq!(budget.buffers(), buffers, "{subscribers} subscribers");
        }
    }
}
