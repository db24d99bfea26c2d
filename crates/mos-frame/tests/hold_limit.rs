//! Asking for more frames than agreed is the library's error, long before it would be the producer's affair.

mod common;

use common::Stream;
use mos_frame::RecvError;

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
