//! A frame in hand is never overwritten, although its subscriber or its producer's stream has ended.

mod common;

use common::{Stream, assert_whole, wait_until};
use mos_frame::PoolFrame;

#[test]
fn a_frame_outlives_its_subscriber() {
    let stream = Stream::new(4); // room for one
    let mut subscriber = stream.subscribe(2, 1);
    let seq = stream.publish();
    let held = subscriber.next().unwrap();
    drop(subscriber);
    for _ in 0..2000 {
        stream.publish();
    }
    assert!(held.is_valid());
    assert_eq!(held.seq(), seq);
    assert_whole(&held);
    drop(held);
    stream.wait_for_subscribers(0);
    assert!(stream.subscribe(2, 1).next().is_ok());
}

#[test]
fn a_frame_outlives_its_stream() {
    let stream = Stream::new(4);
    let mut subscriber = stream.subscribe(2, 1);
    stream.burst(3);
    let held = subscriber.next().unwrap();
    let Stream {
        publisher,
        pool,
        path,
        ..
    } = stream;
    drop(publisher);
    assert!(!path.exists(), "the stream has ended");
    assert_eq!(pool.free_count(), 3, "all but the held frame are free");
    // The producer goes on with its buffers, and with another stream.
    let mut others: Vec<PoolFrame> = std::iter::from_fn(|| pool.acquire()).collect();
    for frame in &mut others {
        frame.bytes_mut().fill(0xff);
    }
    assert_whole(&held);
    assert!(held.is_valid());
    assert_eq!(others.len(), 3);
    drop(held);
    wait_until("the held frame's buffer", || pool.acquire().is_some());
    drop(subscriber);
}
