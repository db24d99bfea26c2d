//! Property 6: a subscriber that is killed, at whatever step of the protocol, gives everything back: leases, descriptors and
//! its share of the budget. Also if a forked child holds copies of its descriptors, which hides the end of its socket.

use mos_frame::{Subscriber, SubscriberOptions};
use rustix::process::{Signal, kill_process};

use crate::common::{Stream, own, wait_until};
use crate::faults::{Dice, Step};
use crate::parts::{Part, Work, stay, stay_with_child};
use crate::runner::Properties;

pub(crate) fn list(properties: &mut Properties) {
    properties.add(
        "p06_death_returns_all_leases",
        &[
            ("of_one_killed_at_any_step", killed_at_any_step),
            ("of_one_killed_while_it_was_stopped", killed_while_stopped),
            (
                "of_one_whose_child_holds_the_socket",
                child_holds_the_socket,
            ),
            ("of_those_killed_at_random_moments", killed_at_random),
            (
                "of_those_killed_while_nothing_is_published",
                killed_in_silence,
            ),
        ],
    );
}

/// Room for one with a hold of 1.
const BUFFERS: u32 = 4;

/// A stream with a frame on it, and the descriptors that it takes without subscribers.
fn scene() -> (Stream, usize) {
    let stream = Stream::new(BUFFERS);
    stream.publish();
    // The control thread has opened all it needs once it has served somebody.
    drop(stream.subscribe(2, 1));
    stream.wait_for_subscribers(0);
    let fds = own::fds();
    (stream, fds)
}

/// Nothing of the dead is left, and there is room for the next.
fn assert_all_is_back(stream: &Stream, fds: usize, what: &str) {
    stream.wait_for_subscribers(0);
    wait_until(&format!("all buffers but the newest, {what}"), || {
        stream.publisher.reap();
        stream.pool.free_count() == BUFFERS as usize - 1
    });
    wait_until(&format!("all descriptors, {what}"), || own::fds() <= fds);
    // Who was killed in the handshake may be taken on for the moment in which its death is not seen yet.
    let mut next = None;
    wait_until(&format!("room for another, {what}"), || {
        next = Subscriber::connect(&stream.path, SubscriberOptions::default()).ok();
        next.is_some()
    });
    let mut next = next.unwrap();
    let seq = stream.publish();
    while next.next().unwrap().seq() < seq {}
    drop(next);
    stream.wait_for_subscribers(0);
}

fn killed_at_any_step() {
    let (stream, fds) = scene();
    for step in Step::ALL {
        for frames in [0, 3] {
            let peer = stay(step, &stream.path);
            stream.burst(frames);
            peer.kill();
            assert_all_is_back(&stream, fds, &format!("killed at {step:?}"));
        }
    }
}

fn killed_while_stopped() {
    let (stream, fds) = scene();
    for step in Step::ALL {
        let mut peer = stay(step, &stream.path);
        peer.stop();
        stream.burst(3);
        peer.kill();
        assert_all_is_back(
            &stream,
            fds,
            &format!("killed after it stopped at {step:?}"),
        );
    }
}

fn child_holds_the_socket() {
    let (stream, fds) = scene();
    for step in Step::ALL {
        let (peer, child) = stay_with_child(step, &stream.path);
        stream.burst(3);
        peer.kill();
        assert_all_is_back(&stream, fds, &format!("killed at {step:?}, a child lives"));
        kill_process(child, Signal::KILL).expect("the child outlived its parent");
    }
}

fn killed_at_random() {
    let mut dice = Dice::from_env();
    let (stream, fds) = scene();
    for _ in 0..60 {
        let part = Part::Follow {
            window: 2,
            hold: 1,
            work: Work::Micros(200),
        };
        let peer = part.start(&stream.path);
        // So many frames of ours are a random moment of its start, its handshake or one of its frames.
        stream.burst(dice.within(0..6000) as usize);
        peer.kill();
    }
    assert_all_is_back(&stream, fds, "killed at random");
}

fn killed_in_silence() {
    let (stream, _) = scene();
    let peer = stay(Step::Holding, &stream.path);
    let (free, all) = (stream.pool.free_count(), BUFFERS as usize);
    assert_eq!(free, all - 1, "it holds the newest frame");
    // Not the newest any more, and out of the window: only its hold keeps it.
    stream.burst(3);
    let out = |buffers| stream.pool.free_count() == all - buffers;
    wait_until("the held one and a window to be out", || out(3));
    peer.kill();
    // No publish, no look of ours: the producer sees the death by itself.
    wait_until("all buffers but the newest", || out(1));
}
