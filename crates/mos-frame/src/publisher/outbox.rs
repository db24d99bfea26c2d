//! Sends what waits for a subscriber: in order, without waiting for it, and never with the lock held.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, PoisonError};

use super::Shared;
use super::state::{Aftermath, Outgoing, State, Sub, Tx};
use super::subscribers::lose;
use crate::shm::LeasePage;
use crate::socket::{self, Sent};
use crate::wire::{Message, Reason, VERSION};

/// A packet that was taken out of an outbox.
struct Job {
    outgoing: Outgoing,
    packet: Vec<u8>,
    fds: Fds,
    socket: Arc<OwnedFd>,
}

/// What an outbox has to send.
enum Next {
    Job(Job),
    /// Nothing, or nothing until an acknowledgement or room in the socket.
    Nothing,
    /// Nothing before it has read what it acknowledged, which nothing tells: the control thread looks again.
    Later,
    /// Another thread is sending for it, and goes on until nothing is left.
    Elsewhere,
}

enum Fds {
    None,
    Welcome(Arc<LeasePage>),
    Buffer(Arc<Vec<OwnedFd>>),
}

impl<K> Shared<K> {
    /// Sends to everybody who has something waiting, also what another thread has in hand: whoever publishes next counts on
    /// the buffer being known to every subscriber whose socket has room. What is waited for is that thread's sends, which
    /// don't wait themselves.
    pub(super) fn flush_all(&self) {
        let pending = |s: &&Sub| !s.outbox.is_empty() || s.tx == Tx::Sending;
        let ids: Vec<u64> = self
            .lock()
            .subs
            .iter()
            .filter(pending)
            .map(|s| s.id)
            .collect();
        for id in ids {
            while self.flush(id) == Flushed::Elsewhere {
                let elsewhere =
                    |state: &mut State<K>| state.sub(id).is_some_and(|s| s.tx == Tx::Sending);
                // A panic elsewhere leaves the books consistent, as in `lock`.
                drop(
                    self.sent
                        .wait_while(self.lock(), elsewhere)
                        .unwrap_or_else(PoisonError::into_inner),
                );
            }
        }
    }

    /// Sends what waits for one subscriber, until it is done or the socket is full.
    pub(super) fn flush(&self, id: u64) -> Flushed {
        loop {
            let job = match next(&mut self.lock(), id, self.session) {
                Next::Job(job) => job,
                Next::Nothing => return Flushed::Here,
                Next::Later => {
                    self.wake();
                    return Flushed::Here;
                }
                Next::Elsewhere => return Flushed::Elsewhere,
            };
            let sent = self.send(&job);
            let mut after = Aftermath::default();
            let go_on = conclude(&mut self.lock(), id, job.outgoing, sent, &mut after);
            self.sent.notify_all();
            self.finish(after);
            if !go_on {
                return Flushed::Here;
            }
        }
    }

    fn send(&self, job: &Job) -> Sent {
        let fds: Vec<_> = match &job.fds {
            Fds::None => Vec::new(),
            Fds::Welcome(page) => vec![self.board.fd(), page.fd()],
            Fds::Buffer(fds) => fds.iter().map(AsFd::as_fd).collect(),
        };
        socket::send(job.socket.as_fd(), &job.packet, &fds).unwrap_or_else(|error| {
            tracing::warn!(path = %self.path.display(), %error, "a message to a subscriber could not be sent; it is cut off");
            Sent::Gone
        })
    }
}

/// Who sends what waits for a subscriber.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flushed {
    /// The caller did, as far as was possible.
    Here,
    /// Another thread does.
    Elsewhere,
}

fn next<K>(state: &mut State<K>, id: u64, session: u64) -> Next {
    if state.sub(id).is_some_and(|s| s.tx == Tx::Sending) {
        return Next::Elsewhere;
    }
    let before = state.sub(id).map(|s| s.tx);
    match take(state, id, session) {
        Some(job) => Next::Job(job),
        // Once: from then on the control thread is on its timer.
        None if before == Some(Tx::Ready) && state.sub(id).is_some_and(|s| s.tx == Tx::Short) => {
            Next::Later
        }
        None => Next::Nothing,
    }
}

/// Takes the next message out of an outbox, unless it has to wait for an acknowledgement.
fn take<K>(state: &mut State<K>, id: u64, session: u64) -> Option<Job> {
    loop {
        let sub = state.subs.iter().find(|s| s.id == id)?;
        if sub.doomed.is_some() {
            return None;
        }
        let (packet, fds) = match sub.outbox.front()? {
            Outgoing::Plain(message) => (message.encode(), Fds::None),
            Outgoing::Start if !sub.unacked.is_empty() => return None,
            Outgoing::Start => (Message::Start.encode(), Fds::None),
            Outgoing::Welcome => {
                let (window, hold) = (sub.demand.window, sub.demand.hold);
                let welcome = Message::Welcome {
                    version: VERSION,
                    session,
                    subscriber: id,
                    window,
                    hold,
                };
                (welcome.encode(), Fds::Welcome(Arc::clone(&sub.page)))
            }
            &Outgoing::AddBuffer { slot, generation } => {
                let Some(buffer) = state.slots[slot]
                    .as_ref()
                    .filter(|b| b.generation == generation && !b.retired)
                else {
                    // The buffer is gone again, or stays only for who holds it: it is published no more, and its FORMAT may
                    // have been overtaken by a newer one.
                    state.sub(id)?.outbox.pop_front();
                    continue;
                };
                let count = buffer.fds.len() as u32;
                if !state.may_announce(sub, count) {
                    state.subs.iter_mut().for_each(Sub::believe);
                    let sub = state.subs.iter().find(|s| s.id == id)?;
                    if !state.may_announce(sub, count) {
                        // An acknowledgement leads on, where one is due.
                        let waits = !sub.unacked.is_empty();
                        state.sub(id)?.tx = if waits { Tx::Ready } else { Tx::Short };
                        return None;
                    }
                    continue;
                }
                let (epoch, layout) = (buffer.epoch, buffer.identity.layout.clone());
                let add = Message::BufferAdd {
                    slot: slot as u32,
                    generation,
                    epoch,
                    layout,
                };
                (add.encode(), Fds::Buffer(Arc::clone(&buffer.fds)))
            }
        };
        if matches!(state.sub(id)?.outbox.front(), Some(Outgoing::Start)) {
            state.start(id);
        }
        let sub = state.sub(id)?;
        sub.tx = Tx::Sending;
        let outgoing = sub.outbox.pop_front()?;
        if let Fds::Buffer(fds) = &fds {
            // Counted before it is sent: the acknowledgement may be read before the send is booked.
            sub.unacked.push_back(fds.len() as u8);
        }
        return Some(Job {
            outgoing,
            packet,
            fds,
            socket: Arc::clone(&sub.socket),
        });
    }
}

/// Books the outcome of a send; true if the next one may be tried.
fn conclude<K>(
    state: &mut State<K>,
    id: u64,
    outgoing: Outgoing,
    sent: Sent,
    after: &mut Aftermath<K>,
) -> bool {
    let current = |slot: usize, generation: u32| {
        state.slots[slot]
            .as_ref()
            .is_some_and(|b| b.generation == generation)
    };
    let still_there = match outgoing {
        Outgoing::AddBuffer { slot, generation } => current(slot, generation),
        _ => true,
    };
    let Some(sub) = state.subs.iter_mut().find(|s| s.id == id) else {
        return false;
    };
    sub.tx = Tx::Ready;
    if !matches!(sent, Sent::Done) && matches!(outgoing, Outgoing::AddBuffer { .. }) {
        sub.unacked.pop_back();
    }
    match sent {
        Sent::Done => {
            match outgoing {
                Outgoing::AddBuffer { slot, generation } => {
                    sub.known[slot] = still_there;
                    if !still_there {
                        let message = Message::BufferRemove {
                            slot: slot as u32,
                            generation,
                        };
                        sub.outbox.push_back(Outgoing::Plain(message));
                    }
                }
                Outgoing::Plain(_) | Outgoing::Welcome | Outgoing::Start => {}
            }
            true
        }
        Sent::Full => {
            sub.outbox.push_front(outgoing);
            sub.tx = Tx::Full;
            after.wake = true;
            false
        }
        Sent::Short => {
            sub.outbox.push_front(outgoing);
            sub.tx = Tx::Short;
            after.wake = true;
            false
        }
        Sent::Gone => {
            let slots = &mut state.slots;
            lose(sub, slots, Reason::Other, "the connection is gone");
            state.settle_all(after);
            after.wake = true;
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::format::{Format, Layout};
    use crate::memory;
    use crate::publisher::state::Identity;
    use crate::publisher::{Publisher, PublisherOptions};
    use crate::socket::{Received, Wait};
    use crate::subscriber::{Subscriber, SubscriberOptions};

    #[test]
    fn whoever_publishes_waits_for_what_another_thread_is_sending() {
        let dir = tempfile::tempdir().unwrap();
        let path = crate::socket_path(dir.path(), "outbox");
        let publisher = Publisher::<()>::bind(&path, PublisherOptions::default()).unwrap();
        let _subscriber = Subscriber::connect(&path, SubscriberOptions::default()).unwrap();
        let shared = &publisher.shared;
        // Play the other thread, once the real one is through with the handshake.
        loop {
            let sub = &mut shared.lock().subs[0];
            if sub.tx == Tx::Ready && sub.outbox.is_empty() {
                sub.tx = Tx::Sending;
                break;
            }
        }
        let (done, is_done) = mpsc::channel();
        thread::scope(|scope| {
            scope.spawn(move || {
                shared.flush_all();
                done.send(()).unwrap();
            });
            let early = is_done.recv_timeout(Duration::from_millis(200));
            shared.lock().subs[0].tx = Tx::Ready;
            shared.sent.notify_all();
            assert!(early.is_err(), "it did not wait");
            is_done.recv().unwrap();
        });
    }

    struct Raw {
        socket: OwnedFd,
        /// Slots and generations that it was told of and not told to forget.
        known: BTreeSet<(u32, u32)>,
        started: bool,
    }

    impl Raw {
        fn connect(path: &Path) -> Self {
            let socket = socket::connect(path, None).unwrap();
            let hello = Message::Hello {
                min_version: VERSION,
                max_version: VERSION,
                window: 2,
                hold: 1,
                name: "raw".into(),
            };
            socket::send(socket.as_fd(), &hello.encode(), &[]).unwrap();
            Self {
                socket,
                known: BTreeSet::new(),
                started: false,
            }
        }

        fn read(&mut self) {
            let Received::Packet(packet) = socket::receive(self.socket.as_fd(), Wait::Yes).unwrap()
            else {
                panic!("the connection ended")
            };
            match Message::decode(&packet.bytes).unwrap().unwrap() {
                Message::BufferAdd {
                    slot, generation, ..
                } => {
                    self.known.retain(|(s, _)| *s != slot);
                    self.known.insert((slot, generation));
                    let ack = Message::BufferAck { count: 1 };
                    socket::send(self.socket.as_fd(), &ack.encode(), &[]).unwrap();
                }
                Message::BufferRemove { slot, generation } => {
                    self.known.remove(&(slot, generation));
                }
                Message::Start => self.started = true,
                _ => {}
            }
        }
    }

    fn buffer(seed: &str) -> (OwnedFd, Layout) {
        let layout = Layout::nv12(64, 48);
        let fd = memory::memfd(seed, layout.bytes_of(0)).unwrap();
        memory::seal_read_only(fd.as_fd()).unwrap();
        (fd, layout)
    }

    /// A slot's buffer goes, another comes and goes before it could be announced: the first must not stay with the
    /// subscriber for ever.
    #[test]
    fn the_end_of_a_buffer_is_told_though_its_slot_is_used_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = crate::socket_path(dir.path(), "outbox");
        let publisher = Publisher::<()>::bind(&path, PublisherOptions::default()).unwrap();
        let shared = &publisher.shared;
        let import = |seed| {
            let (fd, layout) = buffer(seed);
            let identity = Identity {
                memory: vec![memory::memory_id(fd.as_fd()).unwrap()],
                layout,
            };
            let mut after = Aftermath::default();
            shared
                .lock()
                .insert(identity, vec![fd], &mut after)
                .unwrap();
        };
        let format = |width| {
            let mut after = Aftermath::default();
            let format = Format::nv12_memfd(width, 48, (30, 1));
            shared.lock().set_format(format, &mut after);
        };
        format(64);
        import("first");
        let mut raw = Raw::connect(&path);
        while !raw.started {
            raw.read();
        }
        assert_eq!(raw.known.len(), 1);
        // Nothing can be sent meanwhile.
        let id = shared.lock().subs[0].id;
        loop {
            let mut state = shared.lock();
            let sub = state.sub(id).unwrap();
            if sub.tx == Tx::Ready && sub.outbox.is_empty() {
                sub.tx = Tx::Sending;
                break;
            }
        }
        format(32);
        import("second");
        format(16);
        shared.lock().sub(id).unwrap().tx = Tx::Ready;
        shared.flush(id);
        while !raw.known.is_empty() {
            raw.read();
        }
        shared.lock().check_invariants().unwrap();
    }

    /// They acknowledge what they never read: the kernel counts it as unread all the same.
    #[test]
    fn who_acknowledges_unread_descriptors_is_not_sent_more_of_them() {
        let dir = tempfile::tempdir().unwrap();
        let path = crate::socket_path(dir.path(), "outbox");
        let publisher = Publisher::<()>::bind(&path, PublisherOptions::default()).unwrap();
        publisher.set_format(Format::nv12_memfd(64, 48, (30, 1)));
        let mut liars: Vec<Raw> = (0..20).map(|_| Raw::connect(&path)).collect();
        for raw in &mut liars {
            while !raw.started {
                raw.read();
            }
        }
        for n in 0..100 {
            let (fd, layout) = buffer(&n.to_string());
            publisher.import(&[fd.as_fd()], &layout).unwrap();
        }
        let shared = &publisher.shared;
        // In the end all was sent to them, or they get no more.
        let sent = loop {
            let mut state = shared.lock();
            let ids: Vec<u64> = state.subs.iter().map(|s| s.id).collect();
            let mut goes_on = false;
            for id in &ids {
                let sub = state.sub(*id).unwrap();
                let due = sub.unacked.len() as u32;
                goes_on |= due > 0 || sub.tx == Tx::Sending;
                if due > 0 {
                    state.acknowledge(*id, due).unwrap();
                }
            }
            if !goes_on {
                let known = state.subs.iter().flat_map(|s| s.known.iter());
                break known.filter(|known| **known).count();
            }
            drop(state);
            for id in &ids {
                shared.flush(*id);
            }
        };
        assert!((20..=300).contains(&sent), "{sent}");
        shared.lock().check_invariants().unwrap();
        // Others get all they need meanwhile.
        let mut honest = Raw::connect(&path);
        while honest.known.len() < 100 || !honest.started {
            honest.read();
        }
        drop(liars);
    }

    /// Unread descriptors are few however many peers leave them unread: the kernel counts them for the whole user.
    #[test]
    fn unread_descriptors_stay_below_the_limit_of_the_user() {
        let dir = tempfile::tempdir().unwrap();
        let path = crate::socket_path(dir.path(), "outbox");
        let options = PublisherOptions {
            handshake_timeout: Duration::from_hours(1),
            ..PublisherOptions::default()
        };
        let publisher = Publisher::<()>::bind(&path, options).unwrap();
        publisher.set_format(Format::nv12_memfd(64, 48, (30, 1)));
        let mut started: Vec<Raw> = (0..40).map(|_| Raw::connect(&path)).collect();
        for raw in &mut started {
            while !raw.started {
                raw.read();
            }
        }
        // From now on nobody reads.
        for n in 0..100 {
            let (fd, layout) = buffer(&n.to_string());
            publisher.import(&[fd.as_fd()], &layout).unwrap();
        }
        let unread = |state: &State<()>| -> u32 { state.subs.iter().map(Sub::unread).sum() };
        let state = publisher.shared.lock();
        assert_eq!(state.subs.len(), 40);
        let unread = unread(&state);
        assert!((40 * 2..=300).contains(&unread), "{unread}");
        state.check_invariants().unwrap();
    }
}
