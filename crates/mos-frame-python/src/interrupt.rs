//! Waiting that other threads of the interpreter, and Ctrl-C, don't have to wait for.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// A signal ends the wait by itself; this is for one that comes right before it, and for `close()` by another thread.
const SLICE: Duration = Duration::from_millis(500);

/// Waits until `fd` is readable, a slice of time is over, or a signal came (whose handler then runs, and may raise).
/// False once `deadline` is over.
pub(crate) fn wait(
    py: Python<'_>,
    fd: BorrowedFd<'_>,
    deadline: Option<Instant>,
) -> PyResult<bool> {
    let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
    if left.is_some_and(|left| left.is_zero()) {
        return Ok(false);
    }
    let slice = left.map_or(SLICE, |left| left.min(SLICE));
    py.detach(|| poll_for(fd, slice))?;
    py.check_signals()?;
    Ok(true)
}

fn poll_for(fd: BorrowedFd<'_>, time: Duration) -> io::Result<()> {
    let time = Timespec {
        tv_sec: time.as_secs().cast_signed(),
        tv_nsec: time.subsec_nanos().into(),
    };
    match poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&time)) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
