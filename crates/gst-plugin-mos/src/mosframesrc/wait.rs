//! Waiting for the bus, with a way to stop the wait.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;

/// Why a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Woken {
    /// The descriptor is readable.
    Ready,
    /// [`Stop::set`] was called.
    Stopped,
    /// The deadline passed.
    TimedOut,
}

/// A flag that ends waits, now and until it is cleared.
#[derive(Debug)]
pub(crate) struct Stop(OwnedFd);

impl Stop {
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self(eventfd(
            0,
            EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK,
        )?))
    }

    /// Ends the wait that is on, and those to come.
    pub(crate) fn set(&self) -> std::io::Result<()> {
        match rustix::io::write(&self.0, &1_u64.to_ne_bytes()) {
            // A full counter is set as well.
            Ok(_) | Err(Errno::AGAIN) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Lets waits wait again.
    pub(crate) fn clear(&self) -> std::io::Result<()> {
        match rustix::io::read(&self.0, &mut [0_u8; 8]) {
            Ok(_) | Err(Errno::AGAIN) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits until `fd` is readable, but no longer than to the deadline.
    pub(crate) fn wait(
        &self,
        fd: BorrowedFd<'_>,
        deadline: Option<Instant>,
    ) -> std::io::Result<Woken> {
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let mut fds = [
                PollFd::new(&self.0, PollFlags::IN),
                PollFd::from_borrowed_fd(fd, PollFlags::IN),
            ];
            match poll(&mut fds, left.map(timespec).as_ref()) {
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
                Ok(0) => return Ok(Woken::TimedOut),
                Ok(_) if !fds[0].revents().is_empty() => return Ok(Woken::Stopped),
                Ok(_) => return Ok(Woken::Ready),
            }
        }
    }
}

impl AsFd for Stop {
    /// Readable while the flag is set.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn timespec(duration: Duration) -> Timespec {
    // A wait of 68 years or more may be cut short: whoever waits looks at the deadline again.
    Timespec {
        tv_sec: duration.as_secs().min(i32::MAX as u64) as i64,
        tv_nsec: duration.subsec_nanos().into(),
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn quiet() -> (OwnedFd, OwnedFd) {
        let (read, write) = rustix::pipe::pipe().unwrap();
        (read, write)
    }

    #[test]
    fn a_stop_ends_waits_until_it_is_cleared() {
        let (stop, (read, write)) = (Stop::new().unwrap(), quiet());
        thread::scope(|scope| {
            let waiting = scope.spawn(|| stop.wait(read.as_fd(), None).unwrap());
            stop.set().unwrap();
            assert_eq!(waiting.join().unwrap(), Woken::Stopped);
        });
        rustix::io::write(&write, &[1]).unwrap();
        assert_eq!(stop.wait(read.as_fd(), None).unwrap(), Woken::Stopped);
        stop.clear().unwrap();
        assert_eq!(stop.wait(read.as_fd(), None).unwrap(), Woken::Ready);
    }

    #[test]
    fn a_deadline_in_the_past_only_looks() {
        let (stop, (read, _write)) = (Stop::new().unwrap(), quiet());
        assert_eq!(
            stop.wait(read.as_fd(), Some(Instant::now())).unwrap(),
            Woken::TimedOut
        );
    }
}
