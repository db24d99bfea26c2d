//! Looking at a camera from other threads.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::stats::Stats;

/// How long a running camera gets to carry out a command: it does so between two payloads.
const OBEYING: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
struct Shared {
    told: Mutex<Told>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Told {
    stats: Stats,
    carried_out: u64,
}

/// Where the camera's thread tells how it stands.
#[derive(Debug)]
pub(crate) struct Board(Arc<Shared>);

impl Board {
    /// A board and its first reader.
    pub(crate) fn new(stats: Stats) -> (Self, Observer) {
        let told = Told {
            stats,
            carried_out: 0,
        };
        let shared = Arc::new(Shared {
            told: Mutex::new(told),
            changed: Condvar::new(),
        });
        (Self(Arc::clone(&shared)), Observer(shared))
    }

    /// Tells how the camera stands after so many commands.
    pub(crate) fn tell(&self, stats: Stats, carried_out: u64) {
        let mut told = lock(&self.0.told);
        if told.stats != stats || told.carried_out != carried_out {
            *told = Told { stats, carried_out };
            self.0.changed.notify_all();
        }
    }

    /// Tells that the camera is gone, and why.
    pub(crate) fn end(&self, stats: Stats, why: String) {
        let mut told = lock(&self.0.told);
        told.stats = Stats {
            attached: false,
            streaming: None,
            ended: Some(why),
            ..stats
        };
        self.0.changed.notify_all();
    }
}

/// Looks at a camera from any thread, also after it is gone.
#[derive(Debug, Clone)]
pub struct Observer(Arc<Shared>);

impl Observer {
    /// How the camera stands.
    pub fn stats(&self) -> Stats {
        lock(&self.0.told).stats.clone()
    }

    /// Waits until the camera stands as wanted. A camera that is unplugged meanwhile ends the wait, since it changes no more.
    ///
    /// `what` completes "the camera was not ..." in the error.
    pub fn wait(
        &self,
        what: &str,
        within: Duration,
        mut wanted: impl FnMut(&Stats) -> bool,
    ) -> Result<Stats, Error> {
        let told = self.sleep(within, |told| wanted(&told.stats) || !told.stats.attached);
        let stats = told.stats.clone();
        drop(told);
        if wanted(&stats) {
            return Ok(stats);
        }
        Err(Error::TimedOut {
            what: what.to_owned(),
            after: within,
            seen: match &stats.ended {
                Some(why) => format!("it ended: {why}"),
                None => stats.to_string(),
            },
        })
    }

    /// Waits until so many commands were carried out, or the camera is gone.
    pub(crate) fn obeyed(&self, commands: u64) -> Result<(), Error> {
        let told = self.sleep(OBEYING, |told| {
            told.carried_out >= commands || !told.stats.attached
        });
        if told.carried_out >= commands || !told.stats.attached {
            return Ok(());
        }
        Err(Error::TimedOut {
            what: "ready for a command".to_owned(),
            after: OBEYING,
            seen: told.stats.to_string(),
        })
    }

    fn sleep(
        &self,
        within: Duration,
        mut enough: impl FnMut(&Told) -> bool,
    ) -> MutexGuard<'_, Told> {
        let deadline = Instant::now() + within;
        let mut told = lock(&self.0.told);
        while !enough(&told) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let woken = self.0.changed.wait_timeout(told, left);
            told = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        told
    }
}

/// What is under the lock is whole between any two statements, so a thread that panicked leaves nothing half done.
fn lock(told: &Mutex<Told>) -> MutexGuard<'_, Told> {
    told.lock().unwrap_or_else(PoisonError::into_inner)
}
