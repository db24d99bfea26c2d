//! The way of frames from the bus to the element.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mos_frame::{ConnectError, Format, Frame, RecvError, Subscriber, SubscriberStats, Waited};

use super::release::Releases;
use super::wait::{Stop, Woken};

/// What the wait for a frame came to.
#[derive(Debug)]
pub(crate) enum Arrival {
    Frame(Frame),
    Stopped,
    /// The stream is there, but no frame came in time.
    TimedOut(Duration),
    /// Nobody published the stream in time.
    NotPublished,
}

/// A subscription and what the element knows of its last frame.
#[derive(Debug)]
pub(crate) struct Inlet {
    subscriber: Subscriber,
    latest: bool,
    patience: Option<Duration>,
    /// While the stream was not there yet.
    awaited: Option<Awaited>,
    last: Option<Last>,
    releases: Arc<Releases>,
}

/// A stream that nobody published when the element started.
#[derive(Debug)]
struct Awaited {
    patience: Option<Duration>,
    /// From the first wait on: between the start and that, the element may be paused.
    deadline: Option<Instant>,
}

#[derive(Debug)]
struct Last {
    session: u64,
    seq: u64,
    epoch: u32,
    format: Arc<Format>,
}

/// What is new about a frame against the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Change {
    /// The format is another; caps are due.
    pub(crate) format: bool,
    /// Frames are missing in between.
    pub(crate) gap: bool,
}

impl Inlet {
    /// Fails if the kernel has no eventfd left.
    pub(crate) fn new(
        subscriber: Subscriber,
        latest: bool,
        patience: Option<Duration>,
    ) -> std::io::Result<Self> {
        Ok(Self {
            subscriber,
            latest,
            patience,
            awaited: None,
            last: None,
            releases: Arc::new(Releases::new()?),
        })
    }

    /// For a subscriber whose stream is not published yet: it has this long to appear, or for ever.
    #[must_use]
    pub(crate) fn awaiting(self, patience: Option<Duration>) -> Self {
        let awaited = Some(Awaited {
            patience,
            deadline: None,
        });
        Self { awaited, ..self }
    }

    /// Whether the stream was not there yet when it was last looked for.
    pub(crate) const fn is_awaiting(&self) -> bool {
        self.awaited.is_some()
    }

    /// Takes a subscriber that found the stream after all.
    pub(crate) fn found(&mut self, subscriber: Subscriber) {
        (self.subscriber, self.awaited) = (subscriber, None);
    }

    /// Until when to wait, from now on.
    fn deadline(&mut self) -> Option<Instant> {
        let after = |patience: Option<Duration>| Instant::now().checked_add(patience?);
        match &mut self.awaited {
            None => after(self.patience),
            Some(awaited) => {
                awaited.deadline = awaited.deadline.or_else(|| after(awaited.patience));
                awaited.deadline
            }
        }
    }

    /// Waits for a frame until one is there, the patience is over or the wait is stopped.
    pub(crate) fn next(&mut self, stop: &Stop) -> Result<Arrival, RecvError> {
        let deadline = self.deadline();
        loop {
            let waited = if self.awaited.is_some() {
                self.await_stream(stop, deadline)
            } else {
                self.wait(stop, deadline)
            };
            let woken = match waited {
                Ok(Waited::Frame(frame)) => {
                    self.awaited = None;
                    return Ok(Arrival::Frame(frame));
                }
                Ok(Waited::Other) => Woken::Stopped,
                Ok(Waited::TimedOut) => Woken::TimedOut,
                Err(RecvError::HoldLimit { .. }) => match self.try_after_release(stop)? {
                    Some(frame) => return Ok(Arrival::Frame(frame)),
                    None => stop.wait(self.releases.as_fd(), deadline)?,
                },
                Err(why) => return Err(why),
            };
            match woken {
                Woken::Ready => {}
                Woken::Stopped => return Ok(Arrival::Stopped),
                Woken::TimedOut if self.is_awaiting() => return Ok(Arrival::NotPublished),
                Woken::TimedOut => return Ok(Arrival::TimedOut(self.patience.unwrap_or_default())),
            }
        }
    }

    fn wait(&mut self, stop: &Stop, deadline: Option<Instant>) -> Result<Waited, RecvError> {
        if self.latest {
            self.subscriber.latest_or(stop.as_fd(), deadline)
        } else {
            self.subscriber.next_or(stop.as_fd(), deadline)
        }
    }

    /// Waits until the stream is there, where [`Self::wait`] would wait for its first frame, which has a time of its own.
    fn await_stream(
        &mut self,
        stop: &Stop,
        deadline: Option<Instant>,
    ) -> Result<Waited, RecvError> {
        loop {
            let frame = if self.latest {
                self.subscriber.try_latest()?
            } else {
                self.subscriber.try_next()?
            };
            if let Some(frame) = frame {
                return Ok(Waited::Frame(frame));
            }
            if self.subscriber.is_connected() {
                self.awaited = None;
                let deadline = self.deadline();
                return self.wait(stop, deadline);
            }
            match stop.wait(self.subscriber.as_fd(), deadline)? {
                Woken::Ready => {}
                Woken::Stopped => return Ok(Waited::Other),
                Woken::TimedOut => return Ok(Waited::TimedOut),
            }
        }
    }

    /// Asks for a ring with the next release, and looks again: the release may just have been. `None`: wait for the ring.
    fn try_after_release(&mut self, stop: &Stop) -> Result<Option<Frame>, RecvError> {
        self.releases.expect()?;
        match self.wait(stop, Some(Instant::now())) {
            Ok(Waited::Frame(frame)) => Ok(Some(frame)),
            Err(RecvError::HoldLimit { .. }) => Ok(None),
            // Released, but nothing new is there: come again at once, to wait for the bus.
            Ok(Waited::Other | Waited::TimedOut) => {
                self.releases.ring();
                Ok(None)
            }
            Err(why) => Err(why),
        }
    }

    /// What was received so far.
    pub(crate) const fn stats(&self) -> SubscriberStats {
        self.subscriber.stats()
    }

    /// What rings when downstream lets go of a frame.
    pub(crate) fn releases(&self) -> &Arc<Releases> {
        &self.releases
    }

    /// Compares a frame with the one before it and remembers it.
    pub(crate) fn compare(&mut self, frame: &Frame) -> Change {
        let (session, epoch) = (frame.session(), frame.epoch());
        let before = self.last.take();
        let same = |last: &&Last| (last.session, last.epoch) == (session, epoch);
        let now = Last {
            session,
            seq: frame.seq(),
            epoch,
            // The same object as long as it can't be another format.
            format: match before.as_ref().filter(same) {
                Some(last) => Arc::clone(&last.format),
                None => Arc::new(frame.format().clone()),
            },
        };
        let change = now.since(before.as_ref());
        self.last = Some(now);
        change
    }
}

impl Last {
    fn since(&self, before: Option<&Self>) -> Change {
        let Some(before) = before else {
            return Change {
                format: true,
                gap: true,
            };
        };
        let same_session = self.session == before.session;
        let same_epoch = same_session && self.epoch == before.epoch;
        Change {
            format: !same_epoch && self.format != before.format,
            gap: !same_session || self.seq != before.seq.wrapping_add(1),
        }
    }
}

/// Stable code of the reason why a subscription failed.
pub(crate) const fn connect_code(why: &ConnectError) -> &'static str {
    match why {
        ConnectError::NotFound { .. } => "not-found",
        ConnectError::Refused { .. } => "refused",
        ConnectError::Permission { .. } => "permission",
        ConnectError::Timeout { .. } => "handshake-timeout",
        ConnectError::Protocol { .. } => "protocol",
        _ => "io",
    }
}

/// Stable code of the reason why a stream ended, and what to do.
pub(crate) const fn recv_advice(why: &RecvError) -> (&'static str, &'static str) {
    match why {
        RecvError::Evicted { .. } => (
            "evicted",
            "raise the property hold to the number of frames that downstream keeps, or take queues away",
        ),
        RecvError::Disconnected => ("disconnected", "start the producer again"),
        _ => (
            "receive",
            "check that producer and consumer are of versions that fit, and the limit on open files",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes() {
        let frame = |session, epoch, seq, width| Last {
            session,
            seq,
            epoch,
            format: Arc::new(Format::nv12_memfd(width, 480, (30, 1))),
        };
        let before = frame(1, 1, 10, 640);
        let cases = [
            ("next", frame(1, 1, 11, 640), false, false),
            ("gap", frame(1, 1, 13, 640), false, true),
            ("new format", frame(1, 2, 11, 320), true, false),
            ("new epoch, same caps", frame(1, 2, 11, 640), false, false),
            ("restarted producer", frame(2, 1, 1, 640), false, true),
            (
                "restarted with a new format",
                frame(2, 1, 1, 320),
                true,
                true,
            ),
        ];
        for (name, now, format, gap) in cases {
            assert_eq!(now.since(Some(&before)), Change { format, gap }, "{name}");
        }
        assert_eq!(
            before.since(None),
            Change {
                format: true,
                gap: true
            }
        );
    }
}
