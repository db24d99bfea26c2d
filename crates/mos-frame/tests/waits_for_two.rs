//! Waiting for a frame and for something else at once.

mod common;

use std::os::fd::AsFd;
use std::thread;
use std::time::{Duration, Instant};

use common::{PATIENCE, make_pool, publish_stamped};
use mos_frame::{Publisher, PublisherOptions, Subscriber, SubscriberOptions, Waited};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

fn deadline() -> Instant {
    Instant::now() + PATIENCE
}

fn seq(waited: &Waited) -> u64 {
    match waited {
        Waited::Frame(frame) => frame.seq(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_frame_the_other_descriptor_or_the_deadline_ends_the_wait() {
    let dir = tempfile::tempdir().unwrap();
    let path = mos_frame::socket_path(dir.path(), "two");
    let publisher = Publisher::bind(&path, PublisherOptions::default()).unwrap();
    let pool = make_pool(&publisher, 64, 48, 8);
    let mut subscriber = Subscriber::connect(&path, SubscriberOptions::default()).unwrap();
    let stop = eventfd(0, EventfdFlags::CLOEXEC).unwrap();

    let soon = Some(Instant::now() + Duration::from_millis(1));
    let waited = subscriber.next_or(stop.as_fd(), soon).unwrap();
    assert!(matches!(waited, Waited::TimedOut), "{waited:?}");

    // While it sleeps.
    thread::scope(|scope| {
        let waiting = scope.spawn(|| subscriber.next_or(stop.as_fd(), None).unwrap());
        while !waiting.is_finished() {
            publish_stamped(&publisher, &pool);
        }
        assert!(seq(&waiting.join().unwrap()) > 0);
    });
    while let Waited::Frame(_) = subscriber
        .next_or(stop.as_fd(), Some(Instant::now()))
        .unwrap()
    {}

    // Frames come before the stop; without one the stop ends the wait at once, and for good.
    rustix::io::write(&stop, &1_u64.to_ne_bytes()).unwrap();
    let (older, newest) = (
        publish_stamped(&publisher, &pool),
        publish_stamped(&publisher, &pool),
    );
    assert!(older < newest);
    let waited = subscriber
        .latest_or(stop.as_fd(), Some(deadline()))
        .unwrap();
    assert_eq!(seq(&waited), newest);
    for _ in 0..3 {
        let waited = subscriber.next_or(stop.as_fd(), None).unwrap();
        assert!(matches!(waited, Waited::Other), "{waited:?}");
    }
}

/// The descriptor for event loops is silent after a wait of this kind, and tells again after a look.
#[test]
fn event_loops_go_on_after_a_look() {
    let dir = tempfile::tempdir().unwrap();
    let path = mos_frame::socket_path(dir.path(), "mixed");
    let publisher = Publisher::bind(&path, PublisherOptions::default()).unwrap();
    let pool = make_pool(&publisher, 64, 48, 8);
    let mut subscriber = Subscriber::connect(&path, SubscriberOptions::default()).unwrap();
    let never = eventfd(0, EventfdFlags::CLOEXEC).unwrap();
    for _ in 0..3 {
        assert!(subscriber.try_next().unwrap().is_none());
        let first = publish_stamped(&publisher, &pool);
        let waited = subscriber.next_or(never.as_fd(), Some(deadline())).unwrap();
        assert_eq!(seq(&waited), first);
        drop(waited);
        assert!(subscriber.try_next().unwrap().is_none());
        let second = publish_stamped(&publisher, &pool);
        let patience = Timespec::try_from(PATIENCE).unwrap();
        let mut ready = [PollFd::new(&subscriber, PollFlags::IN)];
        assert_eq!(poll(&mut ready, Some(&patience)), Ok(1));
        let frame = subscriber.try_next().unwrap().expect("it was told of");
        assert_eq!(frame.seq(), second);
    }
}

#[test]
fn a_producer_that_comes_back_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let path = mos_frame::socket_path(dir.path(), "back");
    let never = eventfd(0, EventfdFlags::CLOEXEC).unwrap();
    let mut subscriber = Subscriber::await_stream(&path, SubscriberOptions::default()).unwrap();
    for round in 1..=3 {
        let publisher = Publisher::bind(&path, PublisherOptions::default()).unwrap();
        let pool = make_pool(&publisher, 64, 48, 8);
        publish_stamped(&publisher, &pool);
        let waited = subscriber.next_or(never.as_fd(), Some(deadline())).unwrap();
        assert_eq!(seq(&waited), 1, "round {round}");
    }
    assert_eq!(subscriber.stats().reconnects, 2);
}
