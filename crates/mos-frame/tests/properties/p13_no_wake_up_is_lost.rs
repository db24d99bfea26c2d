//! Property 13: whoever armed the doorbell is rung, in every way of waiting; and rings never pile up in front of the messages.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use mos_frame::tokio::AsyncSubscriber;
use mos_frame::{Frame, Subscriber};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::SocketAddrUnix;

use crate::common::{Stream, assert_whole, wait_until};
use crate::faults::{Raw, kind};
use crate::runner::Properties;

pub(crate) fn list(properties: &mut Properties) {
    properties.add(
        "p13_no_wake_up_is_lost",
        &[
            ("waiting_in_next", blocking),
            ("waiting_with_a_time_out", with_a_time_out),
            ("waiting_with_poll_on_the_descriptor", polling),
            ("awaiting_in_a_task", awaiting),
            ("each_arming_is_answered_once", answered_once),
            ("no_bells_pile_up_in_next", || {
                no_pile_up(|s| s.next().unwrap());
            }),
            ("no_bells_pile_up_with_a_time_out", || {
                no_pile_up(next_by_time_out);
            }),
            ("no_bells_pile_up_with_poll", || {
                no_pile_up(next_by_poll);
            }),
        ],
    );
}

const FRAMES: u64 = 5000;

/// A producer that waits for its subscriber after each frame: a lost wake-up would hang it.
fn ping_pong(stream: &Stream, seen: &AtomicU64) {
    for _ in 0..FRAMES {
        let seq = stream.publish();
        wait_until("the subscriber to wake", || {
            seen.load(Ordering::Acquire) >= seq
        });
    }
}

fn see(frame: &Frame, seen: &AtomicU64) {
    assert_whole(frame);
    assert_eq!(frame.seq(), seen.load(Ordering::Acquire) + 1);
    seen.store(frame.seq(), Ordering::Release);
}

fn see_all(mut next: impl FnMut(&mut Subscriber) -> Frame + Send) {
    let (stream, seen) = (Stream::new(8), AtomicU64::new(0));
    let mut subscriber = stream.subscribe(2, 1);
    thread::scope(|scope| {
        scope.spawn(|| {
            while seen.load(Ordering::Acquire) < FRAMES {
                see(&next(&mut subscriber), &seen);
            }
        });
        ping_pong(&stream, &seen);
    });
}

fn blocking() {
    see_all(|subscriber| subscriber.next().unwrap());
}

fn with_a_time_out() {
    see_all(next_by_time_out);
}

fn polling() {
    see_all(next_by_poll);
}

fn next_by_time_out(subscriber: &mut Subscriber) -> Frame {
    loop {
        // Short enough to run out now and then, between any two steps of the producer.
        if let Some(frame) = subscriber.next_timeout(Duration::from_micros(50)).unwrap() {
            return frame;
        }
    }
}

fn next_by_poll(subscriber: &mut Subscriber) -> Frame {
    loop {
        if let Some(frame) = subscriber.try_next().unwrap() {
            return frame;
        }
        poll(&mut [PollFd::new(&subscriber.as_fd(), PollFlags::IN)], None).unwrap();
    }
}

fn awaiting() {
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

/// By hand: one ring for an arming, none without.
fn answered_once() {
    let stream = Stream::new(8);
    let peer = Raw::join(&stream.path, 2, 1);
    for round in 0..500 {
        stream.burst(round % 3);
        peer.page.arm();
        stream.burst(1 + round % 4);
        assert!(!peer.page.is_armed(), "the producer took the arming");
        let packet = peer.raw.receive().expect("a ring");
        assert_eq!(packet.kind, kind::BELL);
        let more = peer.raw.try_receive(rustix::net::RecvFlags::DONTWAIT);
        assert!(
            matches!(more, Err(rustix::io::Errno::AGAIN)),
            "a second ring: {more:?}"
        );
    }
}

/// A producer that never waits, and a subscriber that sleeps whenever it has caught up. Rings that come while it does not sleep
/// must not wait in its socket for ever: they would keep the messages behind them from it.
fn no_pile_up(next: impl Fn(&mut Subscriber) -> Frame + Sync) {
    const BELL: u64 = 8;
    let stream = Stream::new(8);
    let mut subscriber = stream.subscribe(2, 1);
    let over = AtomicBool::new(false);
    let most = thread::scope(|scope| {
        let consumer = scope.spawn(|| {
            let mut most = 0;
            for _ in 0..30_000 {
                let frame = next(&mut subscriber);
                most = most.max(unread(&stream) / BELL);
                drop(frame);
            }
            over.store(true, Ordering::Release);
            most
        });
        while !over.load(Ordering::Acquire) && !consumer.is_finished() {
            stream.publish();
            // Now and then the subscriber catches up and is about to sleep.
            if stream.publisher.newest_seq().is_multiple_of(3) {
                thread::yield_now();
            }
        }
        consumer.join().unwrap()
    });
    // One that is answered late, and one that was on its way when the last was read.
    assert!(most <= 2, "{most} bells were in the socket");
}

/// Bytes that wait in the subscriber's socket.
fn unread(stream: &Stream) -> u64 {
    // Cached would be faster, but a descriptor is only as good as its owner; a session lives as long as this test.
    thread_local!(static SOCKET: std::cell::Cell<Option<i32>> = const { std::cell::Cell::new(None) });
    let number = SOCKET.get().unwrap_or_else(|| {
        let found = socket_of(stream);
        SOCKET.set(Some(found));
        found
    });
    // SAFETY: the subscriber keeps its socket open: there is one session in this scenario.
    rustix::io::ioctl_fionread(unsafe { BorrowedFd::borrow_raw(number) }).unwrap()
}

/// The subscriber's end of the stream's connection: the one whose peer is named after the stream.
fn socket_of(stream: &Stream) -> i32 {
    let folder = stream.path.parent().unwrap().to_owned();
    let is_ours = |number: &i32| {
        // SAFETY: only asked for its peer's name; if another thread closes it meanwhile that is an error.
        let fd = unsafe { BorrowedFd::borrow_raw(*number) };
        let Ok(Some(peer)) = rustix::net::getpeername(fd) else {
            return false;
        };
        let peer = SocketAddrUnix::try_from(peer).ok();
        let name = peer.as_ref().and_then(SocketAddrUnix::path);
        name.is_some_and(|name| {
            name.to_string_lossy()
                .starts_with(&*folder.to_string_lossy())
        })
    };
    let numbers = std::fs::read_dir("/proc/self/fd").unwrap();
    let numbers = numbers.map(|e| e.unwrap().file_name().to_str().unwrap().parse().unwrap());
    numbers
        .into_iter()
        .find(is_ours)
        .expect("the subscriber's socket")
}
