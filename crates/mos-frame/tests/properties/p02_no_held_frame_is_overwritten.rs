//! Property 2: no frame is overwritten while it is held. The first and the last bytes of every frame carry its sequence, and
//! are looked at when it is taken, while it is held, and before it is let go.

use crate::common::{Stream, assert_whole, wait_until};
use crate::faults::{Dice, Peer};
use crate::parts::{Part, Work};
use crate::runner::Properties;
use mos_frame::{PoolFrame, PublisherStats};

pub(crate) fn list(properties: &mut Properties) {
    properties.add(
        "p02_no_held_frame_is_overwritten",
        &[
            ("while_others_come", held_frames_stay_whole),
            (
                "after_its_subscriber_ended",
                a_frame_outlives_its_subscriber,
            ),
            ("after_its_stream_ended", a_frame_outlives_its_stream),
            (
                "after_a_forked_child_dropped_its_copy",
                a_forked_child_gives_nothing_back,
            ),
            ("while_others_stop_die_and_dawdle_at_random", chaos),
        ],
    );
}

fn held_frames_stay_whole() {
    let stream = Stream::new(6);
    let mut subscriber = stream.subscribe(2, 2);
    stream.publish();
    let held = subscriber.next().unwrap();
    for _ in 0..500 {
        stream.publish();
        let frame = subscriber.next().unwrap();
        assert_whole(&frame);
        assert_whole(&held);
    }
    assert!(held.is_valid());
}

fn a_frame_outlives_its_subscriber() {
    let stream = Stream::new(4); // room for one
    let mut subscriber = stream.subscribe(2, 1);
    let seq = stream.publish();
    let held = subscriber.next().unwrap();
    drop(subscriber);
    stream.burst(2000);
    assert!(held.is_valid());
    assert_eq!(held.seq(), seq);
    assert_whole(&held);
    drop(held);
    stream.wait_for_subscribers(0);
    assert!(stream.subscribe(2, 1).next().is_ok());
}

/// As worker processes of a program do that forks while it holds a frame.
fn a_forked_child_gives_nothing_back() {
    let stream = Stream::new(4);
    let mut subscriber = stream.subscribe(2, 1);
    stream.publish();
    let held = subscriber.next().unwrap();
    let mut in_child = (Some(subscriber), Some(held));
    // SAFETY: the child frees memory, which the C library allows after a fork, looks at atomics, closes descriptors, and ends
    // without running anything else. It takes no lock of ours.
    let child = unsafe { libc::fork() };
    assert!(child >= 0);
    if child == 0 {
        let refused = in_child.0.as_mut().is_some_and(|s| s.try_next().is_err());
        drop(in_child);
        // SAFETY: always.
        unsafe { libc::_exit(i32::from(!refused)) };
    }
    let mut status = -1;
    // SAFETY: the kernel writes one int into `status`.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert_eq!(status, 0, "a child may not take frames of its parent");
    stream.burst(200);
    let (mut subscriber, held) = (in_child.0.take().unwrap(), in_child.1.take().unwrap());
    assert!(held.is_valid());
    assert_whole(&held);
    drop(held);
    stream.publish();
    assert_whole(&subscriber.next().unwrap());
    assert_eq!(stream.publisher.stats().evicted, 0);
}

fn a_frame_outlives_its_stream() {
    let stream = Stream::new(4);
    let mut subscriber = stream.subscribe(2, 1);
    stream.burst(3);
    let held = subscriber.next().unwrap();
    let Stream {
        publisher,
        pool,
        path,
        ..
    } = stream;
    drop(publisher);
    assert!(!path.exists(), "the stream has ended");
    assert_eq!(pool.free_count(), 3, "all but the held frame are free");
    // The producer goes on with its buffers, and with another stream.
    let mut others: Vec<PoolFrame> = std::iter::from_fn(|| pool.acquire()).collect();
    for frame in &mut others {
        frame.bytes_mut().fill(0xff);
    }
    assert_whole(&held);
    assert!(held.is_valid());
    assert_eq!(others.len(), 3);
    drop(held);
    wait_until("the held frame's buffer", || pool.acquire().is_some());
    drop(subscriber);
}

/// Subscribers in processes of their own, which look at every frame's stamps and fail on a torn one.
fn chaos() {
    const CROWD: usize = 5;
    const ROUNDS: usize = 150;
    let mut dice = Dice::from_env();
    // The widest window, the holds, and one in flight.
    let stream = Stream::new(4 + 3 * CROWD as u32 + 1 + 1);
    let mut healthy = stream.subscribe(2, 1);
    stream.publish();
    drop(healthy.next().unwrap());
    let mut crowd: Vec<Peer> = (0..CROWD).map(|_| enter(&stream, &mut dice)).collect();
    for _ in 0..ROUNDS {
        let who = dice.index(CROWD);
        match dice.index(4) {
            0 => crowd[who].stop(),
            1 => crowd[who].resume(),
            2 if dice.one_in(2) => {
                crowd.swap_remove(who).kill();
                crowd.push(enter(&stream, &mut dice));
            }
            _ => {}
        }
        for _ in 0..dice.within(1..400) {
            let seq = stream.publish();
            let frame = healthy.next().unwrap();
            assert_eq!(frame.seq(), seq, "the healthy subscriber lost a frame");
            assert_whole(&frame);
        }
        assert_accounted(&stream.publisher.stats());
    }
    crowd.iter_mut().for_each(Peer::resume);
    let mut received = 0;
    for peer in crowd {
        // A torn frame, or one out of order, ended the process with a panic, which is a failure here.
        let said = peer.rest();
        let (got, _missed) = said[0].split_once(' ').unwrap();
        received += got.parse::<u64>().unwrap();
    }
    assert!(received > 0, "the followers looked at frames");
    assert_eq!(
        stream.publisher.stats().evicted,
        0,
        "an honest subscriber was cut off"
    );
}

fn enter(stream: &Stream, dice: &mut Dice) -> Peer {
    let part = Part::Follow {
        window: dice.within(1..5) as u32,
        hold: dice.within(1..4) as u32,
        work: dice.pick(&[
            Work::Nothing,
            Work::Micros(300),
            Work::Micros(20_000),
            Work::Keep,
        ]),
    };
    let mut peer = part.start(&stream.path);
    assert_eq!(peer.line(), "joined");
    peer
}

/// Property 4 at a random moment, as far as the producer's figures alone show it.
fn assert_accounted(stats: &PublisherStats) {
    for info in &stats.subscribers {
        let c = info.counters;
        let open = c.offered.checked_sub(c.claimed + c.recalled);
        assert!(
            open.is_some_and(|open| open <= u64::from(info.window)),
            "claimed and recalled don't fit the offers: {info:?}"
        );
        assert!(c.held <= info.hold && c.max_held <= info.hold, "{info:?}");
        assert_eq!(c.skipped, 0, "every buffer was known: {info:?}");
    }
}
