//! Sends what waits for a subscriber: in order, without waiting for it, and never with the lock held.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, PoisonError};

use super::Shared;
use super::state::{Aftermath, Outgoing, State, Sub, Tx};
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
    take(state, id, session).map_or(Next::Nothing, Next::Job)
}

/// Takes the next message out of an outbox, unless it has to wait for an acknowledgement.
fn take<K>(state: &mut State<K>, id: u64, session: u64) -> Option<Job> {
    loop {
        let sub = state.subs.iter().find(|s| s.id == id)?;
        let limit = state.max_unacked(sub.started);
        if sub.doomed.is_some() {
            return None;
        }
        let (packet, fds) = match sub.outbox.front()? {
            Outgoing::Plain(message) => (message.encode(), Fds::None),
            Outgoing::Start if sub.unacked > 0 => return None,
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
            Outgoing::AddBuffer { .. } if sub.unacked >= limit => return None,
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
        if matches!(outgoing, Outgoing::AddBuffer { .. }) {
            // Counted before it is sent: the acknowledgement may be read before the send is booked.
            sub.unacked += 1;
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
    let Some(sub) = state.sub(id) else {
        return false;
    };
    sub.tx = Tx::Ready;
    if !matches!(sent, Sent::Done) && matches!(outgoing, Outgoing::AddBuffer { .. }) {
        sub.unacked = sub.unacked.saturating_sub(1);
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
            sub.doomed
                .get_or_insert((Reason::Other, "the connection is gone".into()));
            after.wake = true;
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::publisher::{Publisher, PublisherOptions};
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
}
