//! A subscriber that comes before its stream: it sleeps until there is a producer, and then receives as any other.

mod common;

use std::time::Duration;

use common::{PATIENCE, make_pool, publish_stamped};
use mos_frame::{Budget, Publisher, PublisherOptions, Subscriber, SubscriberOptions};

#[test]
fn a_subscriber_may_come_before_its_stream() {
    let dir = tempfile::tempdir().unwrap();
    let path = mos_frame::socket_path(dir.path(), "later");
    let mut early = Subscriber::await_stream(&path, SubscriberOptions::default()).unwrap();
    assert!(early.try_next().unwrap().is_none());
    assert!(
        early
            .next_timeout(Duration::from_millis(1))
            .unwrap()
            .is_none()
    );
    assert!(!early.is_connected());
    let options = PublisherOptions {
        budget: Budget {
            slots: 6,
            in_flight: 1,
            fences: 0,
        },
        ..PublisherOptions::default()
    };
    let publisher = Publisher::bind(&path, options).unwrap();
    let pool = make_pool(&publisher, 64, 48, 6);
    publish_stamped(&publisher, &pool);
    let frame = early.next_timeout(PATIENCE).unwrap().expect("a frame");
    assert_eq!(frame.seq(), 1);
    assert_eq!(
        early.stats().reconnects,
        0,
        "the first session is no reconnection"
    );
}
