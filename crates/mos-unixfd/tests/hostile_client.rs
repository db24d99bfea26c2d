//! Whatever a client sends or does: it alone is cut off, its leases end, and the other clients don't notice.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod common;

use std::os::unix::net::UnixStream;

use common::{Client, Place, Said, Stream, serve, wait_for};
use mos_unixfd::{Endpoint, Options};

/// Plays `attack` beside a healthy client, which must lose nothing, and waits until the attacker is gone.
fn beside_a_healthy_client(attack: impl FnOnce(&mut Client, &Stream), faults: u64) {
    let (place, stream, endpoint) = serve(|options| options);
    let mut healthy = place.client();
    wait_for("the healthy client", &endpoint, |stats| {
        stats.clients.len() == 1
    });
    let mut attacker = place.client();
    stream.wait_for_subscribers(2);
    stream.publish();
    healthy.caps();
    attacker.caps();
    attack(&mut attacker, &stream);
    drop(attacker);
    ends(&endpoint, &stream, faults);
    for _ in 0..50 {
        // What was published meanwhile comes first.
        let seq = stream.publish();
        loop {
            let frame = healthy.frame();
            healthy.release(&frame);
            assert_eq!(frame.stamp(), frame.seq);
            if frame.seq == seq {
                break;
            }
        }
    }
    wait_for("all releases", &endpoint, |stats| {
        stats.clients[0].held == 0
    });
    assert_eq!(endpoint.stats().clients[0].missed, 0);
}

fn ends(endpoint: &Endpoint, stream: &Stream, faults: u64) {
    wait_for("the attacker's end", endpoint, |stats| {
        stats.clients.len() == 1
    });
    assert_eq!(endpoint.stats().cut, faults);
    stream.wait_for_subscribers(1);
}

/// The server hangs up by itself.
fn is_cut_off(attacker: &mut Client) {
    attacker.hear_all();
}

#[test]
fn garbage() {
    beside_a_healthy_client(
        |attacker, _| {
            attacker.raw(&[0xff; 4000]);
            is_cut_off(attacker);
        },
        1,
    );
}

#[test]
fn an_endless_payload() {
    beside_a_healthy_client(
        |attacker, _| {
            attacker.raw(&[9_u32.to_ne_bytes(), u32::MAX.to_ne_bytes()].concat());
            is_cut_off(attacker);
        },
        1,
    );
}

#[test]
fn a_command_of_the_server() {
    beside_a_healthy_client(
        |attacker, _| {
            attacker.say(2, b"video/x-raw\0");
            is_cut_off(attacker);
        },
        1,
    );
}

#[test]
fn a_release_of_what_it_does_not_have() {
    beside_a_healthy_client(
        |attacker, _| {
            attacker.say(1, &77_u64.to_ne_bytes());
            is_cut_off(attacker);
        },
        1,
    );
}

#[test]
fn a_frame_released_twice() {
    beside_a_healthy_client(
        |attacker, _| {
            let frame = attacker.frame();
            attacker.release(&frame);
            attacker.release(&frame);
            is_cut_off(attacker);
        },
        1,
    );
}

#[test]
fn unknown_commands_without_end() {
    beside_a_healthy_client(
        |attacker, _| {
            let command = [77_u32.to_ne_bytes(), 0_u32.to_ne_bytes()].concat();
            attacker.raw(&command.repeat(300));
            is_cut_off(attacker);
        },
        1,
    );
}

#[test]
fn gone_in_the_middle_of_a_command_with_frames_in_hand() {
    beside_a_healthy_client(
        |attacker, stream| {
            let _frame = attacker.frame();
            stream.publish();
            attacker.raw(&[1, 0, 0]);
        },
        0,
    );
}

#[test]
fn gone_before_it_was_served() {
    let place = Place::new();
    let stream = Stream::new(&place.stream(), 40);
    let endpoint = Endpoint::bind(&Options {
        hold: 1,
        ..place.options()
    })
    .unwrap();
    for _ in 0..50 {
        drop(UnixStream::connect(place.socket()).unwrap());
    }
    wait_for("all of them", &endpoint, |stats| {
        stats.accepted + stats.refused == 50 && stats.clients.is_empty()
    });
    stream.wait_for_subscribers(0);
}

/// It needs not read to know the numbers: they count up.
#[test]
fn frames_released_unread() {
    let (place, stream, endpoint) = serve(|options| options);
    let mut attacker = place.client();
    stream.wait_for_subscribers(1);
    let reached = |what: &str, figure: fn(&mos_unixfd::ClientStats) -> u64, id: u64| {
        wait_for(what, &endpoint, |stats| {
            stats.clients.first().is_none_or(|c| figure(c) >= id)
        });
        !endpoint.stats().clients.is_empty()
    };
    for id in 1.. {
        assert!(id < 200, "it may leave any number unread");
        stream.publish();
        if !reached("a frame", |c| c.sent, id) {
            break;
        }
        attacker.say(1, &id.to_ne_bytes());
        if !reached("its release", |c| c.released, id) {
            break;
        }
    }
    let mut unread = 0;
    while let Some(said) = attacker.hear() {
        unread += u64::from(matches!(said, Said::Frame(_)));
    }
    assert!((4..=20).contains(&unread), "{unread}");
    assert_eq!(endpoint.stats().cut, 1);
}
