//! The engine's clock: durations since it started, for the pure core, and their times of day, for people.

use std::time::{Duration, Instant, SystemTime};

/// Counts from the moment it was made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    epoch: Instant,
    wall: SystemTime,
}

impl Clock {
    /// A clock that starts now.
    pub(crate) fn start() -> Self {
        Self {
            epoch: Instant::now(),
            wall: SystemTime::now(),
        }
    }

    /// Time since the start.
    pub(crate) fn now(&self) -> Duration {
        self.epoch.elapsed()
    }

    /// The instant of a time since the start.
    pub(crate) fn instant(&self, at: Duration) -> Instant {
        self.epoch + at
    }

    /// The time of day when the clock was started.
    pub(crate) fn started_at(&self) -> SystemTime {
        self.wall
    }

    /// The time of day of a time since the start. It is reckoned back from today's time of day, so that a clock that was set
    /// in between does not leave old times in the future.
    pub(crate) fn wall(&self, at: Duration) -> SystemTime {
        SystemTime::now() - self.now().saturating_sub(at)
    }
}
