//! Ctrl-C, SIGTERM and SIGHUP end a run through its handles, so that every child is stopped and every folder removed.

use std::io;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::error::Error;

static INTERRUPTED: Mutex<bool> = Mutex::new(false);
static CHANGED: Condvar = Condvar::new();

/// Takes the signals over. Call once.
pub(crate) fn install() -> Result<(), Error> {
    // The handler runs on a thread of its own, so it may lock.
    let handler = || {
        *INTERRUPTED.lock().unwrap_or_else(PoisonError::into_inner) = true;
        CHANGED.notify_all();
    };
    ctrlc::set_handler(handler)
        .map_err(|error| Error::io("cannot handle signals")(io::Error::other(error)))
}

/// Whether the user wants the run to end.
pub(crate) fn interrupted() -> bool {
    *INTERRUPTED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lets time pass, at most until the user wants the run to end; answers whether that is so.
pub(crate) fn pause(time: Duration) -> bool {
    let guard = INTERRUPTED.lock().unwrap_or_else(PoisonError::into_inner);
    let waited = CHANGED.wait_timeout_while(guard, time, |interrupted| !*interrupted);
    *waited.unwrap_or_else(PoisonError::into_inner).0
}

/// Fails if the user wants the run to end.
pub(crate) fn check() -> Result<(), Error> {
    if interrupted() {
        Err(Error::Interrupted)
    } else {
        Ok(())
    }
}
