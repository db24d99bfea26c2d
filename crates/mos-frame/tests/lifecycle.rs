//! Leaving, releasing, a producer that is there, is not, or ends.

mod common;

use common::{Stream, wait_until};
use mos_frame::{
    BindError, ConnectError, Publisher, PublisherOptions, RecvError, Subscriber, SubscriberOptions,
};

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
