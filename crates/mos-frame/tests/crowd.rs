//! Many subscribers at once: each waits for its turn, none is turned away.

mod common;

use std::thread;
use std::time::{Duration, Instant};

use common::PATIENCE;
use mos_frame::{ConnectError, Publisher, PublisherOptions, Subscriber, SubscriberOptions};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};

#[test]
fn more_subscribers_at_once_than_the_backlog_holds() {
    const CROWD: usize = 100;
    let dir = tempfile::tempdir().unwrap();
    let path = mos_frame::socket_path(dir.path(), "popular");
    let _publisher = Publisher::<()>::bind(&path, PublisherOptions::default()).unwrap();
    thread::scope(|scope| {
        let connect = || {
            let options = SubscriberOptions {
                timeout: PATIENCE,
                ..Default::default()
            };
            Subscriber::connect(&path, options)
        };
        let crowd: Vec<_> = (0..CROWD).map(|_| scope.spawn(connect)).collect();
        let joined: Vec<_> = crowd.into_iter().map(|t| t.join().unwrap()).collect();
        for subscriber in joined {
            subscriber.unwrap();
        }
    });
}

#[test]
fn a_producer_that_accepts_nobody_is_waited_for_as_long_as_was_said() {
    let dir = tempfile::tempdir().unwrap();
    let path = mos_frame::socket_path(dir.path(), "stopped");
    let socket = rustix::net::socket(AddressFamily::UNIX, SocketType::SEQPACKET, None).unwrap();
    rustix::net::bind(&socket, &SocketAddrUnix::new(&path).unwrap()).unwrap();
    rustix::net::listen(&socket, 0).unwrap();
    let timeout = Duration::from_millis(200);
    let connect = || {
        let options = SubscriberOptions {
            timeout,
            ..Default::default()
        };
        let start = Instant::now();
        let error = Subscriber::connect(&path, options).unwrap_err();
        assert!(matches!(error, ConnectError::Timeout { .. }), "{error}");
        assert!(start.elapsed() >= timeout);
    };
    // The first ones fill the backlog, and stay there after they gave up.
    for _ in 0..4 {
        connect();
    }
}
