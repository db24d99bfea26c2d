//! The doorbell, as the subscriber answers it; producers that end each session at once.

use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

use super::session::{Heard, Session};
use super::{Subscriber, SubscriberOptions, wait_readable};
use crate::format::{Format, FrameMeta};
use crate::pool::MemfdPool;
use crate::publisher::{Publisher, PublisherOptions};
use crate::shm::{Board, LeasePage};
use crate::socket::{self, Listener, Received, Wait};
use crate::wire::{Message, VERSION};

const PATIENCE: Duration = Duration::from_secs(20);

/// The producer rings between the subscriber's arming and its second look, each time: it never sleeps, so it never reads
/// for the sake of a wake-up.
#[test]
fn rings_of_one_who_never_sleeps_do_not_pile_up() {
    let dir = tempfile::tempdir().unwrap();
    let path = crate::socket_path(dir.path(), "bells");
    let publisher = Publisher::bind(&path, PublisherOptions::default()).unwrap();
    let format = Format::nv12_memfd(64, 48, (30, 1));
    publisher.set_format(format.clone());
    let pool = MemfdPool::new(&publisher, &format, 6).unwrap();
    let mut session = Session::open(&path, &SubscriberOptions::default(), Some(PATIENCE)).unwrap();
    let deadline = Some(Instant::now() + PATIENCE);
    while !session.is_started() {
        assert!(wait_readable(session.fd(), deadline).unwrap());
        session.hear_all().unwrap();
    }
    for _ in 0..2000 {
        session.arm();
        let frame = pool.acquire().unwrap();
        let seq = frame.publish(&publisher, FrameMeta::default()).unwrap();
        assert!(session.has_offer());
        assert!(session.stand_down(&Heard::Nothing).unwrap(), "it was rung");
        assert_eq!(session.hear(Wait::No).unwrap(), Heard::Nothing);
        let (frame, _) = session.claim(false).unwrap().unwrap();
        assert_eq!(frame.seq(), seq);
    }
    let stats = publisher.stats();
    assert_eq!(
        (stats.subscribers[0].rings, stats.subscribers[0].bell_full),
        (2000, 0)
    );
}

/// Takes one subscriber in as a producer would, and leaves it once it waits for frames. False if none came.
fn start_and_leave(listener: &Listener, over: &AtomicBool) -> bool {
    let soon = Some(Instant::now() + Duration::from_millis(10));
    if !wait_readable(listener.as_fd(), soon).unwrap() {
        return false;
    }
    let socket = listener.accept().unwrap().unwrap();
    assert!(wait_readable(socket.as_fd(), Some(Instant::now() + PATIENCE)).unwrap());
    let hello = socket::receive(socket.as_fd(), Wait::No).unwrap();
    assert!(matches!(hello, Received::Packet(_)));
    let (board, page) = (Board::new().unwrap(), LeasePage::new().unwrap());
    let welcome = Message::Welcome {
        version: VERSION,
        session: 1,
        subscriber: 1,
        window: 2,
        hold: 1,
    };
    let send = |message: &Message, fds: &[_]| {
        socket::send(socket.as_fd(), &message.encode(), fds).unwrap();
    };
    send(&welcome, &[board.fd(), page.fd()]);
    send(&Message::Start, &[]);
    while !page.take_armed() && !over.load(Relaxed) {
        std::thread::yield_now();
    }
    true
}

#[test]
fn a_producer_that_ends_each_session_at_once_is_tried_at_a_measured_pace() {
    let dir = tempfile::tempdir().unwrap();
    let path = crate::socket_path(dir.path(), "fickle");
    let listener = Listener::bind(&path, 0o600, None).unwrap();
    let (over, sessions) = (AtomicBool::new(false), AtomicU32::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Relaxed) {
                sessions.fetch_add(u32::from(start_and_leave(&listener, &over)), Relaxed);
            }
        });
        let subscriber = Subscriber::await_stream(&path, SubscriberOptions::default());
        let none = subscriber.map(|mut s| (s.next_timeout(Duration::from_millis(500)), s.stats()));
        over.store(true, Relaxed);
        let (none, stats) = none.unwrap();
        assert!(none.unwrap().is_none());
        assert!(stats.reconnects > 0);
    });
    let sessions = sessions.load(Relaxed);
    assert!((2..20).contains(&sessions), "{sessions} sessions in 500 ms");
}
