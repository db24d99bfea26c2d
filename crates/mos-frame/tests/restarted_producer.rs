//! A producer that dies and comes back, again and again. Alone in its file: descriptors of the whole process are counted.

#![allow(clippy::unwrap_used, reason = "helpers of a test")]

mod common;

use common::{PATIENCE, assert_whole, make_pool, publish_stamped, wait_until};
use mos_frame::{Budget, Publisher, PublisherOptions, Subscriber, SubscriberOptions};

const RESTARTS: u64 = 1000;

#[test]
fn subscribers_find_a_restarted_producer_by_themselves() {
    let dir = tempfile::tempdir().unwrap();
    let path = mos_frame::socket_path(dir.path(), "test");
    let (fds, mappings) = (own_fds(), own_mappings());
    let start = || {
        let options = PublisherOptions {
            budget: Budget {
                slots: 8,
                in_flight: 1,
                fences: 0,
            },
            ..Default::default()
        };
        let publisher = Publisher::bind(&path, options).unwrap();
        let pool = make_pool(&publisher, 64, 48, 8);
        (publisher, pool)
    };
    let (publisher, pool) = start();
    let mut subscriber = Subscriber::connect(
        &path,
        SubscriberOptions {
            hold: 2,
            ..Default::default()
        },
    )
    .unwrap();
    publish_stamped(&publisher, &pool);
    let held = subscriber.next().unwrap();
    drop((publisher, pool));
    let mut sessions = vec![held.session()];
    for _ in 0..RESTARTS {
        let (publisher, pool) = start();
        publish_stamped(&publisher, &pool);
        let frame = subscriber
            .next_timeout(PATIENCE)
            .unwrap()
            .expect("a frame of the new producer");
        assert_eq!(frame.seq(), 1);
        assert_whole(&frame);
        assert_whole(&held);
        sessions.push(frame.session());
    }
    sessions.sort_unstable();
    sessions.dedup();
    assert_eq!(
        sessions.len(),
        RESTARTS as usize + 1,
        "each producer has a session of its own"
    );
    assert_eq!(subscriber.stats().reconnects, RESTARTS);
    drop((subscriber, held));
    wait_until("every descriptor and mapping to be gone", || {
        (own_fds(), own_mappings()) == (fds, mappings)
    });
}

fn own_fds() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Mappings of the bus's shared memory.
fn own_mappings() -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    maps.lines()
        .filter(|line| line.contains("memfd:mos-frame"))
        .count()
}
