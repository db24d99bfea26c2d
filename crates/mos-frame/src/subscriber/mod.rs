//! A consumer's end of a stream.

#[cfg(any(test, fuzzing))]
mod by_hand;
mod errors;
mod fork;
mod frame;
mod invariants;
mod reconnect;
mod session;
#[cfg(test)]
mod tests;

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

#[cfg(any(test, fuzzing))]
pub(crate) use by_hand::ByHand;
pub use errors::{ConnectError, RecvError};
pub use frame::Frame;
#[cfg(feature = "cpu-access")]
pub use frame::MappedFrame;
use reconnect::{Backoff, Watch};
pub(crate) use session::End;
use session::{Heard, Session, SessionError};

use crate::socket::Wait;
pub use crate::wire::Reason;

/// How to subscribe.
#[derive(Debug, Clone)]
pub struct SubscriberOptions {
    /// Name shown in the producer's status; default the process's name.
    pub name: String,
    /// N of LATEST-N: offers older than the newest N are taken back. 1 to 64, default 2.
    pub window: u32,
    /// Most frames held at once, 0 to 64, default 1. With 0 a frame is ours only while it is in the window, which costs the
    /// producer no buffer.
    pub hold: u32,
    /// Whether to wait for the producer to come back when it goes away; default true.
    pub reconnect: bool,
    /// Longest wait of [`Subscriber::connect`]; default 5 s.
    pub timeout: Duration,
}

impl Default for SubscriberOptions {
    fn default() -> Self {
        Self {
            name: own_name(),
            window: 2,
            hold: 1,
            reconnect: true,
            timeout: Duration::from_secs(5),
        }
    }
}

fn own_name() -> String {
    let exe = std::env::args_os()
        .next()
        .map(PathBuf::from)
        .unwrap_or_default();
    exe.file_name().map_or_else(
        || "unnamed".into(),
        |name| name.to_string_lossy().into_owned(),
    )
}

/// What a subscriber received so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SubscriberStats {
    /// Frames received.
    pub received: u64,
    /// Frames of the same session that were published in between and not received.
    pub missed: u64,
    /// Gaps: places where at least one frame was missed.
    pub gaps: u64,
    /// Sessions after the first.
    pub reconnects: u64,
}

/// Receives the frames of one stream.
///
/// Three ways to wait for a frame: [`next`](Self::next) blocks; [`try_next`](Self::try_next) with `poll(2)`, `epoll(7)` or
/// any event loop on [`AsFd`]; and, with the feature `tokio`, `mos_frame::tokio::AsyncSubscriber`.
///
/// When the producer goes away the subscriber waits for it to come back (see [`SubscriberOptions::reconnect`]); frames in
/// hand stay valid.
#[derive(Debug)]
pub struct Subscriber {
    path: PathBuf,
    options: SubscriberOptions,
    /// Readable when a call of `try_next` is worthwhile; the same descriptor over all reconnections.
    ready: OwnedFd,
    /// Whether `ready` watches the session: from the first `try_next` on. The kernel tells a watcher of each ring before it
    /// wakes who sleeps in a receive, so that a subscriber that only sleeps is woken sooner without.
    polled: bool,
    link: Link,
    /// Pace of the attempts to come back; starts anew with the first frame of a session, not before: a producer that ends
    /// each session at once would else keep us busy without end.
    backoff: Backoff,
    /// Whether the session that is up was noted as the next one.
    noted: bool,
    /// Whether a session was up before.
    known: bool,
    stats: SubscriberStats,
}

#[derive(Debug)]
enum Link {
    Up(Session),
    Down(Watch),
    /// Over for good: the error was given once.
    Closed,
}

impl Subscriber {
    /// Subscribes to the stream whose socket is at `path`; waits for the producer's answer, at most `options.timeout`.
    pub fn connect(path: &Path, options: SubscriberOptions) -> Result<Self, ConnectError> {
        let failed = |e: io::Error| ConnectError::from_io(path, e);
        let ready = epoll::create(CreateFlags::CLOEXEC).map_err(|e| failed(e.into()))?;
        let too_late = || ConnectError::Timeout {
            path: path.to_owned(),
            timeout: options.timeout,
        };
        let deadline = Instant::now().checked_add(options.timeout);
        let opened = Session::open(path, &options, Some(options.timeout));
        let mut session = opened.map_err(|e| match e.kind() {
            io::ErrorKind::WouldBlock => too_late(),
            _ => failed(e),
        })?;
        while !session.is_started() {
            session
                .hear_all()
                .map_err(|end| ConnectError::from_end(path, end))?;
            if !session.is_started() && !wait_readable(session.fd(), deadline).map_err(failed)? {
                return Err(too_late());
            }
        }
        Ok(Self {
            path: path.to_owned(),
            options,
            ready,
            polled: false,
            link: Link::Up(session),
            backoff: Backoff::default(),
            noted: true,
            known: true,
            stats: SubscriberStats::default(),
        })
    }

    /// As [`Self::connect`], but nobody needs to publish yet: it starts out as a subscriber whose producer is away, and
    /// subscribes once there is one. Never waits; `options.reconnect` counts from the first session on.
    ///
    /// A refusal is tried again, as it is for a producer that came back. Fails if the kernel has no descriptors left.
    pub fn await_stream(path: &Path, options: SubscriberOptions) -> io::Result<Self> {
        let ready = epoll::create(CreateFlags::CLOEXEC)?;
        let mut backoff = Backoff::default();
        let down = Self::watch_for(path, &ready, backoff.next())?;
        Ok(Self {
            path: path.to_owned(),
            options,
            ready,
            polled: false,
            link: Link::Down(down),
            backoff,
            noted: false,
            known: false,
            stats: SubscriberStats::default(),
        })
    }

    /// Waits for a producer: `ready` becomes readable when an attempt is worthwhile, at first after `wait`.
    fn watch_for(path: &Path, ready: &OwnedFd, wait: Duration) -> io::Result<Watch> {
        let down = Watch::new(path)?;
        down.set(wait)?;
        for fd in down.fds() {
            watch(ready, fd)?;
        }
        Ok(down)
    }

    /// The next frame in order, if one is there; frames that left the window are skipped.
    ///
    /// `None` means: wait until [`AsFd`] is readable, then call again. No frame can slip in between unnoticed.
    pub fn try_next(&mut self) -> Result<Option<Frame>, RecvError> {
        self.poll(false)
    }

    /// As [`Self::try_next`], but the newest frame; older ones are skipped.
    pub fn try_latest(&mut self) -> Result<Option<Frame>, RecvError> {
        self.poll(true)
    }

    /// The next frame in order; waits for it, also while the producer is away.
    #[expect(
        clippy::should_implement_trait,
        reason = "an iterator could not hand out errors and go on"
    )]
    pub fn next(&mut self) -> Result<Frame, RecvError> {
        loop {
            if let Waited::Frame(frame) = self.wait(false, None, None)? {
                return Ok(frame);
            }
        }
    }

    /// As [`Self::next`], but gives `None` after `timeout`.
    pub fn next_timeout(&mut self, timeout: Duration) -> Result<Option<Frame>, RecvError> {
        match self.wait(false, None, Instant::now().checked_add(timeout))? {
            Waited::Frame(frame) => Ok(Some(frame)),
            Waited::Other | Waited::TimedOut => Ok(None),
        }
    }

    /// As [`Self::next`], but also ends when `other` is readable (an eventfd that stops the wait, say) or `deadline` passes.
    ///
    /// Two system calls a frame, where [`Self::try_next`] in an event loop takes five: the wait is for the connection itself.
    /// [`AsFd`] tells nothing from then on, until the next [`Self::try_next`].
    pub fn next_or(
        &mut self,
        other: BorrowedFd<'_>,
        deadline: Option<Instant>,
    ) -> Result<Waited, RecvError> {
        self.wait_without_watch(false, other, deadline)
    }

    /// As [`Self::next_or`], but the newest frame; older ones are skipped.
    pub fn latest_or(
        &mut self,
        other: BorrowedFd<'_>,
        deadline: Option<Instant>,
    ) -> Result<Waited, RecvError> {
        self.wait_without_watch(true, other, deadline)
    }

    fn wait_without_watch(
        &mut self,
        newest: bool,
        other: BorrowedFd<'_>,
        deadline: Option<Instant>,
    ) -> Result<Waited, RecvError> {
        self.unwatch();
        self.polled = false;
        self.wait(newest, Some(other), deadline)
    }

    /// Whether a producer is there now.
    pub fn is_connected(&self) -> bool {
        matches!(&self.link, Link::Up(session) if session.is_started())
    }

    /// What was received so far.
    pub const fn stats(&self) -> SubscriberStats {
        self.stats
    }

    fn poll(&mut self, newest: bool) -> Result<Option<Frame>, RecvError> {
        if !self.polled {
            if let Link::Up(session) = &self.link {
                watch(&self.ready, session.fd())?;
            }
            self.polled = true;
        }
        loop {
            let Some(session) = self.session()? else {
                return Ok(None);
            };
            if session.disarm()
                && let Err(end) = session.hear_all()
            {
                self.end(end)?;
                continue;
            }
            if let Some(frame) = self.claim(newest)? {
                return Ok(Some(frame));
            }
            let Link::Up(session) = &mut self.link else {
                continue;
            };
            session.arm();
            if session.has_offer() {
                continue;
            }
            // Read to the end, so that whoever waits for an edge gets one with the next message.
            match session.hear_all() {
                Ok(Heard::Nothing) => return Ok(None),
                Ok(_) => {}
                Err(end) => self.end(end)?,
            }
        }
    }

    /// Waits with one system call a frame, the ring itself, where there is nothing else to wait for.
    fn wait(
        &mut self,
        newest: bool,
        other: Option<BorrowedFd<'_>>,
        deadline: Option<Instant>,
    ) -> Result<Waited, RecvError> {
        loop {
            if self.session()?.is_none() {
                match wait_either(self.ready.as_fd(), other, deadline)? {
                    Readable::This => continue,
                    Readable::Other => return Ok(Waited::Other),
                    Readable::Neither => return Ok(Waited::TimedOut),
                }
            }
            if let Some(frame) = self.claim(newest)? {
                return Ok(Waited::Frame(frame));
            }
            let Link::Up(session) = &mut self.link else {
                continue;
            };
            if let Err(end) = doze(session, other, deadline) {
                match end {
                    Doze::End(end) => self.end(end)?,
                    Doze::Other => return Ok(Waited::Other),
                    Doze::Late => return Ok(Waited::TimedOut),
                    Doze::Io(error) => return Err(error.into()),
                }
            }
        }
    }

    /// The session, if one is up; else tries to get one.
    fn session(&mut self) -> Result<Option<&mut Session>, RecvError> {
        if let Link::Down(watch) = &mut self.link {
            if !watch.is_due() {
                return Ok(None);
            }
            if let Ok(session) = Session::open(&self.path, &self.options, None) {
                self.bring_up(session)?;
            } else {
                watch.set(self.backoff.next())?;
            }
        }
        match &mut self.link {
            Link::Up(session) if session.is_ours() => Ok(Some(session)),
            Link::Up(_) => Err(fork::inherited().into()),
            Link::Down(_) => Ok(None),
            Link::Closed => Err(RecvError::Disconnected),
        }
    }

    fn bring_up(&mut self, session: Session) -> io::Result<()> {
        if self.polled {
            watch(&self.ready, session.fd())?;
        }
        self.noted = false;
        self.link = Link::Up(session);
        Ok(())
    }

    fn claim(&mut self, newest: bool) -> Result<Option<Frame>, RecvError> {
        if !self.noted && self.is_connected() {
            self.noted = true;
            self.stats.reconnects += u64::from(self.known);
            self.known = true;
        }
        let Link::Up(session) = &mut self.link else {
            return Ok(None);
        };
        match session.claim(newest) {
            Ok(None) => Ok(None),
            Ok(Some((frame, missed))) => {
                self.backoff = Backoff::default();
                self.stats.received += 1;
                self.stats.missed = self.stats.missed.saturating_add(missed);
                self.stats.gaps += u64::from(missed > 0);
                Ok(Some(frame))
            }
            Err(SessionError::Recv(error)) => Err(error),
            Err(SessionError::End(end)) => self.end(end).map(|()| None),
        }
    }

    /// A session is over: wait for the next, or say why not.
    fn end(&mut self, end: End) -> Result<(), RecvError> {
        let error = match end {
            End::Gone if self.options.reconnect => None,
            // A producer that is full or shutting down may take us later.
            End::Refused { reason, text } if self.options.reconnect => {
                tracing::info!(path = %self.path.display(), ?reason, text, "the producer refused; trying again");
                None
            }
            End::Gone => Some(RecvError::Disconnected),
            End::Refused { reason, text } | End::Evicted { reason, text } => {
                Some(RecvError::Evicted { reason, text })
            }
            End::Protocol(text) => Some(RecvError::Protocol(text)),
            End::Io(error) => Some(RecvError::Io(error)),
        };
        if let Some(error) = error {
            self.unwatch();
            self.link = Link::Closed;
            return Err(error);
        }
        let down = Self::watch_for(&self.path, &self.ready, self.backoff.next())?;
        self.unwatch();
        self.link = Link::Down(down);
        Ok(())
    }

    /// Frames in hand keep the socket open, which is readable for ever once the session is over.
    fn unwatch(&self) {
        if let Link::Up(session) = &self.link
            && self.polled
            && let Err(error) = epoll::delete(&self.ready, session.fd())
        {
            tracing::debug!(path = %self.path.display(), %error, "the connection was not watched");
        }
    }
}

impl AsFd for Subscriber {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ready.as_fd()
    }
}

impl AsRawFd for Subscriber {
    fn as_raw_fd(&self) -> RawFd {
        self.ready.as_raw_fd()
    }
}

/// What a wait came to.
#[derive(Debug)]
pub enum Waited {
    /// A frame.
    Frame(Frame),
    /// The other descriptor is readable.
    Other,
    /// The deadline passed.
    TimedOut,
}

/// Why a wait for a frame found none.
enum Doze {
    /// The other descriptor is readable.
    Other,
    /// The deadline came.
    Late,
    /// The session is over.
    End(End),
    /// The kernel refused to wait.
    Io(io::Error),
}

impl From<End> for Doze {
    fn from(end: End) -> Self {
        Self::End(end)
    }
}

/// Waits until there may be a frame to claim, or a message was read.
fn doze(
    session: &mut Session,
    other: Option<BorrowedFd<'_>>,
    deadline: Option<Instant>,
) -> Result<(), Doze> {
    session.arm();
    if session.has_offer() {
        session.stand_down(&Heard::Nothing)?;
        return Ok(());
    }
    let wait = if other.is_none() && deadline.is_none() {
        Wait::Yes
    } else {
        let end = match wait_either(session.fd(), other, deadline).map_err(Doze::Io)? {
            Readable::This => None,
            Readable::Other => Some(Doze::Other),
            Readable::Neither => Some(Doze::Late),
        };
        if let Some(end) = end {
            let rung = session.stand_down(&Heard::Nothing)?;
            return if rung { Ok(()) } else { Err(end) };
        }
        Wait::No
    };
    // A ring is the common case and says all; anything else may have more behind it.
    let mut heard = session.hear(wait)?;
    if heard != Heard::Ring {
        heard = session.hear_all()?;
    }
    session.stand_down(&heard)?;
    Ok(())
}

fn watch(ready: &OwnedFd, fd: BorrowedFd<'_>) -> io::Result<()> {
    Ok(epoll::add(
        ready,
        fd,
        EventData::new_u64(0),
        EventFlags::IN,
    )?)
}

/// Waits until `fd` is readable; false if the deadline came first.
pub(crate) fn wait_readable(fd: BorrowedFd<'_>, deadline: Option<Instant>) -> io::Result<bool> {
    Ok(wait_either(fd, None, deadline)? == Readable::This)
}

/// Which of two descriptors is readable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Readable {
    This,
    /// The other; maybe both.
    Other,
    /// The deadline came first.
    Neither,
}

fn wait_either(
    fd: BorrowedFd<'_>,
    other: Option<BorrowedFd<'_>>,
    deadline: Option<Instant>,
) -> io::Result<Readable> {
    let watched = |fd| PollFd::from_borrowed_fd(fd, PollFlags::IN);
    let mut fds = [watched(fd), watched(other.unwrap_or(fd))];
    let watched = if other.is_some() { 2 } else { 1 };
    loop {
        let left = deadline.map(|d| d.saturating_duration_since(Instant::now()));
        let left = left.map(|d| Timespec {
            tv_sec: d.as_secs().cast_signed(),
            tv_nsec: i64::from(d.subsec_nanos()),
        });
        match poll(&mut fds[..watched], left.as_ref()) {
            Ok(0) => return Ok(Readable::Neither),
            Ok(_) if other.is_some() && !fds[1].revents().is_empty() => return Ok(Readable::Other),
            Ok(_) => return Ok(Readable::This),
            Err(Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
}
