//! How long to wait before the next attempt.

use std::time::Duration;

/// Exponential back-off with jitter and a ceiling.
///
/// The jitter only ever shortens a wait, so [`Self::ceiling`] holds; it keeps the cameras of a site from reconnecting in
/// step after a switch or a power supply came back.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BackoffPolicy {
    /// Wait after the first failed attempt.
    pub initial: Duration,
    /// By how much each further failed attempt multiplies the wait.
    pub factor: u32,
    /// Longest wait.
    pub ceiling: Duration,
    /// Share of the wait that chance may take off, from 0 (none) to 1 (all of it).
    pub jitter: f64,
    /// Streaming for this long means that the trouble is over: the next failure counts as the first again.
    pub stable_after: Duration,
}

impl Default for BackoffPolicy {
    fn default() -> Self {
        Self {
            initial: Duration::from_millis(500),
            factor: 2,
            ceiling: Duration::from_secs(20),
            jitter: 0.5,
            stable_after: Duration::from_secs(30),
        }
    }
}

impl BackoffPolicy {
    /// The wait after `attempt` failed attempts in a row (the first is 1); `random` is any evenly distributed number.
    pub fn delay(&self, attempt: u32, random: u64) -> Duration {
        let full = self.full_delay(attempt);
        let chance = random as f64 / u64::MAX as f64;
        full.mul_f64(1.0 - self.jitter.clamp(0.0, 1.0) * chance)
    }

    /// The wait after `attempt` failed attempts in a row, before jitter.
    fn full_delay(&self, attempt: u32) -> Duration {
        let factor = self.factor.saturating_pow(attempt.saturating_sub(1));
        self.initial.saturating_mul(factor).min(self.ceiling)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn waits_double_up_to_the_ceiling() {
        let policy = BackoffPolicy::default();
        for (attempt, millis) in [
            (0, 500),
            (1, 500),
            (2, 1000),
            (3, 2000),
            (4, 4000),
            (5, 8000),
            (6, 16_000),
            (7, 20_000),
            (8, 20_000),
            (33, 20_000),
            (u32::MAX, 20_000),
        ] {
            assert_eq!(
                policy.delay(attempt, 0),
                Duration::from_millis(millis),
                "attempt {attempt}"
            );
        }
    }

    #[test]
    fn jitter_takes_off_up_to_its_share() {
        let policy = BackoffPolicy::default();
        for (jitter, random, millis) in [
            (0.5, u64::MAX, 250),
            (0.5, u64::MAX / 2, 375),
            (0.0, u64::MAX, 500),
            (1.0, u64::MAX, 0),
            (7.0, u64::MAX, 0),
            (-1.0, u64::MAX, 500),
        ] {
            let delay = BackoffPolicy { jitter, ..policy }.delay(1, random);
            assert_eq!(
                delay.as_millis(),
                millis,
                "jitter {jitter}, random {random}"
            );
        }
    }

    proptest! {
        #[test]
        fn a_wait_stays_between_its_bounds(attempt: u32, random: u64, jitter in 0.0..=1.0_f64) {
            let policy = BackoffPolicy { jitter, ..BackoffPolicy::default() };
            let (delay, full) = (policy.delay(attempt, random), policy.delay(attempt, 0));
            prop_assert!(delay <= full && full <= policy.ceiling);
            prop_assert!(delay >= full.mul_f64((1.0 - jitter) * 0.999));
        }
    }
}
