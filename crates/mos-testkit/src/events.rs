//! Waiting on events, with a deadline that only a failing test reaches.

use std::fmt;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// What was waited for did not happen in time.
#[derive(Debug)]
pub struct TimedOut {
    /// What was waited for.
    pub what: String,
    /// How long.
    pub after: Duration,
    /// What happened instead.
    pub seen: Vec<String>,
}

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no {} within {:?}", self.what, self.after)?;
        if self.seen.is_empty() {
            Ok(())
        } else {
            write!(f, "; seen: {}", self.seen.join(", "))
        }
    }
}

impl std::error::Error for TimedOut {}

/// Collects events from any thread and hands them out in order.
#[derive(Debug)]
pub struct Events<T>(Receiver<T>);

impl<T: Send + fmt::Debug + 'static> Events<T> {
    /// The collector, and the sender that feeds it.
    pub fn new() -> (Sender<T>, Self) {
        let (sender, receiver) = channel();
        (sender, Self(receiver))
    }

    /// The next event for which `wanted` gives a value; the ones before it are dropped.
    pub fn wait_for<R>(
        &self,
        what: &str,
        within: Duration,
        mut wanted: impl FnMut(&T) -> Option<R>,
    ) -> Result<R, TimedOut> {
        let deadline = Instant::now() + within;
        let mut seen = Vec::new();
        while let Ok(event) = self
            .0
            .recv_timeout(deadline.duration_since(Instant::now().min(deadline)))
        {
            if let Some(found) = wanted(&event) {
                return Ok(found);
            }
            seen.push(format!("{event:?}"));
        }
        Err(TimedOut {
            what: what.to_owned(),
            after: within,
            seen,
        })
    }

    /// Everything that arrived and was not handed out yet.
    pub fn drain(&self) -> Vec<T> {
        self.0.try_iter().collect()
    }
}

/// How often [`wait_until`] looks.
const LOOK: Duration = Duration::from_millis(5);

/// Waits for something that announces itself by no event, such as a count under `/proc`, by looking again and again.
pub fn wait_until<R>(
    what: &str,
    within: Duration,
    mut probe: impl FnMut() -> Option<R>,
) -> Result<R, TimedOut> {
    let deadline = Instant::now() + within;
    loop {
        if let Some(found) = probe() {
            return Ok(found);
        }
        if Instant::now() >= deadline {
            return Err(TimedOut {
                what: what.to_owned(),
                after: within,
                seen: Vec::new(),
            });
        }
        thread::sleep(LOOK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wanted_event_is_found_behind_others() {
        let (sender, events) = Events::new();
        for n in 0..4 {
            sender.send(n).unwrap();
        }
        let found = events.wait_for("a two", Duration::from_secs(1), |n| (*n == 2).then_some(*n));
        assert_eq!(found.unwrap(), 2);
        assert_eq!(events.drain(), [3]);
    }

    #[test]
    fn a_time_out_says_what_came_instead() {
        let (sender, events) = Events::new();
        sender.send("other").unwrap();
        let error = events
            .wait_for("wanted", Duration::from_millis(1), |_| None::<()>)
            .unwrap_err();
        assert_eq!(error.to_string(), "no wanted within 1ms; seen: \"other\"");
    }

    #[test]
    fn a_probe_is_repeated_until_it_holds() {
        let mut left = 3;
        let found = wait_until("zero", Duration::from_secs(5), || {
            left -= 1;
            (left == 0).then_some("zero")
        });
        assert_eq!(found.unwrap(), "zero");
    }
}
