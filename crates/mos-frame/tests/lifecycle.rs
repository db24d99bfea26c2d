//! Joining, leaving, format changes, a producer that comes and goes.

mod common;

use std::time::Duration;

use common::{PATIENCE, Stream, assert_whole, make_pool, publish_stamped, wait_until};
use mos_frame::{
    BindError, ConnectError, Format, Publisher, PublisherOptions, Reason, RecvError, Subscriber,
    SubscriberOptions,
};

#[test]
fn a_late_joiner_gets_a_frame_at_once() {
    let stream = Stream::new(8);
    stream.burst(5);
    let mut late = stream.subscribe(2, 1);
    assert_eq!(late.next_timeout(PATIENCE).unwrap().unwrap().seq(), 5);
    assert_eq!(
        late.next_timeout(Duration::ZERO).unwrap().map(|f| f.seq()),
        None
    );
}

#[test]
fn the_over_budget_subscriber_is_refused_with_the_figures() {
    let stream = Stream::new(5); // 1 in flight, window 2, so holds of 2
    let mut first = stream.subscribe(2, 1);
    let _second = stream.subscribe(2, 1);
    let options = SubscriberOptions {
        window: 2,
        hold: 1,
        ..Default::default()
    };
    match Subscriber::connect(&stream.path, options).unwrap_err() {
        ConnectError::Refused {
            reason: Reason::OverBudget,
            text,
            ..
        } => assert!(text.contains("would need 5"), "{text}"),
        other => panic!("{other}"),
    }
    assert_eq!(stream.publisher.stats().refused, 1);
    stream.publish();
    assert_eq!(first.next().unwrap().seq(), 1);
}

#[test]
fn senseless_requests_are_refused() {
    let stream = Stream::new(8);
    for (window, hold) in [(0, 1), (65, 1), (2, 65)] {
        let options = SubscriberOptions {
            window,
            hold,
            ..Default::default()
        };
        let error = Subscriber::connect(&stream.path, options).unwrap_err();
        assert!(
            matches!(
                error,
                ConnectError::Refused {
                    reason: Reason::BadRequest,
                    ..
                }
            ),
            "{error}"
        );
    }
}

#[test]
fn a_subscriber_that_leaves_gives_its_frames_and_its_budget_back() {
    let stream = Stream::new(4); // room for one
    for _ in 0..50 {
        let mut subscriber = stream.subscribe(2, 1);
        stream.publish();
        let frame = subscriber.next().unwrap();
        drop((subscriber, frame));
        stream.wait_for_subscribers(0);
    }
    stream.publish();
    wait_until("all buffers but the newest", || {
        stream.publisher.reap();
        stream.pool.free_count() == 3
    });
}

#[test]
fn a_release_is_noticed_although_nothing_is_published() {
    let stream = Stream::new(4);
    let mut subscriber = stream.subscribe(2, 1);
    stream.burst(2);
    let frame = subscriber.next().unwrap();
    assert_eq!(stream.pool.free_count(), 2);
    drop(frame);
    wait_until("the buffer of the released frame", || {
        stream.pool.free_count() == 3
    });
}

#[test]
fn a_format_change_starts_an_epoch_and_leaves_held_frames_alone() {
    let stream = Stream::new(8);
    let mut subscriber = stream.subscribe(2, 2);
    stream.publish();
    let old = subscriber.next().unwrap();
    let pool = make_pool(&stream.publisher, 32, 32, 4);
    for _ in 0..20 {
        let seq = publish_stamped(&stream.publisher, &pool);
        let frame = subscriber.next().unwrap();
        assert_eq!(
            (frame.seq(), frame.epoch(), frame.format().width),
            (seq, 2, 32)
        );
        assert_whole(&frame);
        assert_whole(&old);
    }
    assert_eq!((old.epoch(), old.format().width), (1, 64));
    drop(old);
    wait_until("the old epoch's buffers to go", || {
        stream.publisher.stats().buffers == 4
    });
}

/// The control thread tells of the format while the publishing thread tells of the buffers; whoever is second must not
/// publish before both are told.
#[test]
fn the_first_frame_of_an_epoch_reaches_everybody() {
    let stream = Stream::new(8);
    let mut subscribers = [stream.subscribe(2, 1), stream.subscribe(2, 1)];
    // As many as a subscriber may leave unacknowledged: acknowledgements take their time.
    for round in 1..=60_u32 {
        let pool = make_pool(&stream.publisher, 32 + 2 * round, 32, 1);
        let seq = publish_stamped(&stream.publisher, &pool);
        for subscriber in &mut subscribers {
            let frame = subscriber.next_timeout(PATIENCE).unwrap();
            let frame =
                frame.unwrap_or_else(|| panic!("round {round}: {:#?}", stream.publisher.stats()));
            assert_eq!(frame.seq(), seq);
        }
    }
}

#[test]
fn the_same_format_again_changes_nothing() {
    let stream = Stream::new(4);
    assert_eq!(
        stream
            .publisher
            .set_format(Format::nv12_memfd(64, 48, (30, 1))),
        1
    );
    assert_eq!(
        stream
            .publisher
            .set_format(Format::nv12_memfd(64, 48, (60, 1))),
        2
    );
}

#[test]
fn a_second_producer_is_refused_while_the_first_lives() {
    let stream = Stream::new(4);
    let second = Publisher::<()>::bind(&stream.path, PublisherOptions::default());
    assert!(matches!(second, Err(BindError::InUse { .. })));
}

#[test]
fn nobody_there_is_an_error_that_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let path = mos_frame::socket_path(dir.path(), "nothing");
    let error = Subscriber::connect(&path, SubscriberOptions::default()).unwrap_err();
    assert!(matches!(error, ConnectError::NotFound { .. }), "{error}");
    let bind = Publisher::<()>::bind(
        &dir.path().join("no/such/folder/s.sock"),
        PublisherOptions::default(),
    );
    assert!(matches!(bind, Err(BindError::NoFolder { .. })));
}

#[test]
fn without_reconnection_the_end_is_an_error() {
    let stream = Stream::new(4);
    let options = SubscriberOptions {
        reconnect: false,
        ..Default::default()
    };
    let mut subscriber = Subscriber::connect(&stream.path, options).unwrap();
    drop(stream);
    assert!(matches!(subscriber.next(), Err(RecvError::Disconnected)));
    assert!(matches!(
        subscriber.try_next(),
        Err(RecvError::Disconnected)
    ));
}
