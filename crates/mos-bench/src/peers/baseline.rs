//! What a frame costs that goes nowhere: the source and a `fakesink`, to be deducted from what a transport cost.
//!
//! All contenders share it, as it is the same for all. It is measured again and again between their runs, and the median
//! of the latest is taken: one run's error would be as large as what is looked for.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use crate::contender::{Error, Load};
use crate::stats::median;

/// How long a measurement counts as next to a run.
const FRESH: Duration = Duration::from_secs(25);
/// Measurements that the median is taken of.
const KEPT: usize = 5;

/// CPU time of a bare frame, nanoseconds, as often as it was measured for one shape and pace.
#[derive(Debug, Default)]
pub(super) struct Baseline {
    seen: RefCell<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    shape: (u32, u32, u32),
    when: Option<Instant>,
    latest: Vec<f64>,
}

impl Baseline {
    /// Nanoseconds of a frame of this load; `measure` is asked when the newest figure is too old.
    pub(super) fn of(
        &self,
        load: &Load,
        measure: impl FnOnce() -> Result<f64, Error>,
    ) -> Result<f64, Error> {
        let shape = (load.width, load.height, load.fps);
        let mut seen = self.seen.borrow_mut();
        if seen.shape != shape {
            *seen = Seen {
                shape,
                ..Seen::default()
            };
        }
        if seen.when.is_none_or(|when| when.elapsed() > FRESH) {
            let figure = measure()?;
            seen.latest.push(figure);
            let old = seen.latest.len().saturating_sub(KEPT);
            seen.latest.drain(..old);
            seen.when = Some(Instant::now());
        }
        Ok(median(&seen.latest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(fps: u32) -> Load {
        Load {
            subscribers: 1,
            width: 2,
            height: 2,
            fps,
            frames: 1,
        }
    }

    #[test]
    fn a_fresh_figure_is_shared_and_another_pace_is_another_matter() {
        let baseline = Baseline::default();
        let never = || -> Result<f64, Error> { Err("measured again".into()) };
        let close = |left: f64, right: f64| (left - right).abs() < f64::EPSILON;
        assert!(close(baseline.of(&load(60), || Ok(7.0)).unwrap(), 7.0));
        assert!(close(baseline.of(&load(60), never).unwrap(), 7.0));
        assert!(close(baseline.of(&load(30), || Ok(3.0)).unwrap(), 3.0));
        assert!(baseline.of(&load(60), never).is_err());
    }
}
