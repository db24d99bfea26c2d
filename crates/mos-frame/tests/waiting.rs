//! Blocking, poll and async use of a subscriber: no frame is slept through.

mod common;

use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use common::{Stream, assert_whole};
use mos_frame::Subscriber;
use mos_frame::tokio::AsyncSubscriber;
use rustix::event::{PollFd, PollFlags, poll};

const FRAMES: u64 = 2000;

/// A producer that waits for its subscriber after each frame: a lost wake-up would hang it.
fn ping_pong(stream: &Stream, seen: &AtomicU64) {
    for _ in 0..FRAMES {
        let seq = stream.publish();
        common::wait_until("the subscriber to wake", || {
            seen.load(Ordering::Acquire) >= seq
        });
    }
}

fn see(subscriber_frame: &mos_frame::Frame, seen: &AtomicU64) {
    assert_whole(subscriber_frame);
    assert_eq!(subscriber_frame.seq(), seen.load(Ordering::Acquire) + 1);
    seen.store(subscriber_frame.seq(), Ordering::Release);
}

#[test]
fn blocking() {
    let (stream, seen) = (Stream::new(8), AtomicU64::new(0));
    let mut subscriber = stream.subscribe(2, 1);
    thread::scope(|scope| {
        scope.spawn(|| {
            while seen.load(Ordering::Acquire) < FRAMES {
                see(&subscriber.next().unwrap(), &seen);
            }
        });
        ping_pong(&stream, &seen);
    });
}

#[test]
fn poll_on_the_descriptor() {
    let (stream, seen) = (Stream::new(8), AtomicU64::new(0));
    let mut subscriber = stream.subscribe(2, 1);
    let wait = |subscriber: &Subscriber| {
        poll(&mut [PollFd::new(&subscriber.as_fd(), PollFlags::IN)], None).unwrap();
    };
    thread::scope(|scope| {
        scope.spawn(|| {
            while seen.load(Ordering::Acquire) < FRAMES {
                match subscriber.try_next().unwrap() {
                    Some(frame) => see(&frame, &seen),
                    None => wait(&subscriber),
                }
            }
        });
        ping_pong(&stream, &seen);
    });
}

#[test]
fn awaiting_in_a_task() {
    let (stream, seen) = (Stream::new(8), AtomicU64::new(0));
    let subscriber = stream.subscribe(2, 1);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            runtime.block_on(async {
                let mut subscriber = AsyncSubscriber::new(subscriber).unwrap();
                while seen.load(Ordering::Acquire) < FRAMES {
                    see(&subscriber.next().await.unwrap(), &seen);
                }
            });
        });
        ping_pong(&stream, &seen);
    });
}

#[test]
fn a_free_running_producer_never_tears_a_frame() {
    let stream = Stream::new(10);
    let mut subscribers: Vec<_> = (0..4).map(|_| stream.subscribe(3, 1)).collect();
    thread::scope(|scope| {
        for subscriber in &mut subscribers {
            scope.spawn(move || {
                let mut last = 0;
                while last < 20_000 {
                    let frame = subscriber.next().unwrap();
                    assert!(frame.seq() > last);
                    last = frame.seq();
                    assert_whole(&frame);
                }
            });
        }
        // The last frame is offered until it is taken.
        for _ in 0..20_000 {
            stream.publish();
        }
    });
    assert_eq!(
        stream.publisher.stats().evicted,
        0,
        "an honest subscriber was cut off"
    );
}
