//! The stream changes its format, ends, or comes back: clients are told in the protocol's words.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod common;

use std::time::Duration;

use common::{Said, Stream, serve, wait_for};
use mos_unixfd::Options;

#[test]
fn new_caps_come_before_the_first_frame_of_the_new_format() {
    let (place, mut stream, _endpoint) = serve(|options| options);
    let mut client = place.client();
    stream.wait_for_subscribers(1);
    stream.publish();
    client.caps();
    // Held over the change: it stays whole.
    let old = client.frame();
    stream.change_format(128, 96, 20);
    stream.publish();
    let caps = client.caps();
    assert!(caps.contains("width=(int)128, height=(int)96"), "{caps}");
    let new = client.frame();
    assert_eq!((new.stamp(), new.sizes[0]), (2, 128 * 96 * 3 / 2));
    assert_eq!(old.stamp(), 1);
}

#[test]
fn a_producer_that_stays_away_is_the_end_of_the_stream() {
    let (place, stream, endpoint) = serve(|options| Options {
        linger: Duration::from_millis(300),
        ..options
    });
    let mut client = place.client();
    stream.wait_for_subscribers(1);
    stream.publish();
    client.caps();
    let frame = client.frame();
    drop(stream);
    assert!(matches!(client.hear(), Some(Said::End)));
    // Its last frame may still be on a screen: the connection stays until it gives it back.
    assert_eq!(endpoint.stats().clients.len(), 1);
    client.release(&frame);
    assert!(client.hear().is_none());
    wait_for("the end", &endpoint, |stats| stats.clients.is_empty());
    assert_eq!(endpoint.stats().cut, 0);
}

#[test]
fn a_producer_that_comes_back_goes_on() {
    let (place, stream, _endpoint) = serve(|options| options);
    let mut client = place.client();
    stream.wait_for_subscribers(1);
    stream.publish();
    client.caps();
    let frame = client.frame();
    client.release(&frame);
    drop(stream);
    let stream = Stream::new(&place.stream(), 40);
    stream.wait_for_subscribers(1);
    stream.publish();
    // The format is the same, so no caps are due; the sequence starts anew, which is a gap.
    let frame = client.frame();
    assert_eq!((frame.stamp(), frame.flags), (1, 64));
}
