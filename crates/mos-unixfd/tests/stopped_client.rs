//! A client that stops keeps no more than its hold, costs nobody else a frame, and is cut off.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod common;

use std::time::Duration;

use common::{DEADLINE, Said, serve, wait_for};
use mos_testkit::wait_until;
use mos_unixfd::Options;

const HOLD: u32 = 3;

#[test]
fn a_stopped_client_loses_only_its_own_frames() {
    let (place, stream, endpoint) = serve(|options| Options {
        hold: HOLD,
        window: 2,
        ..options
    });
    let mut stopped = place.client();
    wait_for("the first client", &endpoint, |stats| {
        stats.clients.len() == 1
    });
    let (mut healthy, mut native) = (place.client(), place.native());
    stream.wait_for_subscribers(3);
    for seq in 1..=300 {
        stream.publish();
        if seq == 1 {
            healthy.caps();
        }
        let frame = healthy.frame();
        assert_eq!(
            (frame.seq, frame.stamp()),
            (seq, seq),
            "lost at the healthy client"
        );
        healthy.release(&frame);
        let frame = native.next_timeout(DEADLINE).unwrap().expect("a frame");
        assert_eq!(frame.seq(), seq, "lost at the native subscriber");
    }
    let idle = endpoint.stats().clients[0];
    assert_eq!((idle.sent, idle.held, idle.released), (3, 3, 0));
    // What it has is whole: it was not overwritten, however long ago it was sent.
    stopped.caps();
    for _ in 0..3 {
        let frame = stopped.frame();
        assert_eq!(frame.stamp(), frame.seq);
        stopped.release(&frame);
    }
    // It goes on with the newest ones, and is told of the gap.
    let next = stopped.frame();
    assert!(next.seq >= 299, "{}", next.seq);
    assert_eq!(next.flags, 64);
    wait_for("the missed frames", &endpoint, |stats| {
        stats.clients[0].missed >= 295
    });
    assert_eq!(endpoint.stats().cut, 0);
}

#[test]
fn a_client_that_never_releases_is_cut_off() {
    let (place, stream, endpoint) = serve(|options| Options {
        hold: HOLD,
        release_timeout: Duration::from_millis(200),
        ..options
    });
    let (mut greedy, mut healthy) = (place.client(), place.client());
    stream.wait_for_subscribers(2);
    stream.publish();
    healthy.caps();
    wait_until("the cut", DEADLINE, || {
        let frame = healthy.frame();
        healthy.release(&frame);
        let stats = endpoint.stats();
        let over = stats.cut == 1 && stats.clients.len() == 1;
        stream.publish();
        over.then_some(())
    })
    .unwrap();
    let frame = healthy.frame();
    healthy.release(&frame);
    let said = greedy.hear_all();
    assert!(
        matches!(
            said[..],
            [
                Said::Caps(_),
                Said::Frame(_),
                Said::Frame(_),
                Said::Frame(_)
            ]
        ),
        "{said:?}"
    );
    // Its place and its frames are free again; the healthy one goes on.
    stream.wait_for_subscribers(1);
    let seq = stream.publish();
    assert_eq!(healthy.frame().seq, seq);
    let other = stream.publisher.stats().subscribers;
    assert_eq!(other.iter().map(|s| s.counters.held).sum::<u32>(), 1);
}

#[test]
fn a_client_that_keeps_less_than_it_may_is_no_offender() {
    let (place, stream, endpoint) = serve(|options| Options {
        hold: HOLD,
        release_timeout: Duration::from_millis(1),
        ..options
    });
    let mut client = place.client();
    stream.wait_for_subscribers(1);
    stream.publish();
    client.caps();
    let kept = client.frame();
    for _ in 0..100 {
        stream.publish();
        let frame = client.frame();
        client.release(&frame);
    }
    assert_eq!((kept.stamp(), endpoint.stats().cut), (1, 0));
}
