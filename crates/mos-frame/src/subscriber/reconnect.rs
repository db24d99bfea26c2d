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
/// A timer can't be set to nothing.
const AT_ONCE: Duration = Duration::from_nanos(1);

/// Waits between attempts: the first comes at once, since a producer may have come back already.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    last: Option<Duration>,
}

impl Backoff {
    /// The wait before the next attempt.
    pub(super) fn next(&mut self) -> Duration {
        let wait = match self.last {
            None => AT_ONCE,
            Some(last) => (last * 2).clamp(FIRST_WAIT, MAX_WAIT),
        };
        self.last = Some(wait);
        wait
    }
}

/// Tells when to try again.
#[derive(Debug)]
pub(super) struct Watch {
    /// `None` if the folder is not there (yet); then the timer has to do.
    inotify: Option<OwnedFd>,
    timer: OwnedFd,
}

impl Watch {
    /// Watches for the socket of a stream; [`Self::set`] the timer for the first attempt.
    pub(super) fn new(path: &Path) -> io::Result<Self> {
        let timer = rustix::time::timerfd_create(
            TimerfdClockId::Monotonic,
            TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK,
        )?;
        Ok(Self {
            inotify: watch_folder(path).ok(),
            timer,
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

    /// Sets the timer for the next attempt.
    pub(super) fn set(&self, wait: Duration) -> io::Result<()> {
        let once = Itimerspec {
            it_interval: Timespec::default(),
            it_value: Timespec {
                tv_sec: wait.as_secs().cast_signed(),
                tv_nsec: i64::from(wait.subsec_nanos()),
            },
        };
        rustix::time::timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once)?;
        Ok(())
    }
}

fn watch_folder(path: &Path) -> io::Result<OwnedFd> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let fd = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
    // A producer's socket appears by rename.
    inotify::add_watch(
        &fd,
        folder,
        inotify::WatchFlags::MOVED_TO | inotify::WatchFlags::CREATE,
    )?;
    Ok(fd)
}
