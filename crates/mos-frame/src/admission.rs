//! Whether the buffers suffice: `P = W + F + max(1, max N) + sum(H)`.
//!
//! Recall by window takes back every offer older than the newest N, so all subscribers together can keep busy only the
//! widest window and what each of them holds; the rest is always free for the camera.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Buffers that a stream's pool has, and how many of them the source needs for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Budget {
    /// P: buffers that the pool can have, 1 to 256.
    pub slots: u32,
    /// W: buffers in flight in the camera, decoder or converter.
    pub in_flight: u32,
    /// F: finished buffers that wait for a fence before they are published.
    pub fences: u32,
}

impl Budget {
    /// Largest pool.
    pub const MAX_SLOTS: u32 = 256;

    /// Buffers that are left for windows and holds.
    pub const fn available(&self) -> u32 {
        self.slots
            .saturating_sub(self.in_flight)
            .saturating_sub(self.fences)
    }
}

impl Default for Budget {
    /// A pool that can grow to 256 buffers, two of them in flight.
    fn default() -> Self {
        Self {
            slots: Self::MAX_SLOTS,
            in_flight: 2,
            fences: 0,
        }
    }
}

/// Window and hold of one subscriber.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Demand {
    pub(crate) window: u32,
    pub(crate) hold: u32,
}

/// Largest window and hold that one subscriber may ask for.
pub(crate) const MAX_WINDOW: u32 = 64;

impl Demand {
    pub(crate) const fn is_valid(self) -> bool {
        self.window >= 1 && self.window <= MAX_WINDOW && self.hold <= MAX_WINDOW
    }
}

/// A subscription does not fit the budget; the text says the figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OverBudget {
    budget: Budget,
    needed: u32,
}

impl fmt::Display for OverBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Budget {
            slots,
            in_flight,
            fences,
        } = self.budget;
        write!(
            f,
            "windows and holds would need {} buffers, the stream has {}: {slots} less {in_flight} in flight less {fences} for fences; \
             ask for a smaller hold or window, or give the stream more buffers",
            self.needed,
            self.budget.available(),
        )
    }
}

/// Buffers that windows and holds can keep busy: `max(1, max N) + sum(H)`.
pub(crate) fn needed(demands: impl Iterator<Item = Demand>) -> u32 {
    let (window, hold) = demands.fold((1, 0_u32), |(n, h), d| {
        (n.max(d.window), h.saturating_add(d.hold))
    });
    window.saturating_add(hold)
}

/// Whether all `demands` fit the budget together.
pub(crate) fn admit(
    budget: Budget,
    demands: impl Iterator<Item = Demand>,
) -> Result<(), OverBudget> {
    let needed = needed(demands);
    if needed <= budget.available() {
        Ok(())
    } else {
        Err(OverBudget { budget, needed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_formula() {
        let cases: [(&[(u32, u32)], u32); 6] = [
            (&[], 1),
            (&[(1, 1)], 2),
            (&[(2, 1)], 3),
            (&[(2, 1), (4, 2)], 7),
            (&[(2, 0), (2, 0)], 2),
            (&[(2, 1), (2, 1), (2, 1)], 5),
        ];
        for (demands, expected) in cases {
            let demands = demands
                .iter()
                .map(|&(window, hold)| Demand { window, hold });
            assert_eq!(needed(demands.clone()), expected);
            let budget = Budget {
                slots: expected + 3,
                in_flight: 2,
                fences: 1,
            };
            assert!(admit(budget, demands.clone()).is_ok());
            assert!(
                admit(
                    Budget {
                        slots: expected + 2,
                        ..budget
                    },
                    demands
                )
                .is_err()
            );
        }
    }

    #[test]
    fn a_refusal_says_the_figures() {
        let budget = Budget {
            slots: 8,
            in_flight: 4,
            fences: 1,
        };
        let text = admit(budget, [Demand { window: 2, hold: 2 }].into_iter())
            .unwrap_err()
            .to_string();
        for figure in ["need 4", "has 3", "8 less 4", "less 1"] {
            assert!(text.contains(figure), "{text}");
        }
    }
}
