//! One client: a subscriber of the bus on one side, a socket on the other.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mos_frame::{ConnectError, Format, Frame, RecvError, Subscriber, SubscriberOptions};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::describe::{self, Moment, Unsupported};
use crate::ledger::{Ledger, UnknownBuffer};
use crate::options::Options;
use crate::socket::{self, Received, Sent, Stop};
use crate::wire::{self, Commands, Garbage};

/// Frames that are sent before the client's socket is looked at again.
const BATCH: usize = 16;
/// How long a client may go on using its last frames after the end of the stream when the endpoint stops.
const WIND_DOWN: Duration = Duration::from_secs(1);

/// Why a client is served no longer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum End {
    /// It closed its socket.
    #[error("it left")]
    Left,
    /// The stream ended, which it was told.
    #[error("the stream ended")]
    StreamEnded,
    /// The endpoint stops, which it was told.
    #[error("the endpoint stops")]
    Stopped,
    /// It kept all the frames that it may have and gave none back.
    #[error(
        "it was cut off: it held {held} frames, all that it may, and gave none back for {patience:?}; \
         if it needs more at once, raise the hold"
    )]
    Unresponsive {
        /// Frames it had.
        held: usize,
        /// How long it had them.
        patience: Duration,
    },
    /// It does not read its socket.
    #[error("it was cut off: its socket is full, for it does not read")]
    SocketFull,
    /// It does not speak the protocol.
    #[error("it was cut off: {0}")]
    Garbage(#[from] Garbage),
    /// It gave back what it did not have.
    #[error("it was cut off: it released frame {id}, which it does not have")]
    UnknownBuffer {
        /// The number it sent.
        id: u64,
    },
    /// The bus did not admit one more subscriber.
    #[error("no place on the bus: {0}")]
    NotAdmitted(#[from] ConnectError),
    /// The bus cut its subscription.
    #[error("the bus: {0}")]
    Bus(#[from] RecvError),
    /// The stream is of a kind that can't be passed on.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
    /// The kernel refused something.
    #[error("serving it failed: {0}")]
    Io(#[from] io::Error),
}

impl End {
    /// Whether the client did what none should.
    pub const fn is_fault_of_client(&self) -> bool {
        matches!(
            self,
            Self::Unresponsive { .. }
                | Self::SocketFull
                | Self::Garbage(_)
                | Self::UnknownBuffer { .. }
        )
    }

    /// Whether nothing went wrong.
    pub const fn is_expected(&self) -> bool {
        matches!(self, Self::Left | Self::StreamEnded | Self::Stopped)
    }
}

impl From<UnknownBuffer> for End {
    fn from(UnknownBuffer(id): UnknownBuffer) -> Self {
        Self::UnknownBuffer { id }
    }
}

/// What happened to the frames of one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClientStats {
    /// Its process.
    pub pid: i32,
    /// Frames that were sent.
    pub sent: u64,
    /// Frames that it gave back.
    pub released: u64,
    /// Frames that it has now.
    pub held: u64,
    /// Frames that passed while it had all that it may have, or was too slow.
    pub missed: u64,
    /// Frames that the kernel had no room to send.
    pub not_sent: u64,
}

/// What a client's thread owns.
#[derive(Debug)]
pub(crate) struct Client {
    socket: OwnedFd,
    subscriber: Subscriber,
    options: Arc<Options>,
    stop: Arc<Stop>,
    commands: Commands,
    ledger: Ledger<Frame>,
    /// Of the frame sent last.
    last: Option<Last>,
    /// Since when there is no producer.
    away_since: Option<Instant>,
    stats: Arc<Mutex<ClientStats>>,
}

#[derive(Debug)]
struct Last {
    session: u64,
    seq: u64,
    format: Format,
}

/// What woke a client's thread.
#[derive(Debug, Clone, Copy)]
struct Woken {
    stop: bool,
    socket: bool,
}

impl Client {
    /// Subscribes for a client; if nobody publishes the stream yet, as one who waits for it.
    pub(crate) fn new(
        socket: OwnedFd,
        options: Arc<Options>,
        stop: Arc<Stop>,
        stats: Arc<Mutex<ClientStats>>,
    ) -> Result<Self, End> {
        socket::limit_queue(socket.as_fd(), options.hold)?;
        let pid = stats.lock().unwrap_or_else(PoisonError::into_inner).pid;
        let subscription = || options.subscription(pid);
        let subscriber = match Subscriber::connect(&options.stream, subscription()) {
            Err(ConnectError::NotFound { .. }) => {
                Subscriber::await_stream(&options.stream, subscription())?
            }
            other => other?,
        };
        Ok(Self {
            socket,
            subscriber,
            ledger: Ledger::new(options.hold, options.release_timeout),
            options,
            stop,
            commands: Commands::default(),
            last: None,
            away_since: None,
            stats,
        })
    }

    /// Serves until there is a reason to end; then lets an honest client use up what it has.
    pub(crate) fn run(mut self) -> End {
        let end = match self.serve() {
            Ok(never) => match never {},
            Err(end) => end,
        };
        match end {
            End::StreamEnded => self.wind_down(self.options.release_timeout),
            End::Stopped => self.wind_down(WIND_DOWN.min(self.options.release_timeout)),
            _ => {}
        }
        end
    }

    fn serve(&mut self) -> Result<std::convert::Infallible, End> {
        loop {
            self.send_frames()?;
            let now = Instant::now();
            self.look_for_producer(now)?;
            self.check_patience(now)?;
            let woken = self.wait(!self.ledger.is_full())?;
            if woken.stop {
                return Err(End::Stopped);
            }
            if woken.socket {
                self.hear()?;
            }
        }
    }

    /// Sends frames until none is there, the client has all it may have, or its socket should be looked at.
    fn send_frames(&mut self) -> Result<(), End> {
        for _ in 0..BATCH {
            if self.ledger.is_full() {
                break;
            }
            let Some(frame) = self.subscriber.try_next()? else {
                break;
            };
            self.send_frame(frame)?;
        }
        let missed = self.subscriber.stats().missed;
        self.count(|stats| stats.missed = missed);
        Ok(())
    }

    fn send_frame(&mut self, frame: Frame) -> Result<(), End> {
        let (gap, format) = self.last.as_ref().map_or((true, true), |last| {
            let follows = last.session == frame.session() && frame.seq() == last.seq + 1;
            (!follows, last.format != *frame.format())
        });
        if format {
            let caps = describe::caps(frame.format(), self.options.dmabuf_caps)?;
            match self.send(&wire::caps(&caps), &[])? {
                Sent::Done => {}
                Sent::Short => {
                    self.not_sent();
                    return Ok(());
                }
                Sent::Full => return Err(End::SocketFull),
                Sent::Gone => return Err(End::Left),
            }
        }
        let moment = Moment {
            seq: frame.seq(),
            capture_ns: frame.meta().capture_ns,
            flags: frame.meta().flags,
            gap,
        };
        let (id, latency) = (self.ledger.next_id(), self.options.latency);
        let buffer = describe::buffer(id, frame.format(), frame.layout(), moment, latency);
        let fds: Vec<_> = frame.fds().collect();
        match self.send(&buffer.encode(), &fds)? {
            Sent::Done => {}
            Sent::Short => {
                self.not_sent();
                return Ok(());
            }
            Sent::Full => return Err(End::SocketFull),
            Sent::Gone => return Err(End::Left),
        }
        self.last = Some(Last {
            session: frame.session(),
            seq: frame.seq(),
            format: frame.format().clone(),
        });
        self.ledger.lend(frame, Instant::now());
        let held = self.ledger.held() as u64;
        self.count(|stats| {
            stats.sent += 1;
            stats.held = held;
        });
        Ok(())
    }

    /// The frame goes back to the bus at once; the next one says that it was missed.
    fn not_sent(&self) {
        self.count(|stats| stats.not_sent += 1);
    }

    fn send(&self, command: &[u8], fds: &[std::os::fd::BorrowedFd<'_>]) -> io::Result<Sent> {
        socket::send(self.socket.as_fd(), command, fds)
    }

    /// Reads what the client sent.
    fn hear(&mut self) -> Result<(), End> {
        let bytes = match socket::receive(self.socket.as_fd())? {
            Received::Bytes(bytes) => bytes,
            Received::Nothing => return Ok(()),
            Received::Gone => return Err(End::Left),
        };
        let (released, outcome) = self.commands.read(&bytes);
        for id in released {
            // Its lease ends here.
            drop(self.ledger.take_back(id)?);
            let held = self.ledger.held() as u64;
            self.count(|stats| {
                stats.released += 1;
                stats.held = held;
            });
        }
        Ok(outcome?)
    }

    /// Ends the stream for the client once its producer was away for too long.
    fn look_for_producer(&mut self, now: Instant) -> Result<(), End> {
        if self.subscriber.is_connected() {
            self.away_since = None;
            return Ok(());
        }
        let since = *self.away_since.get_or_insert(now);
        if now.duration_since(since) < self.options.linger {
            return Ok(());
        }
        // Had a producer come and refused us, we would still be waiting for one that does not.
        match Subscriber::connect(&self.options.stream, self.subscription()) {
            Ok(subscriber) => {
                (self.subscriber, self.away_since) = (subscriber, None);
                Ok(())
            }
            Err(ConnectError::NotFound { .. }) => Err(End::StreamEnded),
            Err(why) => Err(why.into()),
        }
    }

    fn subscription(&self) -> SubscriberOptions {
        let stats = self.stats.lock().unwrap_or_else(PoisonError::into_inner);
        self.options.subscription(stats.pid)
    }

    fn check_patience(&self, now: Instant) -> Result<(), End> {
        if !self.ledger.is_overdue(now) {
            return Ok(());
        }
        Err(End::Unresponsive {
            held: self.ledger.held(),
            patience: self.options.release_timeout,
        })
    }

    /// Waits for the client, the bus, the stop, or what is due first.
    fn wait(&self, bus: bool) -> io::Result<Woken> {
        let away = self
            .away_since
            .and_then(|since| since.checked_add(self.options.linger));
        let deadline = [away, self.ledger.deadline()].into_iter().flatten().min();
        self.poll(bus, deadline)
    }

    fn poll(&self, bus: bool, deadline: Option<Instant>) -> io::Result<Woken> {
        let mut fds = vec![
            PollFd::new(&self.stop, PollFlags::IN),
            PollFd::new(&self.socket, PollFlags::IN),
        ];
        if bus {
            fds.push(PollFd::new(&self.subscriber, PollFlags::IN));
        }
        match poll(&mut fds, deadline.map(until).as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let woken = |fd: &PollFd<'_>| !fd.revents().is_empty();
        Ok(Woken {
            stop: woken(&fds[0]),
            socket: woken(&fds[1]),
        })
    }

    /// Says that nothing follows, and keeps the leases on what the client still has until it gave it back or left: a frame
    /// that is being shown must not be overwritten just because it was the last.
    fn wind_down(&mut self, patience: Duration) {
        if !matches!(self.send(&wire::end_of_stream(), &[]), Ok(Sent::Done)) {
            return;
        }
        let deadline = Instant::now().checked_add(patience);
        while self.ledger.held() > 0 && deadline.is_none_or(|deadline| Instant::now() < deadline) {
            // The stop stays set, so it is not waited for.
            let mut fds = [PollFd::new(&self.socket, PollFlags::IN)];
            match poll(&mut fds, deadline.map(until).as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(_) => return,
            }
            if !fds[0].revents().is_empty() && self.hear().is_err() {
                return;
            }
        }
    }

    fn count(&self, change: impl FnOnce(&mut ClientStats)) {
        change(&mut self.stats.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// The time that is left; rounded up, so that it is really over after it.
fn until(deadline: Instant) -> Timespec {
    let left = deadline.saturating_duration_since(Instant::now());
    Timespec {
        // A wait of 68 years or more may be cut short: whoever waits looks at the deadline again.
        tv_sec: left.as_secs().min(i32::MAX as u64).cast_signed(),
        tv_nsec: left.subsec_nanos().into(),
    }
}
