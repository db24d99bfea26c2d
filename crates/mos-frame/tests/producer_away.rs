//! While the producer is away a subscriber sleeps, whatever it holds, and its descriptor says so.

mod common;

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use common::Stream;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

#[test]
fn a_subscriber_with_a_frame_in_hand_sleeps_while_the_producer_is_away() {
    let stream = Stream::new(8);
    let mut subscriber = stream.subscribe(2, 1);
    stream.publish();
    let held = subscriber.next().unwrap();
    drop(stream);
    let deadline = Instant::now() + Duration::from_millis(500);
    let mut wakes = 0;
    while let Some(left) = deadline.checked_duration_since(Instant::now()) {
        assert!(subscriber.try_next().unwrap().is_none());
        let left = Timespec::try_from(left).unwrap();
        poll(
            &mut [PollFd::new(&subscriber.as_fd(), PollFlags::IN)],
            Some(&left),
        )
        .unwrap();
        wakes += 1;
    }
    assert!(wakes < 30, "{wakes} wake-ups in 500 ms");
    assert!(!subscriber.is_connected());
    assert!(held.is_valid());
    assert_eq!(held.seq(), 1);
}
