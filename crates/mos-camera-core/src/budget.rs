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
/// let mut budget = Budget { in_flight: 4, fences: 0, ..Budget::default() };
/// budget.admit(2, 1);
/// budget.admit(3, 1);
/// assert_eq!(budget.buffers(), 4 + 3 + 2);
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

impl Budget {
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

    /// Adds a subscriber of this window and hold.
    pub const fn admit(&mut self, window: u32, hold: u32) {
        if window > self.max_window {
            self.max_window = window;
        }
        self.holds = self.holds.saturating_add(hold);
    }

    /// Whether a pool of `pool` buffers carries one more subscriber; the error tells the figures.
    pub fn check(mut self, pool: u32, window: u32, hold: u32) -> Result<(), OverBudget> {
        self.admit(window, hold);
        let needed = self.buffers();
        if needed <= pool {
            Ok(())
        } else {
            Err(OverBudget {
                needed,
                pool,
                window,
                hold,
            })
        }
    }
}

/// One more subscriber would need more buffers than the pool has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a subscriber with window {window} and hold {hold} would need {needed} buffers, the stream's pool has {pool}: ask for a smaller window or hold, or raise the stream's max_subscribers"
)]
pub struct OverBudget {
    /// Buffers that all subscribers together would need.
    pub needed: u32,
    /// Buffers that there are.
    pub pool: u32,
    /// N of the refused subscriber.
    pub window: u32,
    /// H of the refused subscriber.
    pub hold: u32,
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
    fn a_budget_for_many_is_the_sum_of_admissions() {
        for subscribers in [0, 1, 8, 64] {
            let mut one_by_one = Budget {
                in_flight: 4,
                fences: 1,
                ..Budget::default()
            };
            (0..subscribers).for_each(|_| one_by_one.admit(3, 2));
            assert_eq!(Budget::for_subscribers(4, 1, subscribers, 3, 2), one_by_one);
        }
    }

    #[test]
    fn one_too_many_is_refused_with_the_figures() {
        let budget = Budget::for_subscribers(4, 0, 8, 2, 1);
        assert_eq!(budget.check(15, 2, 1), Ok(()));
        let refused = budget.check(14, 2, 1).unwrap_err();
        assert_eq!(
            refused,
            OverBudget {
                needed: 15,
                pool: 14,
                window: 2,
                hold: 1
            }
        );
        assert!(
            refused
                .to_string()
                .contains("would need 15 buffers, the stream's pool has 14"),
            "{refused}"
        );
        assert_eq!(
            budget.check(15, 3, 1).unwrap_err().needed,
            16,
            "a larger window counts too"
        );
    }
}
