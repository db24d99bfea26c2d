//! Property 15: where descriptors run out, or a message loses its own, there is an error that says so, no descriptor leaks, and
//! the same call works once there is room. (The ends of the sequence's ranges are `publisher::sequence_limits`, inside the
//! crate: no test lives long enough to get there.)

use std::fs::File;
use std::os::fd::AsFd;
use std::time::Duration;

use mos_frame::{
    ConnectError, Format, ImportError, Layout, Publisher, PublisherOptions, RecvError, Subscriber,
    SubscriberOptions, memory,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};

use crate::common::{PATIENCE, Stream, assert_whole, own, wait_until};
use crate::faults::Peer;
use crate::parts::Part;
use crate::runner::Properties;

pub(crate) fn list(properties: &mut Properties) {
    properties.add(
        "p15_limits_end_in_clear_errors",
        &[
            ("connecting_without_free_descriptors", connecting),
            ("receiving_buffers_without_free_descriptors", receiving),
            ("publishing_without_free_descriptors", publishing),
            ("a_producer_without_descriptors_does_not_spin", no_spinning),
        ],
    );
}

/// Leaves room for `free` more descriptors while it lives.
struct Shortage {
    hoard: Vec<File>,
    before: Rlimit,
}

impl Shortage {
    fn of(free: usize) -> Self {
        let before = getrlimit(Resource::Nofile);
        let few = Rlimit {
            current: Some(200),
            ..before
        };
        setrlimit(Resource::Nofile, few).unwrap();
        let mut hoard: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
        assert!((free..200).contains(&hoard.len()));
        hoard.truncate(hoard.len() - free);
        Self { hoard, before }
    }

    fn end(self) {
        setrlimit(Resource::Nofile, self.before).unwrap();
        drop(self.hoard);
    }
}

/// A producer in a process of its own, whose descriptors are not ours.
fn producer(path: &std::path::Path) -> Peer {
    let mut producer = Part::Produce.start(path);
    assert_eq!(producer.line(), "published");
    producer
}

fn names_the_limit(text: &str) -> bool {
    text.contains("RLIMIT_NOFILE") || text.contains("Too many open files")
}

fn connecting() {
    let dir = tempfile::tempdir().unwrap();
    let path = mos_frame::socket_path(dir.path(), "test");
    let _producer = producer(&path);
    // A subscriber takes a socket, an epoll, the two of WELCOME for a moment, and eight buffers.
    let mut worked = Vec::new();
    let before = own::fds();
    for free in 0..16 {
        let shortage = Shortage::of(free);
        let connected = Subscriber::connect(&path, SubscriberOptions::default());
        shortage.end();
        match &connected {
            Ok(_) => worked.push(free),
            Err(ConnectError::Io { source, .. }) => {
                assert!(
                    names_the_limit(&source.to_string()),
                    "{free} free: {source}"
                );
            }
            Err(other) => panic!("{free} free: {other}"),
        }
        drop(connected);
        assert_eq!(own::fds(), before, "{free} free: a descriptor leaked");
    }
    assert!(
        worked.contains(&15) && !worked.contains(&9),
        "it worked with {worked:?} free"
    );
    let mut subscriber = Subscriber::connect(&path, SubscriberOptions::default()).unwrap();
    assert_whole(&subscriber.next().unwrap());
}

/// `MSG_CTRUNC` in the middle of a session: buffers of a new format that don't arrive.
fn receiving() {
    let dir = tempfile::tempdir().unwrap();
    let path = mos_frame::socket_path(dir.path(), "test");
    let mut producer = producer(&path);
    let before = own::fds();
    let options = SubscriberOptions {
        hold: 2,
        ..Default::default()
    };
    let mut subscriber = Subscriber::connect(&path, options).unwrap();
    let held = subscriber.next().unwrap();
    let shortage = Shortage::of(0);
    // Seven buffers of the old format make room for as many of the eight new ones; the held one stays.
    producer.ask("renew");
    assert_eq!(producer.line(), "published");
    let error = loop {
        match subscriber.next_timeout(PATIENCE) {
            Ok(frame) => drop(frame.expect("an error or a frame")),
            Err(error) => break error,
        }
    };
    let RecvError::Io(source) = error else {
        panic!("{error}")
    };
    assert!(names_the_limit(&source.to_string()), "{source}");
    assert_whole(&held);
    shortage.end();
    drop((subscriber, held));
    assert_eq!(own::fds(), before, "a descriptor leaked");
    let mut next = Subscriber::connect(&path, SubscriberOptions::default()).unwrap();
    assert_eq!(next.next().unwrap().epoch(), 2);
}

fn publishing() {
    let stream = Stream::new(8);
    let mut peer = Part::Tell { window: 2 }.start(&stream.path);
    assert_eq!(peer.line(), "joined");
    let layout = Layout::nv12(64, 48);
    let memfd = memory::memfd("late", layout.bytes_of(0)).unwrap();
    memory::seal_read_only(memfd.as_fd()).unwrap();
    let before = own::fds();
    let shortage = Shortage::of(0);
    {
        let second = mos_frame::socket_path(stream.path.parent().unwrap(), "second");
        let bound = Publisher::<()>::bind(&second, PublisherOptions::default());
        assert!(names_the_limit(&bound.unwrap_err().to_string()));
        match stream.publisher.import(&[memfd.as_fd()], &layout) {
            Err(ImportError::Io(error)) => assert!(names_the_limit(&error.to_string()), "{error}"),
            other => panic!("{other:?}"),
        }
        // Who is there is served.
        for _ in 0..100 {
            let seq = stream.publish();
            assert_eq!(peer.line(), seq.to_string());
        }
    }
    shortage.end();
    assert_eq!(own::fds(), before, "a descriptor leaked");
    stream.publisher.import(&[memfd.as_fd()], &layout).unwrap();
    let format = Format::nv12_memfd(64, 48, (30, 1));
    assert_eq!(stream.publisher.set_format(format), 1);
    assert_eq!(stream.subscribe(2, 1).next().unwrap().seq(), 100);
}

fn no_spinning() {
    let stream = Stream::new(8);
    let mut early = stream.subscribe(2, 1);
    let path = stream.path.clone();
    let late = crate::faults::Raw::unconnected();
    let shortage = Shortage::of(0);
    late.connect_to(&path);
    let cpu_time = || {
        let used = clock_gettime(ClockId::ProcessCPUTime);
        Duration::new(used.tv_sec as u64, used.tv_nsec as u32)
    };
    let before = cpu_time();
    let none = early.next_timeout(Duration::from_millis(500)).unwrap();
    assert!(none.is_none());
    let used = cpu_time().saturating_sub(before);
    assert!(
        used < Duration::from_millis(250),
        "{used:?} of CPU time in 500 ms"
    );
    stream.publish();
    assert_eq!(early.next().unwrap().seq(), 1, "the others are served");
    shortage.end();
    let mut next = stream.subscribe(2, 1);
    assert!(next.next_timeout(PATIENCE).unwrap().is_some());
    // The one that waited is accepted now: it may say HELLO.
    late.hello(2, 1, "late");
    late.receive_kind(crate::faults::kind::WELCOME);
    drop(late);
    wait_until("the late one's end", || stream.info().len() == 2);
}
