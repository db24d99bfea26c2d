//! Ctrl-C, SIGTERM and SIGHUP end a run through its handles, so that every child is stopped and every folder removed.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::Error;

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Takes the signals over. Call once.
pub(crate) fn install() -> Result<(), Error> {
    ctrlc::set_handler(|| INTERRUPTED.store(true, Ordering::SeqCst))
        .map_err(|error| Error::io("cannot handle signals")(io::Error::other(error)))
}

/// Whether the user wants the run to end.
pub(crate) fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::SeqCst)
}

/// Fails if the user wants the run to end.
pub(crate) fn check() -> Result<(), Error> {
    if interrupted() {
        Err(Error::Interrupted)
    } else {
        Ok(())
    }
}
