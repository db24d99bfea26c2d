//! Property 15, the sequence: a ring entry carries its low 48 bits, a lease word 62. No stream lives long enough to get there, so
//! the publisher is put there.

use super::{PublishError, Publisher, PublisherOptions};
use crate::format::{Format, FrameMeta};
use crate::pool::{MemfdPool, PoolFrame};
use crate::publisher::publishing::LAST_SEQ;
use crate::subscriber::{Subscriber, SubscriberOptions};

fn stream(head: u64) -> (tempfile::TempDir, Publisher<PoolFrame>, MemfdPool) {
    let dir = tempfile::tempdir().unwrap();
    let path = crate::socket_path(dir.path(), "old");
    let publisher = Publisher::bind(&path, PublisherOptions::default()).unwrap();
    let format = Format::nv12_memfd(16, 16, (30, 1));
    publisher.set_format(format.clone());
    let pool = MemfdPool::new(&publisher, &format, 12).unwrap();
    publisher.shared.lock().head = head;
    (dir, publisher, pool)
}

fn publish(publisher: &Publisher<PoolFrame>, pool: &MemfdPool) -> Result<u64, PublishError> {
    loop {
        // The control thread may have the last free one in hand.
        if let Some(frame) = pool.acquire() {
            return frame.publish(publisher, FrameMeta::default());
        }
        std::thread::yield_now();
    }
}

fn subscribe(publisher: &Publisher<PoolFrame>, window: u32, hold: u32) -> Subscriber {
    let options = SubscriberOptions {
        window,
        hold,
        ..Default::default()
    };
    Subscriber::connect(publisher.path(), options).unwrap()
}

/// Where the ring's entries start anew, and where the last words are.
const EDGES: [u64; 3] = [1 << 32, 1 << 48, LAST_SEQ - 60];

#[test]
fn frames_go_on_over_the_edges_of_the_rings_numbers() {
    for edge in EDGES {
        let (_dir, publisher, pool) = stream(edge - 20);
        let mut keeps_up = subscribe(&publisher, 2, 1);
        let mut sleeps = subscribe(&publisher, 4, 1);
        let mut borrows = subscribe(&publisher, 2, 0);
        for seq in edge - 19..edge + 40 {
            assert_eq!(publish(&publisher, &pool).unwrap(), seq);
            assert_eq!(keeps_up.next().unwrap().seq(), seq);
            assert_eq!(borrows.try_latest().unwrap().unwrap().seq(), seq);
        }
        let last = edge + 39;
        let mut seen = Vec::new();
        while let Some(frame) = sleeps.try_next().unwrap() {
            seen.push(frame.seq());
        }
        assert_eq!(seen, [last - 3, last - 2, last - 1, last]);
        let mut late = subscribe(&publisher, 2, 1);
        assert_eq!(late.next().unwrap().seq(), last);
        assert_eq!(publisher.stats().evicted, 0);
    }
}

#[test]
fn after_the_last_sequence_publishing_is_an_error_that_hurts_nobody() {
    let (_dir, publisher, pool) = stream(LAST_SEQ - 3);
    let mut subscriber = subscribe(&publisher, 2, 1);
    for seq in LAST_SEQ - 2..=LAST_SEQ {
        assert_eq!(publish(&publisher, &pool).unwrap(), seq);
        assert_eq!(subscriber.next().unwrap().seq(), seq);
    }
    for _ in 0..3 {
        let error = publish(&publisher, &pool).unwrap_err();
        assert_eq!(error, PublishError::OutOfSequences);
        assert!(
            error.to_string().contains("start the stream anew"),
            "{error}"
        );
    }
    assert!(subscriber.try_next().unwrap().is_none());
    assert_eq!(publisher.newest_seq(), LAST_SEQ);
    assert_eq!(publisher.stats().evicted, 0);
}
