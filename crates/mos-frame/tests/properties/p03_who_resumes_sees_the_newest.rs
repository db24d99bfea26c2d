//! Property 3: who slept, or was stopped, goes on with exactly the newest N frames, and never sees a sequence twice or out of
//! order.

use crate::common::{Stream, assert_whole};
use crate::faults::Dice;
use crate::parts::Part;
use crate::runner::Properties;

pub(crate) fn list(properties: &mut Properties) {
    properties.add(
        "p03_who_resumes_sees_the_newest",
        &[
            ("after_sleeping", after_sleeping),
            ("after_being_stopped_at_random_moments", after_being_stopped),
            ("who_keeps_up_sees_every_frame", who_keeps_up),
            ("latest_skips_and_never_goes_back", latest),
        ],
    );
}

fn after_sleeping() {
    let mut dice = Dice::from_env();
    let stream = Stream::new(66);
    for window in [1, 2, 3, 4, 8, 64] {
        let mut subscriber = stream.subscribe(window, 1);
        for _ in 0..20 {
            let count = u64::from(window) + dice.within(0..300);
            stream.burst(count as usize);
            let last = stream.publisher.newest_seq();
            let mut seen = Vec::new();
            while let Some(frame) = subscriber.try_next().unwrap() {
                assert_whole(&frame);
                seen.push(frame.seq());
            }
            assert!(
                seen.iter().copied().eq(last + 1 - u64::from(window)..=last),
                "{seen:?}"
            );
        }
        drop(subscriber);
        stream.wait_for_subscribers(0);
    }
}

fn after_being_stopped() {
    let mut dice = Dice::from_env();
    for window in [1, 2, 4] {
        let stream = Stream::new(8);
        let mut follower = Part::Tell { window }.start(&stream.path);
        assert_eq!(follower.line(), "joined");
        let mut last = 0;
        for _ in 0..25 {
            // Where it stands still is chance: anywhere between two frames, or in the middle of one.
            stream.burst(dice.within(1..50) as usize);
            follower.stop();
            stream.burst(200);
            follower.resume();
            let newest = stream.publisher.newest_seq();
            let before = newest - 200;
            let mut seen = Vec::new();
            while last < newest {
                let seq: u64 = follower.line().parse().unwrap();
                assert!(seq > last, "{seq} after {last}");
                last = seq;
                seen.push(seq);
            }
            // What it said or had claimed before it stood still, and then the newest N.
            let resumed: Vec<u64> = seen.into_iter().filter(|seq| *seq > before).collect();
            let expected: Vec<u64> = (newest + 1 - u64::from(window)..=newest).collect();
            assert_eq!(resumed, expected);
        }
    }
}

fn who_keeps_up() {
    let stream = Stream::new(8);
    let mut subscriber = stream.subscribe(2, 1);
    for _ in 0..5000 {
        let seq = stream.publish();
        let frame = subscriber.next().unwrap();
        assert_eq!(frame.seq(), seq);
        assert_whole(&frame);
    }
    let counters = stream.info()[0].counters;
    assert_eq!(
        (counters.claimed, counters.recalled, counters.skipped),
        (5000, 0, 0)
    );
    assert_eq!(subscriber.stats().missed, 0);
}

fn latest() {
    let stream = Stream::new(12);
    let mut subscriber = stream.subscribe(4, 2);
    stream.burst(4);
    assert_eq!(subscriber.try_latest().unwrap().unwrap().seq(), 4);
    assert!(
        subscriber.try_next().unwrap().is_none(),
        "frames 1 to 3 are older than what was taken"
    );
    assert_eq!(
        subscriber.stats().missed,
        0,
        "the first frame has no predecessor"
    );
    stream.burst(3);
    assert_eq!(subscriber.try_latest().unwrap().unwrap().seq(), 7);
    assert_eq!((subscriber.stats().missed, subscriber.stats().gaps), (2, 1));
}
