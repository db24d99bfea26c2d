//! Asking a producer what it does, without subscribing.

use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::publisher::PublisherStats;
use crate::socket::{self, Received, Sent, Wait};
use crate::subscriber::{ConnectError, End, wait_readable};
use crate::wire::{Message, VERSION};

/// What a producer says about itself.
pub type Inspection = PublisherStats;

/// Largest report that is read: some hundred times that of a stream with many subscribers.
const MAX_REPORT: usize = 4 << 20;

/// Asks the producer at `path` what it does: subscribers and what they hold, times, refusals. Waits at most `timeout`.
///
/// Everybody who may subscribe may ask. It is no subscription: it takes no buffer of the budget, and no subscriber notices.
///
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let path = mos_frame::socket_path(&mos_frame::default_dir(), "front");
/// let stream = mos_frame::inspect(&path, std::time::Duration::from_secs(2))?;
/// for subscriber in &stream.subscribers {
///     println!("{} holds {} frames", subscriber.name, subscriber.counters.held);
/// }
/// # Ok(())
/// # }
/// ```
pub fn inspect(path: &Path, timeout: Duration) -> Result<Inspection, ConnectError> {
    let deadline = Instant::now().checked_add(timeout);
    let too_late = || ConnectError::Timeout {
        path: path.to_owned(),
        timeout,
    };
    let failed = |e: std::io::Error| match e.kind() {
        std::io::ErrorKind::WouldBlock => too_late(),
        _ => ConnectError::from_io(path, e),
    };
    let ended = |end: End| ConnectError::from_end(path, end);
    let socket = socket::connect(path, Some(timeout)).map_err(failed)?;
    let question = Message::Inspect {
        min_version: VERSION,
        max_version: VERSION,
    };
    match socket::send(socket.as_fd(), &question.encode(), &[]).map_err(failed)? {
        // One that refuses us unheard is gone already; its reason waits to be read.
        Sent::Done | Sent::Gone => {}
        other @ (Sent::Full | Sent::Short) => {
            return Err(ended(End::Protocol(format!(
                "INSPECT was not sent: {other:?}"
            ))));
        }
    }
    let mut report = Vec::new();
    loop {
        if !wait_readable(socket.as_fd(), deadline).map_err(failed)? {
            return Err(too_late());
        }
        let packet = match socket::receive(socket.as_fd(), Wait::No).map_err(failed)? {
            Received::Packet(packet) => packet,
            Received::Empty => continue,
            Received::Gone if report.is_empty() => return Err(ended(End::Gone)),
            Received::Gone => return Err(ended(End::Protocol("half a report".into()))),
        };
        let message = Message::decode(&packet.bytes);
        match message.map_err(|e| ended(End::Protocol(e.to_string())))? {
            Some(Message::Stats { more, part }) => {
                report.extend(part);
                if report.len() > MAX_REPORT {
                    let text = format!("a report of more than {MAX_REPORT} bytes");
                    return Err(ended(End::Protocol(text)));
                }
                if !more {
                    break;
                }
            }
            Some(Message::Refused { reason, text }) => {
                return Err(ended(End::Refused { reason, text }));
            }
            Some(Message::Bye) => return Err(ended(End::Gone)),
            None => {}
            Some(other) => {
                let text = format!("unexpected {other:?} instead of a report");
                return Err(ended(End::Protocol(text)));
            }
        }
    }
    serde_json::from_slice(&report)
        .map_err(|e| ended(End::Protocol(format!("its report can't be read: {e}"))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::Budget;
    use crate::format::{Format, FrameMeta};
    use crate::pool::{MemfdPool, PoolFrame};
    use crate::publisher::{Access, Publisher, PublisherOptions};
    use crate::subscriber::{Subscriber, SubscriberOptions};
    use crate::wire::Reason;

    const PATIENCE: Duration = Duration::from_secs(20);

    struct Stream {
        publisher: Publisher<PoolFrame>,
        pool: MemfdPool,
        _dir: tempfile::TempDir,
    }

    impl Stream {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let path = crate::socket_path(dir.path(), "front");
            let budget = Budget {
                slots: 8,
                in_flight: 1,
                fences: 1,
            };
            let options = PublisherOptions {
                budget,
                ..PublisherOptions::default()
            };
            let publisher = Publisher::bind(&path, options).unwrap();
            let format = Format::nv12_memfd(64, 48, (30, 1));
            publisher.set_format(format.clone());
            let pool = MemfdPool::new(&publisher, &format, 8).unwrap();
            Self {
                publisher,
                pool,
                _dir: dir,
            }
        }

        fn publish(&self) -> u64 {
            let frame = self.pool.acquire().unwrap();
            frame
                .publish(&self.publisher, FrameMeta::default())
                .unwrap()
        }

        fn subscribe(&self, name: &str, hold: u32) -> Result<Subscriber, ConnectError> {
            let options = SubscriberOptions {
                name: name.into(),
                hold,
                ..SubscriberOptions::default()
            };
            Subscriber::connect(self.publisher.path(), options)
        }

        fn inspect(&self) -> Inspection {
            inspect(self.publisher.path(), PATIENCE).unwrap()
        }
    }

    #[test]
    fn it_says_who_holds_what() {
        let stream = Stream::new();
        let mut eye = stream.subscribe("eye", 2).unwrap();
        stream.publish();
        let held = eye.next().unwrap();
        for _ in 0..3 {
            stream.publish();
        }
        let seen = stream.inspect();
        assert_eq!((seen.published, seen.epoch), (4, 1));
        assert_eq!(seen.format.as_ref(), Some(held.format()));
        assert_eq!((seen.budget.slots, seen.budget_used), (8, 4));
        assert_eq!(seen.publish_time.count, 4);
        assert!(
            seen.publish_time.p50_ns > 0 && seen.publish_time.p50_ns <= seen.publish_time.max_ns
        );
        // One is held, two are in the window.
        assert_eq!((seen.spare_now, seen.spare_low), (5, 5));
        let [subscriber] = seen.subscribers.as_slice() else {
            panic!("{:?}", seen.subscribers)
        };
        assert_eq!(
            (subscriber.name.as_str(), subscriber.started),
            ("eye", true)
        );
        let counters = subscriber.counters;
        assert_eq!(
            (counters.offered, counters.claimed, counters.recalled),
            (4, 1, 1)
        );
        assert_eq!(subscriber.holds.len(), 1);
        assert_eq!((subscriber.holds[0].seq, subscriber.holds[0].epoch), (1, 1));
        assert_eq!(subscriber.oldest_lease.unwrap().seq, 1);
        assert!(
            subscriber.holds[0].age_ns > 0 && subscriber.holds[0].age_ns < subscriber.connected_ns
        );
    }

    #[test]
    fn it_says_why_subscriptions_were_refused() {
        let stream = Stream::new();
        let _first = stream.subscribe("first", 4).unwrap();
        let error = stream.subscribe("greedy", 1).unwrap_err();
        assert!(matches!(
            error,
            ConnectError::Refused {
                reason: Reason::OverBudget,
                ..
            }
        ));
        let seen = stream.inspect();
        assert_eq!((seen.refused, seen.evicted), (1, 0));
        let refusal = &seen.refusals[0];
        assert_eq!((refusal.name.as_str(), refusal.hold), ("greedy", 1));
        assert_eq!(refusal.pid, std::process::id().cast_signed());
        assert!(error.to_string().contains(&refusal.text) && !refusal.text.is_empty());
    }

    #[test]
    fn it_says_how_long_an_epoch_drains() {
        let stream = Stream::new();
        let mut eye = stream.subscribe("eye", 1).unwrap();
        stream.publish();
        let held = eye.next().unwrap();
        stream
            .publisher
            .set_format(Format::nv12_memfd(32, 16, (30, 1)));
        let seen = stream.inspect().epoch_drain;
        assert_eq!((seen.draining_buffers, seen.max_ns), (1, 0));
        drop(held);
        let seen = stream.inspect().epoch_drain;
        assert_eq!(seen.draining_buffers, 0);
        assert!(seen.last_ns > 0 && seen.last_ns == seen.max_ns);
    }

    #[test]
    fn inspecting_is_no_subscription_and_leaves_nothing_behind() {
        let stream = Stream::new();
        let before = stream.publisher.stats();
        for _ in 0..200 {
            stream.inspect();
        }
        let after = stream.publisher.stats();
        assert_eq!(
            (after.refused, after.evicted),
            (before.refused, before.evicted)
        );
        assert_eq!(after.subscribers, before.subscribers);
    }

    #[test]
    fn strangers_are_told_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = crate::socket_path(dir.path(), "closed");
        let nobody = Access {
            uids: vec![],
            gids: vec![],
        };
        let options = PublisherOptions {
            access: nobody,
            ..PublisherOptions::default()
        };
        let _publisher = Publisher::<()>::bind(&path, options).unwrap();
        assert!(matches!(
            inspect(&path, PATIENCE),
            Err(ConnectError::Refused {
                reason: Reason::NotAllowed,
                ..
            })
        ));
    }

    #[test]
    fn a_stream_that_is_not_there_is_not_found() {
        let dir = tempfile::tempdir().unwrap();
        let path = crate::socket_path(dir.path(), "none");
        assert!(matches!(
            inspect(&path, PATIENCE),
            Err(ConnectError::NotFound { .. })
        ));
    }

    #[test]
    fn one_that_never_answers_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = crate::socket_path(dir.path(), "mute");
        let _listener = socket::Listener::bind(&path, 0o600, None).unwrap();
        assert!(matches!(
            inspect(&path, Duration::from_millis(50)),
            Err(ConnectError::Timeout { .. })
        ));
    }

    #[test]
    fn reports_of_later_versions_are_read() {
        let text = r#"{"published": 7, "news": [1], "refusals": [{"reason": "not_invented_yet"}],
            "subscribers": [{"name": "a", "counters": {"offered": 3}}]}"#;
        let seen: Inspection = serde_json::from_str(text).unwrap();
        assert_eq!(
            (seen.published, seen.refusals[0].reason),
            (7, Reason::Other)
        );
        assert_eq!(seen.subscribers[0].counters.offered, 3);
    }

    #[test]
    fn a_report_survives_the_wire() {
        let stream = Stream::new();
        let _eye = stream.subscribe("eye", 1).unwrap();
        stream.publish();
        let seen = stream.publisher.stats();
        let text = serde_json::to_string(&seen).unwrap();
        assert!(text.contains(r#""fourcc":"NV12","#), "{text}");
        assert_eq!(serde_json::from_str::<Inspection>(&text).unwrap(), seen);
    }
}
