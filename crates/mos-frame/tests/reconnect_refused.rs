//! A subscriber that a restarted producer refuses tries again at a measured pace, until there is room for it.

mod common;

use std::time::Duration;

use common::{PATIENCE, make_pool, publish_stamped};
use mos_frame::{Budget, Publisher, PublisherOptions, Subscriber, SubscriberOptions};

fn options(slots: u32) -> PublisherOptions {
    let budget = Budget {
        slots,
        in_flight: 1,
        fences: 0,
    };
    PublisherOptions {
        budget,
        ..Default::default()
    }
}

#[test]
fn a_refused_subscriber_backs_off_and_is_taken_once_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let path = mos_frame::socket_path(dir.path(), "test");
    let first = Publisher::<()>::bind(&path, options(8)).unwrap();
    let mut subscriber = Subscriber::connect(&path, SubscriberOptions::default()).unwrap();
    drop(first);

    let second = Publisher::bind(&path, options(3)).unwrap();
    let none = subscriber.next_timeout(Duration::from_millis(500)).unwrap();
    assert!(none.is_none());
    let refused = second.stats().refused;
    assert!((1..20).contains(&refused), "{refused} attempts in 500 ms");
    assert_eq!(subscriber.stats().reconnects, 0, "no session came about");

    second.set_budget(options(8).budget);
    let pool = make_pool(&second, 64, 48, 7);
    publish_stamped(&second, &pool);
    let frame = subscriber.next_timeout(PATIENCE).unwrap();
    assert_eq!(frame.expect("a frame").seq(), 1);
    assert_eq!(subscriber.stats().reconnects, 1);
}
