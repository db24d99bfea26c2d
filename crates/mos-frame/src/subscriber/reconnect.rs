//! Waiting for a producer to come back: an inotify watch on the folder, and a timer for what no event tells.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use rustix::fs::inotify;
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};

/// First wait after a failed attempt; doubled up to [`MAX_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(20);
const MAX_WAIT: Duration = Duration::from_secs(1);

/// Tells when to try again.
#[derive(Debug)]
pub(super) struct Watch {
    /// `None` if the folder is not there (yet); then the timer has to do.
    inotify: Option<OwnedFd>,
    timer: OwnedFd,
    wait: Duration,
}

impl Watch {
    /// Watches for the socket of a stream. Due at once: a producer may have come back before the watch was there.
    pub(super) fn new(path: &Path) -> io::Result<Self> {
        let timer = rustix::time::timerfd_create(
            TimerfdClockId::Monotonic,
            TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK,
        )?;
        set(&timer, Duration::from_nanos(1))?;
        Ok(Self {
            inotify: watch_folder(path).ok(),
            timer,
            wait: FIRST_WAIT,
        })
    }

    pub(super) fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.inotify.iter().chain([&self.timer]).map(AsFd::as_fd)
    }

    /// Whether something happened since the last call that makes an attempt worthwhile.
    pub(super) fn is_due(&self) -> bool {
        let expired = rustix::io::read(&self.timer, &mut [0_u8; 8]).is_ok();
        let mut space = [MaybeUninit::uninit(); 1024];
        let mut appeared = false;
        if let Some(inotify) = &self.inotify {
            let mut events = inotify::Reader::new(inotify, &mut space);
            while events.next().is_ok() {
                appeared = true;
            }
        }
        expired || appeared
    }

    /// Sets the timer after an attempt that failed.
    pub(super) fn back_off(&mut self) -> io::Result<()> {
        set(&self.timer, self.wait)?;
        self.wait = (self.wait * 2).min(MAX_WAIT);
        Ok(())
    }
}

fn set(timer: &OwnedFd, wait: Duration) -> io::Result<()> {
    let zero = Timespec::default();
    let it_value = Timespec {
        tv_sec: wait.as_secs().cast_signed(),
        tv_nsec: i64::from(wait.subsec_nanos()),
    };
    let once = Itimerspec {
        it_interval: zero,
        it_value,
    };
    rustix::time::timerfd_settime(timer, TimerfdTimerFlags::empty(), &once)?;
    Ok(())
}

fn watch_folder(path: &Path) -> io::Result<OwnedFd> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let fd = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
    // A producer's socket appears by rename.
    inotify::add_watch(
        &fd,
        folder,
        inotify::WatchFlags::MOVED_TO | inotify::WatchFlags::CREATE,
    )?;
    Ok(fd)
}
