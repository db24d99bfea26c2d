//! A producer without free descriptors can't accept subscribers; it does not spin meanwhile, and accepts them later.

mod common;

use std::fs::File;
use std::time::Duration;

use common::{PATIENCE, Stream};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};
use rustix::time::{ClockId, clock_gettime};

fn cpu_time() -> Duration {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(used.tv_sec as u64, used.tv_nsec as u32)
}

#[test]
fn a_producer_without_descriptors_does_not_spin() {
    let stream = Stream::new(8);
    let mut early = stream.subscribe(2, 1);
    let late = rustix::net::socket(AddressFamily::UNIX, SocketType::SEQPACKET, None).unwrap();
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    rustix::process::setrlimit(
        rustix::process::Resource::Nofile,
        rustix::process::Rlimit {
            current: Some(100),
            ..limit
        },
    )
    .unwrap();
    let hoard: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    assert!(hoard.len() < 100);

    rustix::net::connect(&late, &SocketAddrUnix::new(&stream.path).unwrap()).unwrap();
    let before = cpu_time();
    assert!(
        early
            .next_timeout(Duration::from_millis(500))
            .unwrap()
            .is_none()
    );
    let used = cpu_time().saturating_sub(before);
    assert!(
        used < Duration::from_millis(150),
        "{used:?} of CPU time in 500 ms"
    );
    stream.publish();
    assert_eq!(early.next().unwrap().seq(), 1, "the others are served");

    drop(hoard);
    let mut next = stream.subscribe(2, 1);
    assert!(next.next_timeout(PATIENCE).unwrap().is_some());
}
