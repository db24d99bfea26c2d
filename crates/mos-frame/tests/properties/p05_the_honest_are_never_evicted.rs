//! Property 5, the stress run: at full speed, with a hold of 1 and with looks of the producer at any moment, no frame is torn
//! and no honest subscriber is cut off. (Every order of the steps is tried by the models in `src/model`.)

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;

use mos_frame::{Frame, RecvError};

use crate::common::{Stream, assert_whole};
use crate::parts::{Part, Work};
use crate::runner::Properties;

pub(crate) fn list(properties: &mut Properties) {
    properties.add(
        "p05_the_honest_are_never_evicted",
        &[
            ("taking_every_frame_they_can", free_running),
            ("borrowing_with_a_hold_of_zero", borrowing),
            (
                "dropping_on_another_thread_than_they_claim",
                dropping_elsewhere,
            ),
            ("in_processes_of_their_own", other_processes),
            ("while_the_producer_looks_all_the_time", looked_at),
        ],
    );
}

const FRAMES: u64 = 60_000;

fn free_running() {
    let stream = Stream::new(10);
    let mut subscribers: Vec<_> = (0..4).map(|_| stream.subscribe(3, 1)).collect();
    thread::scope(|scope| {
        for subscriber in &mut subscribers {
            scope.spawn(move || {
                let mut last = 0;
                while last < FRAMES {
                    let frame = subscriber.next().unwrap();
                    assert!(frame.seq() > last);
                    last = frame.seq();
                    assert_whole(&frame);
                }
            });
        }
        // The last frame is offered until it is taken.
        stream.burst(FRAMES as usize);
    });
    assert_eq!(stream.publisher.stats().evicted, 0);
}

/// Their frames are revoked at any moment, also right after they are claimed, and the slot is used for another frame at once.
fn borrowing() {
    let stream = Stream::new(4);
    let mut subscribers: Vec<_> = (1..4).map(|window| stream.subscribe(window, 0)).collect();
    thread::scope(|scope| {
        for subscriber in &mut subscribers {
            scope.spawn(move || {
                let mut last = 0;
                while last < FRAMES {
                    let frame = subscriber.next().unwrap();
                    assert!(frame.seq() > last);
                    last = frame.seq();
                }
            });
        }
        stream.burst(FRAMES as usize);
    });
    let stats = stream.publisher.stats();
    assert_eq!((stats.evicted, stats.subscribers.len()), (0, 3));
}

/// The next claim follows the release as closely as it can, and the release is another thread's.
fn dropping_elsewhere() {
    let stream = Stream::new(6);
    let mut subscriber = stream.subscribe(2, 1);
    let (hand_over, to_drop) = mpsc::sync_channel::<Frame>(1);
    thread::scope(|scope| {
        scope.spawn(move || to_drop.iter().for_each(drop));
        scope.spawn(move || {
            let mut last = 0;
            while last < FRAMES {
                match subscriber.next() {
                    Ok(frame) => {
                        assert_whole(&frame);
                        last = frame.seq();
                        hand_over.send(frame).unwrap();
                    }
                    // The other thread has not dropped it yet.
                    Err(RecvError::HoldLimit { hold: 1 }) => thread::yield_now(),
                    Err(error) => panic!("{error}"),
                }
            }
        });
        stream.burst(FRAMES as usize);
    });
    assert_eq!(stream.publisher.stats().evicted, 0);
}

fn other_processes() {
    let stream = Stream::new(8);
    let part = Part::Follow {
        window: 2,
        hold: 1,
        work: Work::Nothing,
    };
    let mut followers: Vec<_> = (0..3).map(|_| part.start(&stream.path)).collect();
    for follower in &mut followers {
        assert_eq!(follower.line(), "joined");
    }
    for _ in 0..FRAMES {
        stream.publish();
        thread::yield_now();
    }
    for follower in followers {
        let said = follower.rest();
        let (received, _) = said[0].split_once(' ').unwrap();
        assert_ne!(received, "0");
    }
    assert_eq!(stream.publisher.stats().evicted, 0);
}

fn looked_at() {
    let stream = Stream::new(8);
    let mut subscribers = [stream.subscribe(2, 1), stream.subscribe(4, 1)];
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for subscriber in &mut subscribers {
            scope.spawn(|| {
                let mut last = 0;
                while last < FRAMES {
                    last = subscriber.next().unwrap().seq();
                }
            });
        }
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                stream.publisher.reap();
            }
        });
        stream.burst(FRAMES as usize);
        over.store(true, Ordering::Relaxed);
    });
    let stats = stream.publisher.stats();
    assert_eq!(stats.evicted, 0);
    assert!(stats.subscribers.iter().all(|s| s.counters.max_held <= 1));
}
