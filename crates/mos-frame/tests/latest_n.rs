//! LATEST-N: what a subscriber sees, and what a slow one misses.

mod common;

use common::{Stream, assert_whole};
use mos_frame::RecvError;

#[test]
fn one_who_keeps_up_sees_every_frame_in_order() {
    let stream = Stream::new(8);
    let mut subscriber = stream.subscribe(2, 1);
    for _ in 0..1000 {
        let seq = stream.publish();
        let frame = subscriber.next().unwrap();
        assert_eq!(frame.seq(), seq);
        assert_whole(&frame);
    }
    let counters = stream.info()[0].counters;
    assert_eq!(
        (counters.claimed, counters.recalled, counters.skipped),
        (1000, 0, 0)
    );
    assert_eq!(subscriber.stats().missed, 0);
}

#[test]
fn one_who_sleeps_sees_exactly_the_newest_n() {
    let stream = Stream::new(8);
    for window in [1, 2, 4] {
        let mut subscriber = stream.subscribe(window, 1);
        let mut last = 0;
        for _ in 0..100 {
            last = stream.publish();
        }
        let mut seen = Vec::new();
        while let Some(frame) = subscriber.try_next().unwrap() {
            assert_whole(&frame);
            seen.push(frame.seq());
        }
        assert_eq!(
            seen,
            (last + 1 - u64::from(window)..=last).collect::<Vec<_>>()
        );
    }
}

#[test]
fn latest_skips_to_the_newest_and_never_goes_back() {
    let stream = Stream::new(12);
    let mut subscriber = stream.subscribe(4, 2);
    stream.burst(4);
    assert_eq!(subscriber.try_latest().unwrap().unwrap().seq(), 4);
    assert!(
        subscriber.try_next().unwrap().is_none(),
        "frames 1 to 3 are older than what was taken"
    );
    assert_eq!(
        subscriber.stats().missed,
        0,
        "the first frame has no predecessor"
    );
    stream.burst(3);
    assert_eq!(subscriber.try_latest().unwrap().unwrap().seq(), 7);
    assert_eq!((subscriber.stats().missed, subscriber.stats().gaps), (2, 1));
}

#[test]
fn a_held_frame_is_never_overwritten() {
    let stream = Stream::new(6);
    let mut subscriber = stream.subscribe(2, 2);
    stream.publish();
    let held = subscriber.next().unwrap();
    for _ in 0..500 {
        stream.publish();
        let frame = subscriber.next().unwrap();
        assert_whole(&frame);
        assert_whole(&held);
    }
    assert!(held.is_valid());
}

#[test]
fn holding_more_than_asked_for_is_an_error_that_loses_nothing() {
    let stream = Stream::new(8);
    let mut subscriber = stream.subscribe(2, 1);
    stream.publish();
    stream.publish();
    let first = subscriber.next().unwrap();
    assert!(matches!(
        subscriber.try_next(),
        Err(RecvError::HoldLimit { hold: 1 })
    ));
    drop(first);
    assert_eq!(subscriber.next().unwrap().seq(), 2);
}

#[test]
fn every_frame_is_accounted_for() {
    let stream = Stream::new(12);
    let mut subscribers: Vec<_> = [(1, 1), (2, 1), (4, 2)]
        .map(|(n, h)| stream.subscribe(n, h))
        .into();
    for round in 0..300_usize {
        stream.publish();
        for (index, subscriber) in subscribers.iter_mut().enumerate() {
            if round.is_multiple_of(index + 2) {
                let _frame = subscriber.try_next().unwrap();
            }
        }
        for info in stream.info() {
            let c = info.counters;
            let open = stream.publisher.stats().published - c.claimed - c.recalled - c.skipped;
            assert!(
                open <= u64::from(info.window),
                "{open} are unaccounted for: {c:?}"
            );
            assert_eq!(c.skipped, 0);
        }
    }
}

#[test]
fn hold_zero_costs_no_buffer_and_ends_with_the_window() {
    // Two windows' worth and one in flight: no room for any hold.
    let stream = Stream::new(3);
    let mut subscriber = stream.subscribe(2, 0);
    stream.publish();
    let frame = subscriber.next().unwrap();
    assert!(frame.is_revocable() && frame.is_valid());
    assert!(frame.map().is_err(), "no slice of memory that may change");
    stream.publish();
    assert!(frame.is_valid());
    stream.publish();
    assert!(!frame.is_valid());
    assert_eq!(stream.info()[0].counters.revoked, 1);
    drop(frame);
    assert_eq!(subscriber.next().unwrap().seq(), 2);
}
