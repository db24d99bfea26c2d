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

use super::state::{Aftermath, Sub, Tx};
use super::{Access, Shared};
use crate::admission::Demand;
use crate::books::Book;
use crate::shm::{LeasePage, SLOTS};
use crate::socket::{self, Listener, Peer, Received, Wait};
use crate::wire::{Message, Reason, VERSION};

const LISTENER: u64 = u64::MAX;
const WAKE: u64 = u64::MAX - 1;
/// Connections that may be between accept and HELLO at once; more wait in the kernel's backlog.
const MAX_GREETING: usize = 8;
/// After ETOOMANYREFS: no event tells when other peers have read their descriptors.
const RETRY: Duration = Duration::from_millis(10);
/// After a connection could not be accepted.
const LISTEN_AGAIN: Duration = Duration::from_secs(1);
/// How soon released frames are looked for once nothing is published any more: a source whose buffers are all out waits
/// for this. Doubled with each look in vain.
const REAP_FIRST: Duration = Duration::from_millis(10);
/// The longest such wait, and the wait while publishing goes on, which looks by itself.
const REAP_LAST: Duration = Duration::from_millis(100);
/// Packets read from one peer before the others have their turn.
const BURST: usize = 16;

/// One connection.
struct Connection {
    socket: Arc<OwnedFd>,
    peer: Peer,
    /// `None` once it said HELLO and is in the books.
    greeting_until: Option<Instant>,
    wants_write: bool,
}

pub(super) struct Control<K: Send + 'static> {
    shared: Arc<Shared<K>>,
    /// `None` once the stream has ended.
    listener: Option<Listener>,
    epoll: OwnedFd,
    connections: HashMap<u64, Connection>,
    next_id: u64,
    listening: bool,
    /// Not before then is a connection accepted, after one could not be.
    listen_again: Option<Instant>,
    reaper: Reaper,
}

/// When to look for released frames.
struct Reaper {
    due: Instant,
    head: u64,
    wait: Duration,
}

impl Reaper {
    /// Notes that one looked, while `head` was the newest frame.
    fn looked(&mut self, now: Instant, head: u64) {
        let publishing = std::mem::replace(&mut self.head, head) != head;
        self.due = now + if publishing { REAP_LAST } else { self.wait };
        self.wait = if publishing {
            REAP_FIRST
        } else {
            (self.wait * 2).min(REAP_LAST)
        };
    }
}

/// A connection has two things to watch: its socket and its process.
const fn socket_token(id: u64) -> u64 {
    id << 1
}

const fn process_token(id: u64) -> u64 {
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
            reaper: Reaper {
                due: Instant::now(),
                head: 0,
                wait: REAP_FIRST,
            },
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
    fn turn(&mut self) -> bool {
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
        }
        if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
            self.read(id);
        }
    }

    fn accept(&mut self) {
        while self.greeting_count() < MAX_GREETING {
            let Some(listener) = &self.listener else {
                return;
            };
            let socket = match listener.accept() {
                Ok(Some(socket)) => socket,
                Ok(None) => return,
                Err(error) => {
                    // Out of descriptors, most likely, and nothing tells when that ends.
                    tracing::warn!(path = %self.shared.path.display(), %error, "a subscriber could not be accepted; trying again in a second");
                    self.listen_again = Some(Instant::now() + LISTEN_AGAIN);
                    return self.listen(false);
                }
            };
            self.greet(socket);
        }
        self.listen(false);
    }

    fn greeting_count(&self) -> usize {
        self.connections
            .values()
            .filter(|c| c.greeting_until.is_some())
            .count()
    }

    fn listen(&mut self, on: bool) {
        let Some(listener) = self.listener.as_ref().filter(|_| on != self.listening) else {
            return;
        };
        let flags = if on {
            EventFlags::IN
        } else {
            EventFlags::empty()
        };
        if epoll::modify(&self.epoll, listener, EventData::new_u64(LISTENER), flags).is_ok() {
            self.listening = on;
        }
    }

    fn greet(&mut self, socket: OwnedFd) {
        let peer = match socket::peer(socket.as_fd()) {
            Ok(peer) => peer,
            Err(error) => {
                tracing::warn!(path = %self.shared.path.display(), %error, "a subscriber's identity is not known; refused");
                return;
            }
        };
        let allowed = is_allowed(&self.shared.options.access, &peer, || {
            socket::peer_groups(socket.as_fd())
        });
        if peer.pidfd.is_none() {
            let text = "the producer can't watch the process: it is dead, or the producer is out of descriptors";
            return self.refuse(&socket, Reason::Resources, text);
        }
        if !allowed {
            let text = format!(
                "uid {} (gid {}) is not on this stream's allow list",
                peer.uid, peer.gid
            );
            self.refuse(&socket, Reason::NotAllowed, &text);
            return;
        }
        let id = self.next_id;
        self.next_id += 1;
        let socket = Arc::new(socket);
        let watch = EventData::new_u64(socket_token(id));
        let mut watched = epoll::add(&self.epoll, &*socket, watch, EventFlags::IN);
        if let Some(pidfd) = &peer.pidfd {
            watched = watched.and(epoll::add(
                &self.epoll,
                pidfd,
                EventData::new_u64(process_token(id)),
                EventFlags::IN,
            ));
        }
        if let Err(error) = watched {
            self.refuse(
                &socket,
                Reason::Resources,
                &format!("the producer can't watch the connection: {error}"),
            );
            return;
        }
        let greeting_until = Some(Instant::now() + self.shared.options.handshake_timeout);
        self.connections.insert(
            id,
            Connection {
                socket,
                peer,
                greeting_until,
                wants_write: false,
            },
        );
    }

    fn refuse(&self, socket: &OwnedFd, reason: Reason, text: &str) {
        tracing::warn!(path = %self.shared.path.display(), ?reason, text, "subscription refused");
        self.shared.lock().counters.refused += 1;
        self.tell(
            socket,
            &Message::Refused {
                reason,
                text: text.to_owned(),
            },
        );
    }

    /// A last word; if there is no room for it the peer sees the connection end.
    fn tell(&self, socket: &OwnedFd, message: &Message) {
        if let Err(error) = socket::send(socket.as_fd(), &message.encode(), &[]) {
            tracing::debug!(path = %self.shared.path.display(), %error, "a last message was not sent");
        }
    }

    fn read(&mut self, id: u64) {
        for _ in 0..BURST {
            let Some(connection) = self.connections.get(&id) else {
                return;
            };
            let packet = match socket::receive(connection.socket.as_fd(), Wait::No) {
                Ok(Received::Packet(packet)) => packet,
                Ok(Received::Empty) => return,
                Ok(Received::Gone) => return self.gone(id),
                Err(error) => return self.offend(id, Reason::Protocol, &error.to_string()),
            };
            // Subscribers send no descriptors; any that came are closed with the packet.
            match Message::decode(&packet.bytes) {
                Ok(Some(message)) => self.act(id, message),
                Ok(None) => {}
                Err(error) => return self.offend(id, Reason::Protocol, &error.to_string()),
            }
        }
    }

    fn act(&mut self, id: u64, message: Message) {
        let greeting = self
            .connections
            .get(&id)
            .is_some_and(|c| c.greeting_until.is_some());
        match message {
            Message::Hello {
                min_version,
                max_version,
                window,
                hold,
                name,
            } if greeting => {
                if (min_version..=max_version).contains(&VERSION) {
                    self.admit(id, Demand { window, hold }, &name);
                } else {
                    let text = format!(
                        "this producer speaks version {VERSION}, the subscriber {min_version} to {max_version}"
                    );
                    self.refuse_greeting(id, Reason::Version, &text);
                }
            }
            Message::BufferAck { count } if !greeting => {
                let acknowledged = self.shared.lock().sub(id).is_some_and(|sub| {
                    let fits = count <= sub.unacked;
                    sub.unacked = sub.unacked.saturating_sub(count);
                    fits
                });
                if acknowledged {
                    self.shared.flush(id);
                } else {
                    self.offend(
                        id,
                        Reason::Protocol,
                        "it acknowledged more buffers than were sent",
                    );
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

    fn refuse_greeting(&mut self, id: u64, reason: Reason, text: &str) {
        if let Some(connection) = self.connections.remove(&id) {
            self.refuse(&connection.socket, reason, text);
            self.unwatch(&connection);
        }
    }

    fn admit(&mut self, id: u64, demand: Demand, name: &str) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let page = match LeasePage::new() {
            Ok(page) => Arc::new(page),
            Err(error) => {
                return self.refuse_greeting(
                    id,
                    Reason::Resources,
                    &format!("no lease page: {error}"),
                );
            }
        };
        let sub = Sub {
            id,
            name: printable(name),
            pid: connection.peer.pid,
            uid: connection.peer.uid,
            demand,
            socket: Arc::clone(&connection.socket),
            page,
            book: Book::new(demand.window, demand.hold),
            known: vec![false; SLOTS].into(),
            outbox: std::collections::VecDeque::new(),
            tx: Tx::Ready,
            unacked: 0,
            started: false,
            deadline: Instant::now() + self.shared.options.handshake_timeout,
            doomed: None,
        };
        let admitted = self.shared.lock().admit(sub);
        match admitted {
            Ok(()) => {
                connection.greeting_until = None;
                self.shared.flush(id);
            }
            Err((reason, text)) => self.refuse_greeting(id, reason, &text),
        }
    }

    /// The peer broke the protocol.
    fn offend(&mut self, id: u64, reason: Reason, text: &str) {
        let greeting = self
            .connections
            .get(&id)
            .is_some_and(|c| c.greeting_until.is_some());
        if greeting {
            return self.refuse_greeting(id, reason, text);
        }
        let mut after = Aftermath::default();
        self.shared.lock().evict(id, reason, text, &mut after);
        self.shared.finish(after);
    }

    /// The peer's process or connection is gone: its leases come back at once.
    fn gone(&mut self, id: u64) {
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
    fn unwatch(&self, connection: &Connection) {
        let mut ended = epoll::delete(&self.epoll, &*connection.socket);
        if let Some(pidfd) = &connection.peer.pidfd {
            ended = ended.and(epoll::delete(&self.epoll, pidfd));
        }
        if let Err(error) = ended {
            tracing::debug!(path = %self.shared.path.display(), %error, "a connection was not watched");
        }
        // The publishing thread may have the socket in hand for a last ring; the peer sees the end now.
        if let Err(error) = rustix::net::shutdown(&*connection.socket, rustix::net::Shutdown::Both)
        {
            tracing::trace!(path = %self.shared.path.display(), %error, "shutdown");
        }
    }

    fn house_keeping(&mut self, now: Instant) {
        self.end_overdue(now);
        self.cut_off_doomed();
        // Messages that a sweep or a format change left, and descriptors that the kernel would not take before.
        let waiting: Vec<u64> = {
            let state = self.shared.lock();
            state
                .subs
                .iter()
                .filter(|s| !s.outbox.is_empty() && s.tx != Tx::Full)
                .map(|s| s.id)
                .collect()
        };
        for id in waiting {
            self.shared.flush(id);
        }
        self.update_interest();
        self.reap(now);
        if self.listen_again.is_none_or(|at| at <= now) && self.greeting_count() < MAX_GREETING {
            self.listen_again = None;
            self.listen(true);
        }
    }

    fn end_overdue(&mut self, now: Instant) {
        let greeting: Vec<u64> = self
            .connections
            .iter()
            .filter(|(_, c)| c.greeting_until.is_some_and(|until| until <= now))
            .map(|(id, _)| *id)
            .collect();
        for id in greeting {
            self.refuse_greeting(id, Reason::Timeout, "no HELLO within the handshake time");
        }
        let slow: Vec<u64> = {
            let state = self.shared.lock();
            state
                .subs
                .iter()
                .filter(|s| !s.started && s.doomed.is_none() && s.deadline <= now)
                .map(|s| s.id)
                .collect()
        };
        for id in slow {
            self.offend(
                id,
                Reason::Timeout,
                "the handshake was not finished in time",
            );
        }
    }

    fn cut_off_doomed(&mut self) {
        let doomed: Vec<(u64, Arc<OwnedFd>, Reason, String)> = {
            let state = self.shared.lock();
            let doomed = |s: &Sub| {
                s.doomed
                    .clone()
                    .map(|(reason, text)| (s.id, Arc::clone(&s.socket), reason, text))
            };
            state.subs.iter().filter_map(doomed).collect()
        };
        for (id, socket, reason, text) in doomed {
            tracing::warn!(path = %self.shared.path.display(), subscriber = id, ?reason, text, "subscriber cut off");
            self.tell(&socket, &Message::Evict { reason, text });
            self.gone(id);
        }
    }

    fn update_interest(&mut self) {
        let blocked: Vec<(u64, bool)> = self
            .shared
            .lock()
            .subs
            .iter()
            .map(|s| (s.id, s.tx == Tx::Full))
            .collect();
        for (id, blocked) in blocked {
            let Some(connection) = self.connections.get_mut(&id) else {
                continue;
            };
            if connection.wants_write == blocked {
                continue;
            }
            let flags = if blocked {
                EventFlags::IN | EventFlags::OUT
            } else {
                EventFlags::IN
            };
            let watch = EventData::new_u64(socket_token(id));
            if epoll::modify(&self.epoll, &*connection.socket, watch, flags).is_ok() {
                connection.wants_write = blocked;
            }
        }
    }

    fn reap(&mut self, now: Instant) {
        let mut after = Aftermath::default();
        {
            let mut state = self.shared.lock();
            state.reaping = state.has_leases();
            if !state.reaping || now < self.reaper.due {
                return;
            }
            let head = state.head;
            state.sweep(head, &mut after);
            self.reaper.looked(now, head);
        }
        self.shared.finish(after);
        if self.listener.is_none() {
            self.wind_up();
        }
    }

    /// Time to the next thing that no event announces.
    fn timeout(&self, now: Instant) -> Option<Duration> {
        let state = self.shared.lock();
        let mut next: Option<Instant> = None;
        let mut at = |t: Instant| next = Some(next.map_or(t, |n| n.min(t)));
        self.connections
            .values()
            .filter_map(|c| c.greeting_until)
            .for_each(&mut at);
        state
            .subs
            .iter()
            .filter(|s| !s.started)
            .for_each(|s| at(s.deadline));
        if state.subs.iter().any(|s| s.tx == Tx::Short) {
            at(now + RETRY);
        }
        if state.reaping {
            at(self.reaper.due);
        }
        self.listen_again.into_iter().for_each(&mut at);
        next.map(|t| t.saturating_duration_since(now))
    }

    /// Ends the stream for everybody; those who hold frames stay connected until they let go of them.
    fn say_goodbye(&mut self) {
        // The path is free for the next producer.
        self.listener = None;
        for connection in self.connections.values() {
            self.tell(&connection.socket, &Message::Bye);
        }
        let greeting = |(id, c): (&u64, &Connection)| c.greeting_until.map(|_| *id);
        let greeting: Vec<u64> = self.connections.iter().filter_map(greeting).collect();
        for id in greeting {
            self.gone(id);
        }
        self.wind_up();
    }

    fn wind_up(&mut self) {
        let mut after = Aftermath::default();
        let done = self.shared.lock().wind_up(&mut after);
        self.shared.finish(after);
        for id in done {
            self.gone(id);
        }
    }
}

/// Whether a peer may subscribe. The groups are asked for only if they decide.
fn is_allowed(access: &Access, peer: &Peer, groups: impl FnOnce() -> Vec<u32>) -> bool {
    access.uids.contains(&peer.uid)
        || access.gids.contains(&peer.gid)
        || (!access.gids.is_empty() && groups().iter().any(|g| access.gids.contains(g)))
}

/// A peer's name as it may be shown in logs and tables.
fn printable(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(64).collect()
}

fn timespec(duration: Duration) -> Timespec {
    // Rounded up by a millisecond, so that a deadline has passed when the wait ends.
    let duration = duration + Duration::from_millis(1);
    Timespec {
        tv_sec: duration.as_secs().cast_signed(),
        tv_nsec: i64::from(duration.subsec_nanos()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn access_is_by_user_or_any_group() {
        let peer = |uid, gid| Peer {
            pid: 1,
            uid,
            gid,
            pidfd: None,
        };
        let access = Access {
            uids: vec![1000],
            gids: vec![44],
        };
        let cases = [
            (1000, 1, vec![], true),
            (1001, 44, vec![], true),
            (1001, 1, vec![5, 44], true),
            (1001, 1, vec![5], false),
            (0, 0, vec![], false),
        ];
        for (uid, gid, groups, allowed) in cases {
            assert_eq!(
                is_allowed(&access, &peer(uid, gid), || groups),
                allowed,
                "{uid}:{gid}"
            );
        }
    }

    #[test]
    fn names_are_shown_without_control_characters() {
        assert_eq!(printable("a\u{1b}[31mb\n"), "a[31mb");
    }
}
