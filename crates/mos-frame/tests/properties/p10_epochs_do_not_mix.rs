//! Property 10: a change of format while frames are held leaves those frames as they are, and no slot of an epoch is used for
//! another while anybody has a lease on it.

use std::collections::{HashMap, HashSet};

use mos_frame::{Format, Frame, MemfdPool};

use crate::common::{PATIENCE, Stream, assert_whole, make_pool, publish_stamped, wait_until};
use crate::faults::{Dice, Raw, State, kind};
use crate::runner::Properties;
use rustix::net::RecvFlags;

pub(crate) fn list(properties: &mut Properties) {
    properties.add(
        "p10_epochs_do_not_mix",
        &[
            ("a_held_frame_outlives_its_format", held_over_a_change),
            ("frames_held_over_many_changes_stay_whole", held_over_many),
            ("no_held_slot_is_announced_again", no_slot_twice),
            ("the_first_frame_of_an_epoch_reaches_everybody", first_frame),
            ("the_same_format_again_changes_nothing", same_format),
        ],
    );
}

fn held_over_a_change() {
    let stream = Stream::new(8);
    let mut subscriber = stream.subscribe(2, 2);
    stream.publish();
    let old = subscriber.next().unwrap();
    let pool = make_pool(&stream.publisher, 32, 32, 4);
    for _ in 0..20 {
        let seq = publish_stamped(&stream.publisher, &pool);
        let frame = subscriber.next().unwrap();
        let found = (frame.seq(), frame.epoch(), frame.format().width);
        assert_eq!(found, (seq, 2, 32));
        assert_whole(&frame);
        assert_whole(&old);
    }
    assert_eq!((old.epoch(), old.format().width), (1, 64));
    drop(old);
    wait_until("the old epoch's buffers to go", || {
        stream.publisher.stats().buffers == 4
    });
}

/// The width of an epoch's frames tells it from the others.
const fn width_of(epoch: u32) -> u32 {
    64 + 2 * (epoch % 50)
}

fn assert_of_its_epoch(frame: &Frame) {
    assert_whole(frame);
    assert_eq!(
        frame.format().width,
        width_of(frame.epoch()),
        "another epoch's format"
    );
    assert_eq!(
        frame.layout().planes[0].stride,
        width_of(frame.epoch()),
        "another's layout"
    );
}

fn held_over_many() {
    const HOLD: u32 = 4;
    let mut dice = Dice::from_env();
    let stream = Stream::new(16);
    let mut subscriber = stream.subscribe(2, HOLD);
    let mut held: Vec<Frame> = Vec::new();
    let mut pool: Option<MemfdPool> = None;
    for epoch in 2..200 {
        let fresh = make_pool(&stream.publisher, width_of(epoch), 48, 8);
        drop(pool.replace(fresh));
        for _ in 0..dice.within(1..6) {
            if held.len() == HOLD as usize {
                drop(held.swap_remove(dice.index(held.len())));
            }
            // A buffer is offered once it is announced, which after many formats in a row waits for acknowledgements.
            wait_until("a frame", || {
                let seq = publish_stamped(&stream.publisher, pool.as_ref().unwrap());
                let Some(frame) = subscriber.try_next().unwrap() else {
                    return false;
                };
                assert_eq!((frame.seq(), frame.epoch()), (seq, epoch));
                held.push(frame);
                true
            });
            held.iter().for_each(assert_of_its_epoch);
            let numbers: HashSet<u32> = held.iter().map(Frame::buffer_id).collect();
            assert_eq!(
                numbers.len(),
                held.len(),
                "one buffer is held as two frames"
            );
        }
    }
    drop(held);
    wait_until("the old epochs' buffers to go", || {
        stream.publisher.stats().buffers == 8
    });
}

/// By hand, since the library does not show slots.
fn no_slot_twice() {
    const NEW: usize = 8;
    let mut dice = Dice::from_env();
    let stream = Stream::new(16);
    let peer = Raw::join(&stream.path, 2, 3);
    let mut epoch_of: HashMap<usize, u32> = peer.slots.iter().map(|slot| (*slot, 1)).collect();
    let mut pool = stream.pool.clone();
    for epoch in 2..150 {
        for _ in 0..dice.within(1..5) {
            // A buffer is offered once the producer has booked that it is announced.
            wait_until("an offer", || {
                publish_stamped(&stream.publisher, &pool);
                peer.page.offers().next().is_some()
            });
            let held: Vec<_> = peer.page.in_state(State::Held).collect();
            if held.len() == 3 {
                let (slot, seq) = dice.pick(&held);
                assert!(peer.page.release(slot, seq));
            }
            let (slot, seq) = peer.page.offers().next().expect("an offer");
            assert_eq!(
                epoch_of[&slot],
                epoch - 1,
                "an offer in another epoch's slot"
            );
            assert!(peer.page.claim(slot, seq));
        }
        let held: HashSet<usize> = peer
            .page
            .in_state(State::Held)
            .map(|(slot, _)| slot)
            .collect();
        pool = make_pool(&stream.publisher, width_of(epoch), 48, NEW);
        let mut added = 0;
        while added < NEW {
            let packet = peer.raw.receive().expect("the connection goes on");
            if packet.kind == kind::BUFFER_ADD {
                let slot = packet.u32(0) as usize;
                assert!(
                    !held.contains(&slot),
                    "slot {slot} is held, and announced again"
                );
                epoch_of.insert(slot, packet.u32(8));
                peer.raw.acknowledge(1);
                added += 1;
            }
        }
        while let Ok(Some(packet)) = peer.raw.try_receive(RecvFlags::DONTWAIT) {
            assert!(packet.reason().is_none());
        }
    }
    assert_eq!(stream.publisher.stats().evicted, 0);
}

/// The control thread tells of the format while the publishing thread tells of the buffers; whoever is second must not
/// publish before both are told.
fn first_frame() {
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

fn same_format() {
    let stream = Stream::new(4);
    let set = |rate| {
        stream
            .publisher
            .set_format(Format::nv12_memfd(64, 48, (rate, 1)))
    };
    assert_eq!(set(30), 1);
    assert_eq!(set(60), 2);
    assert_eq!(set(60), 2);
}
