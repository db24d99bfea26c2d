//! A client gets caps and then frames: in order, as the producer's own memory, with times and flags.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod common;

use common::{Place, Said, Stream, serve, wait_for};
use mos_frame::monotonic_ns;
use mos_unixfd::Endpoint;

const DISCONT: u32 = 64;

#[test]
fn frames_come_in_order_without_a_copy() {
    let (place, stream, endpoint) = serve(|options| options);
    let mut client = place.client();
    stream.wait_for_subscribers(1);
    for seq in 1..=20 {
        let before = monotonic_ns();
        assert_eq!(stream.publish(), seq);
        if seq == 1 {
            let caps = client.caps();
            assert!(
                caps.starts_with("video/x-raw, format=(string)NV12, width=(int)64,"),
                "{caps}"
            );
        }
        let frame = client.frame();
        assert_eq!((frame.seq, frame.stamp()), (seq, seq));
        assert_eq!(
            (frame.memory, &frame.sizes[..]),
            (0, &[64 * 48 * 3 / 2][..])
        );
        assert_eq!(frame.flags, if seq == 1 { DISCONT } else { 0 });
        // Shown one frame's time after its capture.
        let capture = frame.pts - 33_333_333;
        assert!((before..=monotonic_ns()).contains(&capture));
        assert_eq!(frame.duration, 33_333_333);
        client.release(&frame);
    }
    wait_for("all releases", &endpoint, |stats| {
        stats.clients[0].released == 20
    });
    let stats = endpoint.stats().clients[0];
    assert_eq!((stats.sent, stats.held, stats.missed), (20, 0, 0));
}

#[test]
fn a_frame_is_leased_until_the_client_releases_it() {
    let (place, stream, _endpoint) = serve(|options| options);
    let mut client = place.client();
    stream.wait_for_subscribers(1);
    stream.publish();
    client.caps();
    let kept = client.frame();
    for seq in 2..=200 {
        stream.publish();
        let frame = client.frame();
        assert_eq!(frame.stamp(), seq);
        client.release(&frame);
    }
    assert_eq!(kept.stamp(), 1, "it was overwritten while it was held");
}

#[test]
fn a_client_may_come_before_the_stream() {
    let place = Place::new();
    let endpoint = Endpoint::bind(&place.options()).unwrap();
    let mut client = place.client();
    wait_for("the client", &endpoint, |stats| stats.clients.len() == 1);
    let stream = Stream::new(&place.stream(), 40);
    stream.wait_for_subscribers(1);
    stream.publish();
    client.caps();
    assert_eq!(client.frame().stamp(), 1);
}

#[test]
fn a_stop_ends_the_stream_for_the_clients() {
    let (place, stream, endpoint) = serve(|options| options);
    let mut client = place.client();
    stream.wait_for_subscribers(1);
    stream.publish();
    client.caps();
    let frame = client.frame();
    client.release(&frame);
    drop(endpoint);
    let said = client.hear_all();
    assert!(matches!(said[..], [Said::End]), "{said:?}");
    assert!(!place.socket().exists());
    assert!(std::os::unix::net::UnixStream::connect(place.socket()).is_err());
}
