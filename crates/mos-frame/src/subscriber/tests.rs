//! The doorbell, as the subscriber answers it.

use std::time::{Duration, Instant};

use super::session::{Heard, Session};
use super::{SubscriberOptions, wait_readable};
use crate::format::{Format, FrameMeta};
use crate::pool::MemfdPool;
use crate::publisher::{Publisher, PublisherOptions};
use crate::socket::Wait;

const PATIENCE: Duration = Duration::from_secs(20);

/// The producer rings between the subscriber's arming and its second look, each time: it never sleeps, so it never reads
/// for the sake of a wake-up.
#[test]
fn rings_of_one_who_never_sleeps_do_not_pile_up() {
    let dir = tempfile::tempdir().unwrap();
    let path = crate::socket_path(dir.path(), "bells");
    let publisher = Publisher::bind(&path, PublisherOptions::default()).unwrap();
    let format = Format::nv12_memfd(64, 48, (30, 1));
    publisher.set_format(format.clone());
    let pool = MemfdPool::new(&publisher, &format, 6).unwrap();
    let mut session = Session::open(&path, &SubscriberOptions::default(), Some(PATIENCE)).unwrap();
    let deadline = Some(Instant::now() + PATIENCE);
    while !session.is_started() {
        assert!(wait_readable(session.fd(), deadline).unwrap());
        session.hear_all().unwrap();
    }
    for _ in 0..2000 {
        session.arm();
        let frame = pool.acquire().unwrap();
        let seq = frame.publish(&publisher, FrameMeta::default()).unwrap();
        assert!(session.has_offer());
        assert!(session.stand_down(&Heard::Nothing).unwrap(), "it was rung");
        assert_eq!(session.hear(Wait::No).unwrap(), Heard::Nothing);
        let (frame, _) = session.claim(false).unwrap().unwrap();
        assert_eq!(frame.seq(), seq);
    }
    let stats = publisher.stats();
    assert_eq!(
        (stats.subscribers[0].rings, stats.subscribers[0].bell_full),
        (2000, 0)
    );
}
