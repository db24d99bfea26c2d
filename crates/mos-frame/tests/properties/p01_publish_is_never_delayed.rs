//! Property 1: a stopped subscriber, at whatever step of the protocol it stopped, neither holds the producer up nor costs
//! another subscriber a frame, and the producer's memory and descriptors don't grow meanwhile. (How long a publish takes is
//! measured by the benchmark, not judged here.)

use std::time::Duration;

use mos_frame::{PublisherOptions, Subscriber};

use crate::common::{PATIENCE, Stream, assert_whole, make_pool, own, publish_stamped, wait_until};
use crate::faults::Step;
use crate::parts::stay;
use crate::runner::Properties;

pub(crate) fn list(properties: &mut Properties) {
    properties.add(
        "p01_publish_is_never_delayed",
        &[
            ("by_one_stopped_at_any_step", stopped_at_any_step),
            (
                "by_one_stopped_at_any_step_while_formats_change",
                stopped_while_formats_change,
            ),
            ("by_one_stopped_at_every_step_at_once", all_at_once),
        ],
    );
}

/// With a handshake time that never ends: who stops in the handshake stays as long as the test does.
fn stream(buffers: u32) -> Stream {
    let options = PublisherOptions {
        handshake_timeout: Duration::from_hours(1),
        ..Default::default()
    };
    Stream::with(buffers, options)
}

/// Publishes frames, each of which a healthy subscriber takes before the next.
fn go_on(stream: &Stream, healthy: &mut Subscriber, frames: usize) {
    for _ in 0..frames {
        let seq = stream.publish();
        let frame = healthy.next_timeout(PATIENCE).unwrap().expect("a frame");
        assert_eq!(frame.seq(), seq, "the healthy subscriber lost a frame");
        assert_whole(&frame);
    }
}

/// Own memory that may be added without being a leak: less than 32 bytes for each of 20,000 frames.
const SLACK: usize = 512 << 10;

fn assert_flat(before: (usize, usize, u32), stream: &Stream, what: &str) {
    let after = holdings(stream);
    assert_eq!(
        (after.0, after.2),
        (before.0, before.2),
        "{what}: descriptors and buffers"
    );
    let grown = after.1.saturating_sub(before.1);
    assert!(grown < SLACK, "{what}: {grown} bytes more than before");
}

/// Descriptors, own memory, buffers on the bus.
fn holdings(stream: &Stream) -> (usize, usize, u32) {
    (
        own::fds(),
        own::resident(),
        stream.publisher.stats().buffers,
    )
}

fn stopped_at_any_step() {
    for step in Step::ALL {
        let stream = stream(12);
        let mut healthy = stream.subscribe(2, 1);
        go_on(&stream, &mut healthy, 1);
        let mut victim = stay(step, &stream.path);
        stream.wait_for_subscribers(1 + usize::from(step.is_subscribed()));
        victim.stop();
        go_on(&stream, &mut healthy, 2000);
        let before = holdings(&stream);
        go_on(&stream, &mut healthy, 20_000);
        assert_flat(before, &stream, &step.name());
        assert_eq!(healthy.stats().missed, 0);
        let stats = stream.publisher.stats();
        assert_eq!(stats.evicted, 0, "{step:?}: standing still is no offence");
        let held = stats.subscribers.iter().map(|s| s.counters.held).max();
        assert_eq!(
            held == Some(1),
            step == Step::Holding,
            "{step:?}: {stats:?}"
        );
    }
}

/// The stopped one's outbox collects what it is not told, and may not grow without end.
fn stopped_while_formats_change() {
    for step in Step::ALL {
        let stream = stream(16);
        let mut healthy = stream.subscribe(2, 1);
        go_on(&stream, &mut healthy, 1);
        let mut victim = stay(step, &stream.path);
        stream.wait_for_subscribers(1 + usize::from(step.is_subscribed()));
        victim.stop();
        let mut pool = None;
        let mut change = |round: u32| {
            let width = 32 + 2 * (round % 16);
            pool = Some(make_pool(&stream.publisher, width, 32, 4));
            // Buffers are offered once they are announced, and so many announcements in a row wait for the healthy one's
            // acknowledgements. It is never left out for longer than that.
            wait_until("a frame of the new format", || {
                publish_stamped(&stream.publisher, pool.as_ref().unwrap());
                let frame = healthy.try_next().unwrap();
                frame.is_some_and(|frame| frame.format().width == width)
            });
        };
        (0..300).for_each(&mut change);
        let before = own::resident();
        (300..1300).for_each(&mut change);
        let grown = own::resident().saturating_sub(before);
        assert!(
            grown < SLACK,
            "{step:?}: {grown} bytes more after 1000 formats"
        );
        // The epoch's own four, and two of earlier ones that the stopped one may hold or that are just being let go.
        let buffers = stream.publisher.stats().buffers;
        assert!(buffers <= 6, "{step:?}: {buffers} buffers");
    }
}

fn all_at_once() {
    let stream = stream(40);
    let mut healthy = stream.subscribe(2, 1);
    go_on(&stream, &mut healthy, 1);
    let mut victims: Vec<_> = Step::ALL.map(|step| stay(step, &stream.path)).into();
    victims.iter_mut().for_each(crate::faults::Peer::stop);
    go_on(&stream, &mut healthy, 2000);
    let before = holdings(&stream);
    go_on(&stream, &mut healthy, 20_000);
    assert_flat(before, &stream, "all steps");
    let more = stream.subscribe(2, 1);
    drop(more);
    victims.iter_mut().for_each(crate::faults::Peer::resume);
    go_on(&stream, &mut healthy, 100);
    assert_eq!(stream.publisher.stats().evicted, 0);
}
