//! Property 11: who joins late is offered the newest frame at once, also if no other ever comes.

use std::time::Duration;

use crate::common::{PATIENCE, Stream, assert_whole, make_pool, publish_stamped, wait_until};
use crate::runner::Properties;

pub(crate) fn list(properties: &mut Properties) {
    properties.add(
        "p11_late_joiners_get_a_frame",
        &[
            ("the_newest_at_once", at_once),
            ("also_if_nobody_was_there_when_it_came", nobody_was_there),
            ("also_while_others_hold_it", while_held),
            ("but_none_of_an_older_format", none_of_an_older_format),
        ],
    );
}

/// The one frame that a late joiner gets.
fn assert_only(stream: &Stream, seq: u64) {
    let mut late = stream.subscribe(2, 1);
    let frame = late.next_timeout(PATIENCE).unwrap().expect("a frame");
    assert_eq!(frame.seq(), seq);
    assert_whole(&frame);
    drop(frame);
    let second = late.next_timeout(Duration::ZERO).unwrap();
    assert_eq!(second.map(|f| f.seq()), None);
    drop(late);
}

fn at_once() {
    let stream = Stream::new(8);
    let mut early = stream.subscribe(2, 1);
    for _ in 0..50 {
        stream.burst(5);
        assert_only(&stream, stream.publisher.newest_seq());
        stream.wait_for_subscribers(1);
    }
    assert_eq!(
        early.next().unwrap().seq(),
        249,
        "the early one is not disturbed"
    );
}

fn nobody_was_there() {
    let stream = Stream::new(4);
    stream.burst(7);
    for _ in 0..20 {
        assert_only(&stream, 7);
        stream.wait_for_subscribers(0);
    }
    assert_eq!(stream.pool.free_count(), 3, "the newest is kept, no other");
}

fn while_held() {
    let stream = Stream::new(8);
    let mut early = stream.subscribe(2, 1);
    let seq = stream.publish();
    let held = early.next().unwrap();
    assert_only(&stream, seq);
    assert_whole(&held);
    drop(held);
    // All have let go of it, and still it is there.
    wait_until("the hold to be over", || {
        stream.info().iter().all(|i| i.counters.held == 0)
    });
    assert_only(&stream, seq);
}

fn none_of_an_older_format() {
    let stream = Stream::new(8);
    stream.burst(3);
    let pool = make_pool(&stream.publisher, 32, 32, 4);
    let mut late = stream.subscribe(2, 1);
    assert!(
        late.next_timeout(Duration::from_millis(50))
            .unwrap()
            .is_none()
    );
    let seq = publish_stamped(&stream.publisher, &pool);
    let frame = late.next_timeout(PATIENCE).unwrap().expect("a frame");
    assert_eq!((frame.seq(), frame.epoch()), (seq, 2));
    assert_whole(&frame);
}
