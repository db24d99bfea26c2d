//! The control thread of a publisher: connections, handshakes, acknowledgements, deaths, late releases.

use std::collections::HashMap;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;

use super::Shared;
use super::allowance::{Allowance, Lines};
use super::aside::Aside;
use super::greeting::{Applicant, printable};
use super::inspection::{Outpour, Reports};
use super::state::Aftermath;
use super::upkeep::Reaper;
use crate::admission::Demand;
use crate::socket::{self, Got, Listener, Peer};
use crate::wire::{Message, Reason, VERSION};

pub(super) const LISTENER: u64 = u64::MAX;
const WAKE: u64 = u64::MAX - 1;
/// Packets read from one peer, or connections accepted, before the others have their turn.
pub(super) const BURST: usize = 16;

/// Messages of an unknown type that a peer may send at once, and how often one more.
const UNKNOWN: u32 = 64;
const UNKNOWN_EVERY: Duration = Duration::from_millis(100);

/// One connection.
pub(super) struct Connection {
    pub(super) socket: Arc<OwnedFd>,
    pub(super) peer: Peer,
    pub(super) applicant: Applicant,
    pub(super) phase: Phase,
    /// When it was accepted.
    pub(super) since: Instant,
    pub(super) unknown: Allowance,
    pub(super) wants_write: bool,
}

impl Connection {
    pub(super) fn new(socket: Arc<OwnedFd>, peer: Peer, since: Instant, until: Instant) -> Self {
        Self {
            socket,
            applicant: Applicant::of(&peer),
            peer,
            phase: Phase::Greeting { until },
            since,
            unknown: Allowance::new(UNKNOWN, UNKNOWN_EVERY, since),
            wants_write: false,
        }
    }
}

/// How far a connection is.
pub(super) enum Phase {
    /// It has not said what it wants.
    Greeting { until: Instant },
    /// It wanted a report, and reads it.
    Reporting { until: Instant, report: Outpour },
    /// It said HELLO and is in the books.
    Subscribed,
}

impl Phase {
    /// By when it has to be in the books or gone.
    pub(super) const fn until(&self) -> Option<Instant> {
        match self {
            Self::Greeting { until } | Self::Reporting { until, .. } => Some(*until),
            Self::Subscribed => None,
        }
    }
}

pub(super) struct Control<K: Send + 'static> {
    pub(super) shared: Arc<Shared<K>>,
    /// `None` once the stream has ended.
    pub(super) listener: Option<Listener>,
    pub(super) epoll: OwnedFd,
    pub(super) connections: HashMap<u64, Connection>,
    pub(super) next_id: u64,
    pub(super) listening: bool,
    /// Not before then is a connection accepted, after one could not be.
    pub(super) listen_again: Option<Instant>,
    pub(super) reaper: Reaper,
    pub(super) reports: Reports,
    pub(super) aside: Aside,
    /// Of the log, about who was refused and about who was cut off.
    pub(super) refusal_lines: Lines,
    pub(super) eviction_lines: Lines,
}

/// A connection has two things to watch: its socket and its process.
pub(super) const fn socket_token(id: u64) -> u64 {
    id << 1
}

pub(super) const fn process_token(id: u64) -> u64 {
    id << 1 | 1
}

impl<K: Send + 'static> Control<K> {
    pub(super) fn new(shared: Arc<Shared<K>>, listener: Listener) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(
            &epoll,
            &listener,
            EventData::new_u64(LISTENER),
            EventFlags::IN,
        )?;
        epoll::add(
            &epoll,
            &shared.wake,
            EventData::new_u64(WAKE),
            EventFlags::IN,
        )?;
        Ok(Self {
            shared,
            listener: Some(listener),
            epoll,
            connections: HashMap::new(),
            next_id: 1,
            listening: true,
            listen_again: None,
            reaper: Reaper::new(),
            reports: Reports::new(Instant::now()),
            aside: Aside::default(),
            refusal_lines: Lines::new(Instant::now()),
            eviction_lines: Lines::new(Instant::now()),
        })
    }

    /// Serves the stream until it ends.
    pub(super) fn run(mut self) {
        while !self.shared.lock().stopping {
            if !self.turn() {
                return;
            }
        }
        self.say_goodbye();
        if self.connections.is_empty() {
            return;
        }
        // Some hold frames, which have to stay as they are. The publisher's owner need not wait for that.
        let path = self.shared.path.clone();
        let rest = move || while !self.connections.is_empty() && self.turn() {};
        if let Err(error) = thread::Builder::new()
            .name("mos-frame-end".into())
            .spawn(rest)
        {
            tracing::error!(path = %path.display(), %error, "frames that subscribers hold can't be kept for them");
        }
    }

    /// Waits for events and handles them; false if there can be no more.
    pub(super) fn turn(&mut self) -> bool {
        let mut space = [MaybeUninit::uninit(); 32];
        let timeout = self.timeout(Instant::now()).map(timespec);
        let events: Vec<(u64, EventFlags)> = match epoll::wait(
            &self.epoll,
            &mut space,
            timeout.as_ref(),
        ) {
            Ok((events, _)) => events.iter().map(|e| (e.data.u64(), e.flags)).collect(),
            Err(Errno::INTR) => return true,
            Err(error) => {
                tracing::error!(path = %self.shared.path.display(), %error, "the stream's control thread can't wait; the stream ends");
                return false;
            }
        };
        for (token, flags) in events {
            self.handle(token, flags);
        }
        self.house_keeping(Instant::now());
        true
    }

    fn handle(&mut self, token: u64, flags: EventFlags) {
        match token {
            LISTENER => self.accept(),
            WAKE => {
                // Only the wake-up matters; the count does not, nor does a second reader's EAGAIN.
                let _ = rustix::io::read(&self.shared.wake, &mut [0_u8; 8]);
            }
            _ if token & 1 == 1 => self.gone(token >> 1),
            _ => self.handle_socket(token >> 1, flags),
        }
    }

    fn handle_socket(&mut self, id: u64, flags: EventFlags) {
        if flags.contains(EventFlags::OUT) {
            self.shared.flush(id);
            self.pour(id);
        }
        if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
            self.read(id);
        }
    }

    /// A last word; if there is no room for it the peer sees the connection end.
    pub(super) fn tell(&self, socket: &OwnedFd, message: &Message) {
        if let Err(error) = socket::send(socket.as_fd(), &message.encode(), &[]) {
            tracing::debug!(path = %self.shared.path.display(), %error, "a last message was not sent");
        }
    }

    pub(super) fn read(&mut self, id: u64) {
        for _ in 0..BURST {
            let Some(connection) = self.connections.get(&id) else {
                return;
            };
            let bytes = match socket::receive_from_stranger(connection.socket.as_fd()) {
                Ok(Got::Bytes(bytes)) => bytes,
                Ok(Got::Descriptors) => {
                    return self.offend(id, Reason::Protocol, "subscribers send no descriptors");
                }
                Ok(Got::Empty) => return,
                Ok(Got::Gone) => return self.gone(id),
                Err(error) => return self.offend(id, Reason::Protocol, &error.to_string()),
            };
            match Message::decode(&bytes) {
                Ok(Some(message)) => {
                    self.act(id, message);
                    self.check();
                }
                Ok(None) => self.shrug(id),
                Err(error) => return self.offend(id, Reason::Protocol, &error.to_string()),
            }
        }
    }

    /// In debug builds only: a peer's message must leave the state sound, whatever it was.
    fn check(&self) {
        #[cfg(debug_assertions)]
        if let Err(error) = self.shared.lock().check_invariants() {
            panic!("{}: {error}", self.shared.path.display());
        }
    }

    /// A message of a later version came, which we need not know. Only so often: each costs a turn of this thread.
    fn shrug(&mut self, id: u64) {
        let connection = self.connections.get_mut(&id);
        if connection.is_some_and(|c| !c.unknown.take(Instant::now())) {
            let text = format!(
                "it sent more than {UNKNOWN} unknown messages, and more than one in {} ms",
                UNKNOWN_EVERY.as_millis()
            );
            self.offend(id, Reason::Protocol, &text);
        }
    }

    fn act(&mut self, id: u64, message: Message) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let greeting = matches!(connection.phase, Phase::Greeting { .. });
        let subscribed = matches!(connection.phase, Phase::Subscribed);
        match message {
            Message::Hello {
                min_version,
                max_version,
                window,
                hold,
                name,
            } if greeting => {
                connection.applicant.name = printable(&name);
                connection.applicant.demand = Demand { window, hold };
                if (min_version..=max_version).contains(&VERSION) {
                    self.admit(id);
                } else {
                    self.refuse_version(id, (min_version, max_version));
                }
            }
            Message::Inspect {
                min_version,
                max_version,
            } if greeting => self.inspect(id, (min_version, max_version)),
            Message::BufferAck { count } if subscribed => {
                let acknowledged = self.shared.lock().acknowledge(id, count);
                match acknowledged {
                    Ok(()) => drop(self.shared.flush(id)),
                    Err(text) => self.offend(id, Reason::Protocol, text),
                }
            }
            Message::Bye => self.gone(id),
            other => self.offend(
                id,
                Reason::Protocol,
                &format!("unexpected message: {other:?}"),
            ),
        }
    }

    /// The peer broke the protocol.
    pub(super) fn offend(&mut self, id: u64, reason: Reason, text: &str) {
        let connection = self.connections.get(&id);
        if connection.is_some_and(|c| !matches!(c.phase, Phase::Subscribed)) {
            return self.refuse_greeting(id, reason, text);
        }
        let mut after = Aftermath::default();
        self.shared.lock().evict(id, reason, text, &mut after);
        self.shared.finish(after);
    }

    /// The peer's process or connection is gone: its leases come back at once.
    pub(super) fn gone(&mut self, id: u64) {
        let mut after = Aftermath::default();
        let sub = self.shared.lock().remove(id, &mut after);
        self.shared.finish(after);
        if let Some(sub) = sub {
            tracing::debug!(path = %self.shared.path.display(), subscriber = id, name = sub.name, pid = sub.pid, "subscriber gone");
        }
        if let Some(connection) = self.connections.remove(&id) {
            self.unwatch(&connection);
        }
    }

    /// Closing a descriptor alone does not end its watch if a forked child holds a copy of it.
    pub(super) fn unwatch(&self, connection: &Connection) {
        let mut ended = epoll::delete(&self.epoll, &*connection.socket);
        if let Some(pidfd) = &connection.peer.pidfd {
            ended = ended.and(epoll::delete(&self.epoll, pidfd));
        }
        if let Err(error) = ended {
            tracing::debug!(path = %self.shared.path.display(), %error, "a connection was not watched");
        }
        self.part(&connection.socket);
    }

    /// Ends a connection; see [`Aside::part`].
    pub(super) fn part(&self, socket: &Arc<OwnedFd>) {
        if let Err(error) = self.aside.part(socket) {
            tracing::warn!(path = %self.shared.path.display(), %error, "no thread to close what a peer may have sent; raise the limit on threads");
        }
    }
}

fn timespec(duration: Duration) -> Timespec {
    // Rounded up by a millisecond, so that a deadline has passed when the wait ends.
    let duration = duration + Duration::from_millis(1);
    Timespec {
        tv_sec: duration.as_secs().cast_signed(),
        tv_nsec: i64::from(duration.subsec_nanos()),
    }
}
