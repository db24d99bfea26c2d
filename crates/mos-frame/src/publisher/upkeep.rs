//! What the control thread does without being asked: deadlines, evictions, late releases, the end of the stream.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, EventData, EventFlags};

use super::control::{Connection, Control, Phase, socket_token};
use super::state::{Aftermath, Sub, Tx};
use crate::wire::{Message, Reason};

/// After ETOOMANYREFS: no event tells when other peers have read their descriptors.
const RETRY: Duration = Duration::from_millis(10);
/// How soon released frames are looked for once nothing is published any more: a source whose buffers are all out waits
/// for this. Doubled with each look in vain.
const REAP_FIRST: Duration = Duration::from_millis(10);
/// The longest such wait, and the wait while publishing goes on, which looks by itself.
const REAP_LAST: Duration = Duration::from_millis(100);

/// When to look for released frames.
pub(super) struct Reaper {
    due: Instant,
    head: u64,
    wait: Duration,
}

impl Reaper {
    pub(super) fn new() -> Self {
        Self {
            due: Instant::now(),
            head: 0,
            wait: REAP_FIRST,
        }
    }

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

impl<K: Send + 'static> Control<K> {
    pub(super) fn house_keeping(&mut self, now: Instant) {
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
        let later = |at: Instant| at > now;
        if !self.listen_again.is_some_and(later) && !self.room_at().is_some_and(later) {
            self.listen_again = None;
            self.listen(true);
        }
    }

    fn end_overdue(&mut self, now: Instant) {
        let greeting: Vec<u64> = self
            .connections
            .iter()
            .filter(|(_, c)| c.phase.until().is_some_and(|until| until <= now))
            .map(|(id, _)| *id)
            .collect();
        for id in greeting {
            self.refuse_greeting(
                id,
                Reason::Timeout,
                "no HELLO, or a report not read, within the handshake time",
            );
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
        let reporting = |c: &Connection| matches!(c.phase, Phase::Reporting { .. });
        let reporting = self.connections.iter().filter(|(_, c)| reporting(c));
        let mut blocked: Vec<(u64, bool)> = reporting.map(|(id, _)| (*id, true)).collect();
        let tx = |s: &Sub| (s.id, s.tx == Tx::Full);
        blocked.extend(self.shared.lock().subs.iter().map(tx));
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
            // Also between the frames of a stream that flows, or the next publish would have to wake us each time.
            let flows = state.head != self.reaper.head && !state.subs.is_empty();
            state.reaping = flows || state.has_leases();
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
    pub(super) fn timeout(&self, now: Instant) -> Option<Duration> {
        let state = self.shared.lock();
        let mut next: Option<Instant> = None;
        let mut at = |t: Instant| next = Some(next.map_or(t, |n| n.min(t)));
        self.connections
            .values()
            .filter_map(|c| c.phase.until())
            .for_each(&mut at);
        state
            .subs
            .iter()
            .filter(|s| !s.started)
            .for_each(|s| at(s.deadline));
        let waits = |s: &Sub| s.tx == Tx::Short && !s.outbox.is_empty();
        if state.subs.iter().any(waits) {
            at(now + RETRY);
        }
        if state.reaping {
            at(self.reaper.due);
        }
        self.listen_again.into_iter().for_each(&mut at);
        if !self.listening {
            self.room_at().into_iter().for_each(&mut at);
        }
        next.map(|t| t.saturating_duration_since(now))
    }

    /// Ends the stream for everybody; those who hold frames stay connected until they let go of them.
    pub(super) fn say_goodbye(&mut self) {
        // The path is free for the next producer.
        self.listener = None;
        for connection in self.connections.values() {
            self.tell(&connection.socket, &Message::Bye);
        }
        let greeting = |(id, c): (&u64, &Connection)| c.phase.until().map(|_| *id);
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
