//! From accept to admission.

use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, EventData, EventFlags};

use super::Access;
use super::control::{BURST, Connection, Control, LISTENER, Phase, process_token, socket_token};
use super::metrics::Incident;
use super::state::{Bell, Sub, Tx, WELCOME_FDS};
use crate::admission::Demand;
use crate::books::Book;
use crate::format::monotonic_ns;
use crate::shm::{LeasePage, SLOTS};
use crate::socket::{self, Listener, Peer};
use crate::wire::{Message, Reason, VERSION};

/// Connections that may be between accept and HELLO at once; more wait in the kernel's backlog.
const MAX_GREETING: usize = 16;
/// How long a peer may say nothing while others wait for its place. An honest one has said HELLO before it is accepted.
const SILENCE: Duration = Duration::from_millis(250);
/// After a connection could not be accepted.
const LISTEN_AGAIN: Duration = Duration::from_secs(1);

/// Who asks, and for what.
#[derive(Debug, Clone)]
pub(super) struct Applicant {
    pub(super) pid: i32,
    pub(super) uid: u32,
    /// Empty before HELLO.
    pub(super) name: String,
    /// Zeros before HELLO.
    pub(super) demand: Demand,
}

impl Applicant {
    /// One who said nothing yet.
    pub(super) const fn of(peer: &Peer) -> Self {
        Self {
            pid: peer.pid,
            uid: peer.uid,
            name: String::new(),
            demand: Demand { window: 0, hold: 0 },
        }
    }
}

impl<K: Send + 'static> Control<K> {
    /// Takes callers in, but no more than a few before the others have their turn: a peer that connects as fast as it is
    /// refused would else keep this thread for itself. The listener stays readable while callers wait.
    pub(super) fn accept(&mut self) {
        if self.aside.is_full() {
            tracing::warn!(path = %self.shared.path.display(), "too many descriptors that peers sent are slow to close; taking nobody in for a second");
            self.listen_again = Some(Instant::now() + LISTEN_AGAIN);
            return self.listen(false);
        }
        for _ in 0..BURST {
            let is_full = self.greeting_count() >= MAX_GREETING;
            let has_caller = |l: &Listener| l.has_caller();
            if is_full
                && !(self.listener.as_ref().is_some_and(has_caller)
                    && self.make_room(Instant::now()))
            {
                return self.listen(false);
            }
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
    }

    /// Ends the greeting that has lasted longest, if one has lasted long enough; others wait for its place. Of the user who
    /// has most of them, so that one user's silence costs him his own places.
    fn make_room(&mut self, now: Instant) -> bool {
        let greeting = self.connections.iter();
        let greeting = greeting.filter(|(_, c)| c.phase.until().is_some());
        let places: Vec<Place> = greeting
            .map(|(id, c)| Place {
                id: *id,
                uid: c.peer.uid,
                since: c.since,
            })
            .collect();
        let Some(id) = overstayer(&places, now) else {
            return false;
        };
        let text = format!(
            "no HELLO within {} ms while others wait",
            SILENCE.as_millis()
        );
        self.refuse_greeting(id, Reason::Timeout, &text);
        true
    }

    /// When a greeting may be ended in favour of a caller, if no place is free.
    pub(super) fn room_at(&self) -> Option<Instant> {
        let greeting = self.connections.values();
        let greeting = greeting.filter(|c| c.phase.until().is_some());
        let oldest = greeting.map(|c| c.since).min()?;
        (self.greeting_count() >= MAX_GREETING).then(|| oldest + SILENCE)
    }

    pub(super) fn greeting_count(&self) -> usize {
        self.connections
            .values()
            .filter(|c| c.phase.until().is_some())
            .count()
    }

    pub(super) fn listen(&mut self, on: bool) {
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
        let socket = Arc::new(socket);
        let peer = match socket::peer(socket.as_fd()) {
            Ok(peer) => peer,
            Err(error) => {
                tracing::warn!(path = %self.shared.path.display(), %error, "a subscriber's identity is not known; refused");
                return self.part(&socket);
            }
        };
        let allowed = is_allowed(&self.shared.options.access, &peer, || {
            socket::peer_groups(socket.as_fd())
        });
        if peer.pidfd.is_none() {
            let text = "the producer can't watch the process: it is dead, or the producer is out of descriptors";
            return self.turn_away(&socket, &peer, Reason::Resources, text);
        }
        if !allowed {
            let text = format!(
                "uid {} (gid {}) is not on this stream's allow list",
                peer.uid, peer.gid
            );
            return self.turn_away(&socket, &peer, Reason::NotAllowed, &text);
        }
        let id = self.next_id;
        self.next_id += 1;
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
            let text = format!("the producer can't watch the connection: {error}");
            return self.turn_away(&socket, &peer, Reason::Resources, &text);
        }
        let since = Instant::now();
        let until = since + self.shared.options.handshake_timeout;
        let connection = Connection::new(socket, peer, since, until);
        self.connections.insert(id, connection);
        // Its HELLO is there already, unless it is up to something.
        self.read(id);
    }

    /// Refuses somebody who has no place among the connections.
    fn turn_away(&mut self, socket: &Arc<OwnedFd>, peer: &Peer, reason: Reason, text: &str) {
        self.refuse(socket, &Applicant::of(peer), reason, text);
        self.part(socket);
    }

    fn refuse(&mut self, socket: &OwnedFd, applicant: &Applicant, reason: Reason, text: &str) {
        let Applicant { pid, uid, .. } = *applicant;
        if let Some(left_out) = self.refusal_lines.next(Instant::now()) {
            tracing::warn!(path = %self.shared.path.display(), pid, uid, ?reason, text, left_out, "subscription refused");
        }
        self.shared.lock().refusals.add(Incident {
            at_ns: monotonic_ns(),
            name: applicant.name.clone(),
            pid,
            uid,
            window: applicant.demand.window,
            hold: applicant.demand.hold,
            reason,
            text: text.to_owned(),
        });
        self.tell(
            socket,
            &Message::Refused {
                reason,
                text: text.to_owned(),
            },
        );
    }

    pub(super) fn refuse_greeting(&mut self, id: u64, reason: Reason, text: &str) {
        if let Some(connection) = self.connections.remove(&id) {
            self.refuse(&connection.socket, &connection.applicant, reason, text);
            self.unwatch(&connection);
        }
    }

    pub(super) fn refuse_version(&mut self, id: u64, (min, max): (u16, u16)) {
        let text = format!("this producer speaks version {VERSION}, the peer {min} to {max}");
        self.refuse_greeting(id, Reason::Version, &text);
    }

    /// Takes on whoever said HELLO, or says why not.
    pub(super) fn admit(&mut self, id: u64) {
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
        let Applicant {
            name,
            demand,
            pid,
            uid,
        } = connection.applicant.clone();
        let socket = Arc::clone(&connection.socket);
        let bell = Arc::new(Bell::new(Arc::clone(&socket), Arc::clone(&page)));
        let sub = Sub {
            id,
            name,
            pid,
            uid,
            demand,
            socket,
            page,
            bell,
            book: Book::new(demand.window, demand.hold),
            known: vec![false; SLOTS].into(),
            outbox: VecDeque::new(),
            tx: Tx::Ready,
            unacked: VecDeque::new(),
            doubtful: WELCOME_FDS,
            started: false,
            joined_at: 0,
            admitted_ns: monotonic_ns(),
            deadline: Instant::now() + self.shared.options.handshake_timeout,
            doomed: None,
        };
        let admitted = self.shared.lock().admit(sub);
        match admitted {
            Ok(()) => {
                connection.phase = Phase::Subscribed;
                self.shared.flush(id);
            }
            Err((reason, text)) => self.refuse_greeting(id, reason, &text),
        }
    }
}

/// A connection that has not said what it wants.
#[derive(Debug, Clone, Copy)]
struct Place {
    id: u64,
    uid: u32,
    since: Instant,
}

/// Whose place goes to the next caller: of those who had it for long enough, the oldest of the user with most places.
fn overstayer(places: &[Place], now: Instant) -> Option<u64> {
    let had_time = |p: &&Place| now.saturating_duration_since(p.since) >= SILENCE;
    let of_user = |uid: u32| places.iter().filter(|p| p.uid == uid).count();
    let worst = places
        .iter()
        .filter(had_time)
        .max_by_key(|p| (of_user(p.uid), std::cmp::Reverse(p.since)));
    worst.map(|p| p.id)
}

/// Whether a peer may subscribe. The groups are asked for only if they decide.
pub(super) fn is_allowed(access: &Access, peer: &Peer, groups: impl FnOnce() -> Vec<u32>) -> bool {
    access.uids.contains(&peer.uid)
        || access.gids.contains(&peer.gid)
        || (!access.gids.is_empty() && groups().iter().any(|g| access.gids.contains(g)))
}

/// A peer's name as it may be shown in logs and tables.
pub(super) fn printable(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publisher::{PublisherOptions, Shared};

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
    fn the_oldest_of_the_user_with_most_places_makes_room() {
        let start = Instant::now();
        let now = start + SILENCE * 10;
        let place = |id, uid, silences: u32| Place {
            id,
            uid,
            since: start + SILENCE * (10 - silences),
        };
        let cases: [(&str, &[Place], Option<u64>); 4] = [
            ("nobody", &[], None),
            ("all came just now", &[place(1, 0, 0), place(2, 0, 0)], None),
            (
                "the oldest",
                &[place(1, 0, 1), place(2, 0, 3), place(3, 0, 2)],
                Some(2),
            ),
            (
                "not the user with one",
                &[place(1, 7, 9), place(2, 0, 0), place(3, 0, 2)],
                Some(3),
            ),
        ];
        for (name, places, expected) in cases {
            assert_eq!(overstayer(places, now), expected, "{name}");
        }
    }

    /// Each is refused at once, so there is always room for the next: one who connects without end would be served without end.
    #[test]
    fn callers_are_taken_in_a_few_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = crate::socket_path(dir.path(), "callers");
        let listener = Listener::bind(&path, 0o600, None).unwrap();
        let nobody = PublisherOptions {
            access: Access {
                uids: Vec::new(),
                gids: Vec::new(),
            },
            ..PublisherOptions::default()
        };
        let shared = Shared::<()>::new(&path, nobody).unwrap();
        let mut control = Control::new(Arc::new(shared), listener).unwrap();
        let _callers: Vec<_> = (0..40)
            .map(|_| socket::connect(&path, None).unwrap())
            .collect();
        for turn in [16, 32, 40, 40] {
            control.accept();
            assert_eq!(control.shared.lock().refusals.count, turn);
        }
    }

    #[test]
    fn names_are_shown_without_control_characters() {
        assert_eq!(printable("a\u{1b}[31mb\n"), "a[31mb");
    }
}
