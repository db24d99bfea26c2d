//! Property 9: who would break the budget is refused with the figures, the others don't notice; and who is admitted never
//! starves the source, or another, later. (That `W + max(1, max N) + sum(H) + F` buffers suffice and that one fewer does not
//! is searched exhaustively by `publisher::exhaustive`, inside the crate.)

use mos_frame::{ConnectError, Reason, Subscriber, SubscriberOptions};

use crate::common::{PATIENCE, Stream};
use crate::faults::{Dice, Joined, Raw, State};
use crate::runner::Properties;

pub(crate) fn list(properties: &mut Properties) {
    properties.add(
        "p09_admission_keeps_the_budget",
        &[
            ("over_budget_is_refused_with_the_figures", over_budget),
            ("senseless_requests_are_refused", senseless),
            ("a_full_house_never_starves_the_source", full_house),
            ("hold_zero_costs_no_buffer", hold_zero),
        ],
    );
}

fn connect(stream: &Stream, window: u32, hold: u32) -> Result<Subscriber, ConnectError> {
    let options = SubscriberOptions {
        window,
        hold,
        ..Default::default()
    };
    Subscriber::connect(&stream.path, options)
}

fn over_budget() {
    let stream = Stream::new(5); // 1 in flight, window 2, so holds of 2
    let mut first = stream.subscribe(2, 1);
    let _second = stream.subscribe(2, 1);
    for refusals in 1..=50 {
        match connect(&stream, 2, 1).unwrap_err() {
            ConnectError::Refused {
                reason: Reason::OverBudget,
                text,
                ..
            } => assert!(text.contains("would need 5"), "{text}"),
            other => panic!("{other}"),
        }
        assert_eq!(stream.publisher.stats().refused, refusals);
        let seq = stream.publish();
        let frame = first.next_timeout(PATIENCE).unwrap().expect("a frame");
        assert_eq!(frame.seq(), seq, "the refusal cost another a frame");
    }
}

fn senseless() {
    let stream = Stream::new(8);
    for (window, hold) in [(0, 1), (65, 1), (2, 65)] {
        let error = connect(&stream, window, hold).unwrap_err();
        let as_it_should = matches!(
            error,
            ConnectError::Refused {
                reason: Reason::BadRequest,
                ..
            }
        );
        assert!(as_it_should, "{error}");
    }
}

/// As many as are let in hold all they may, come late, leave and come again; there always is a buffer for the next frame.
fn full_house() {
    let mut dice = Dice::from_env();
    for _ in 0..12 {
        let buffers = dice.within(4..24) as u32;
        let stream = Stream::new(buffers);
        let mut house: Vec<Joined> = Vec::new();
        for _ in 0..40 {
            let (window, hold) = (dice.within(1..5) as u32, dice.within(1..5) as u32);
            match connect(&stream, window, hold) {
                Ok(probe) => {
                    // Its place is taken by one that picks its frames without any order.
                    let before = stream.info().len() - 1;
                    drop(probe);
                    stream.wait_for_subscribers(before);
                    house.push(Raw::join(&stream.path, window, hold));
                }
                Err(ConnectError::Refused {
                    reason: Reason::OverBudget,
                    ..
                }) => {
                    let at = dice.index(house.len().max(1));
                    if at < house.len() && dice.one_in(4) {
                        drop(house.swap_remove(at));
                        stream.wait_for_subscribers(house.len());
                    }
                }
                Err(other) => panic!("{other}"),
            }
            for _ in 0..dice.within(1..8) {
                // Expects a free buffer.
                stream.publish();
                let infos = stream.info();
                for peer in &house {
                    let info = infos.iter().find(|i| i.id == peer.id).expect("a book");
                    hold_as_many_as_agreed(peer, info.hold as usize, &mut dice);
                }
            }
        }
        assert_eq!(stream.publisher.stats().evicted, 0);
    }
}

fn hold_as_many_as_agreed(peer: &Joined, hold: usize, dice: &mut Dice) {
    let mut held: Vec<_> = peer.page.in_state(State::Held).collect();
    if held.len() == hold && dice.one_in(2) {
        let (slot, seq) = held.swap_remove(dice.index(held.len()));
        assert!(peer.page.release(slot, seq));
    }
    let mut offers: Vec<_> = peer.page.offers().collect();
    while held.len() < hold && !offers.is_empty() {
        let (slot, seq) = offers.swap_remove(dice.index(offers.len()));
        if peer.page.claim(slot, seq) {
            held.push((slot, seq));
        }
    }
}

fn hold_zero() {
    // A window's worth and one in flight: no room for any hold.
    let stream = Stream::new(3);
    assert!(connect(&stream, 2, 1).is_err());
    let mut crowd: Vec<_> = (0..8).map(|_| stream.subscribe(2, 0)).collect();
    stream.publish();
    let frames: Vec<_> = crowd.iter_mut().map(|s| s.next().unwrap()).collect();
    for frame in &frames {
        assert!(frame.is_revocable() && frame.is_valid());
        assert!(frame.map().is_err(), "no slice of memory that may change");
    }
    stream.publish();
    assert!(frames.iter().all(mos_frame::Frame::is_valid));
    stream.publish();
    assert!(!frames.iter().any(mos_frame::Frame::is_valid));
    assert!(stream.info().iter().all(|info| info.counters.revoked == 1));
    drop(frames);
    for subscriber in &mut crowd {
        assert_eq!(subscriber.next().unwrap().seq(), 2);
    }
}
