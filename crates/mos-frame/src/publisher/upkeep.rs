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
/// The longest such wait, and the first while publishing goes on, which looks by itself.
const REAP_LAST: Duration = Duration::from_millis(100);
/// The longest wait while publishing goes on and buffers are plenty: to wake the thread costs as much as a frame.
const REAP_AT_EASE: Duration = Duration::from_millis(800);

/// A frame within this time means that frames flow.
const FLOWS: Duration = Duration::from_millis(300);

/// When to look for released frames.
#[derive(Debug)]
pub(super) struct Reaper {
    due: Instant,
    head: u64,
    /// The next wait if nothing is published, and if something is.
    idle: Duration,
    flowing: Duration,
}

impl Reaper {
    pub(super) fn new() -> Self {
        Self {
            due: Instant::now(),
            head: 0,
            idle: REAP_FIRST,
            flowing: REAP_LAST,
        }
    }

    /// Notes that one looked, while `head` was the newest frame; `flows` says whether it is a recent one.
    fn looked(&mut self, now: Instant, head: u64, flows: bool) {
        if std::mem::replace(&mut self.head, head) == head || !flows {
            self.due = now + self.idle;
            self.idle = (self.idle * 2).min(REAP_LAST);
            self.flowing = REAP_LAST;
        } else {
            self.due = now + self.flowing;
            self.flowing = (self.flowing * 2).min(REAP_AT_EASE);
            self.idle = REAP_FIRST;
        }
    }

    /// Notes that the source may soon wait for a buffer.
    fn hurry(&mut self, now: Instant) {
        self.due = self.due.min(now + REAP_LAST);
        self.flowing = REAP_LAST;
    }

    /// Whether the next look is late for a source that waits for a buffer.
    fn is_at_ease(&self, now: Instant) -> bool {
        self.due > now + REAP_LAST
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
            if let Some(left_out) = self.eviction_lines.next(Instant::now()) {
                tracing::warn!(path = %self.shared.path.display(), subscriber = id, ?reason, text, left_out, "subscriber cut off");
            }
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
            if state.is_short() || state.stopping {
                self.reaper.hurry(now);
            }
            state.at_ease = self.reaper.is_at_ease(now);
            if !state.reaping || now < self.reaper.due {
                return;
            }
            let head = state.head;
            state.sweep(head, &mut after);
            let flows = state.published_within(FLOWS);
            self.reaper.looked(now, head, flows);
            if state.is_short() {
                self.reaper.hurry(now);
            }
            state.at_ease = self.reaper.is_at_ease(now);
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
        if let Some(listener) = self.listener.take() {
            listener.shut();
            while let Ok(Some(socket)) = listener.accept() {
                self.part(&Arc::new(socket));
            }
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Waits of a thread that looks as soon as it is due, in ms; each look finds the head that is given.
    fn waits(reaper: &mut Reaper, now: &mut Instant, heads: &[u64]) -> Vec<u128> {
        let look = |head: &u64| {
            reaper.looked(*now, *head, true);
            let wait = reaper.due - *now;
            *now = reaper.due;
            wait.as_millis()
        };
        heads.iter().map(look).collect()
    }

    #[test]
    fn looks_are_rare_while_frames_flow_and_soon_once_they_stop() {
        let (mut reaper, mut now) = (Reaper::new(), Instant::now());
        let flowing = waits(&mut reaper, &mut now, &[1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(flowing, [100, 200, 400, 800, 800, 800, 800]);
        let stopped = waits(&mut reaper, &mut now, &[7; 6]);
        assert_eq!(stopped, [10, 20, 40, 80, 100, 100]);
        assert_eq!(waits(&mut reaper, &mut now, &[8, 9]), [100, 200]);
        // Frames came since the last look, but none of late.
        reaper.looked(now, 10, false);
        assert_eq!(reaper.due - now, REAP_FIRST);
    }

    #[test]
    fn short_buffers_are_looked_for_at_once() {
        let (mut reaper, mut now) = (Reaper::new(), Instant::now());
        waits(&mut reaper, &mut now, &[1, 2, 3, 4]);
        reaper.looked(now, 5, true);
        assert!(reaper.is_at_ease(now));
        reaper.hurry(now);
        assert!(!reaper.is_at_ease(now));
        assert_eq!(reaper.due - now, REAP_LAST);
        now = reaper.due;
        assert_eq!(waits(&mut reaper, &mut now, &[6, 7]), [100, 200]);
    }
}
