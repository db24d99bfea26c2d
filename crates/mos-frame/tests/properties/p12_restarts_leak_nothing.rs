//! Property 12: however often the producer restarts, subscribers find the new one by themselves, what they hold stays, and no
//! mapping and no descriptor is left behind.

use mos_frame::{
    Budget, MemfdPool, PoolFrame, Publisher, PublisherOptions, Subscriber, SubscriberOptions,
};

use crate::common::{PATIENCE, assert_whole, make_pool, own, publish_stamped, wait_until};
use crate::parts::Part;
use crate::runner::Properties;

pub(crate) fn list(properties: &mut Properties) {
    properties.add(
        "p12_restarts_leak_nothing",
        &[
            ("after_a_thousand_restarts", a_thousand),
            ("after_producers_that_were_killed", killed),
        ],
    );
}

/// The subscriber under test and the frame that it holds all along.
struct Survivor {
    subscriber: Subscriber,
    held: mos_frame::Frame,
    sessions: Vec<u64>,
}

impl Survivor {
    fn connect(path: &std::path::Path) -> Self {
        let options = SubscriberOptions {
            hold: 2,
            ..Default::default()
        };
        let mut subscriber = Subscriber::connect(path, options).unwrap();
        let held = subscriber.next().unwrap();
        let sessions = vec![held.session()];
        Self {
            subscriber,
            held,
            sessions,
        }
    }

    /// Takes the first frame of a new producer.
    fn meet(&mut self) {
        let frame = self.subscriber.next_timeout(PATIENCE).unwrap();
        let frame = frame.expect("a frame of the new producer");
        assert_eq!(frame.seq(), 1);
        assert_whole(&frame);
        assert_whole(&self.held);
        self.sessions.push(frame.session());
    }

    fn end(mut self, restarts: usize) {
        self.sessions.sort_unstable();
        self.sessions.dedup();
        assert_eq!(
            self.sessions.len(),
            restarts + 1,
            "each producer has a session of its own"
        );
        assert_eq!(self.subscriber.stats().reconnects, restarts as u64);
    }
}

fn start(path: &std::path::Path) -> (Publisher<PoolFrame>, MemfdPool) {
    let options = PublisherOptions {
        budget: Budget {
            slots: 8,
            in_flight: 1,
            fences: 0,
        },
        ..Default::default()
    };
    let publisher = Publisher::bind(path, options).unwrap();
    let pool = make_pool(&publisher, 64, 48, 8);
    publish_stamped(&publisher, &pool);
    (publisher, pool)
}

fn a_thousand() {
    const RESTARTS: usize = 1000;
    let dir = tempfile::tempdir().unwrap();
    let path = mos_frame::socket_path(dir.path(), "test");
    let nothing = (own::fds(), own::mappings());
    let first = start(&path);
    let mut survivor = Survivor::connect(&path);
    drop(first);
    let mut early = None;
    for restart in 0..RESTARTS {
        let producer = start(&path);
        survivor.meet();
        drop(producer);
        if restart == 20 {
            early = Some(own::mappings());
        }
    }
    // While it waits for the next producer: at most one pool is mapped besides the held frame, as after the first few.
    wait_until("mappings as after the first restarts", || {
        Some(own::mappings()) <= early
    });
    survivor.end(RESTARTS);
    wait_until("every descriptor and mapping to be gone", || {
        (own::fds(), own::mappings()) == nothing
    });
}

/// These leave their sockets and locks behind.
fn killed() {
    const RESTARTS: usize = 60;
    let dir = tempfile::tempdir().unwrap();
    let path = mos_frame::socket_path(dir.path(), "test");
    let nothing = (own::fds(), own::mappings());
    let produce = || {
        let mut producer = Part::Produce.start(&path);
        assert_eq!(producer.line(), "published");
        producer
    };
    let first = produce();
    let mut survivor = Survivor::connect(&path);
    first.kill();
    for _ in 0..RESTARTS {
        let producer = produce();
        survivor.meet();
        producer.kill();
    }
    assert!(path.exists(), "a killed producer removes nothing");
    survivor.end(RESTARTS);
    wait_until("every descriptor and mapping to be gone", || {
        (own::fds(), own::mappings()) == nothing
    });
}
