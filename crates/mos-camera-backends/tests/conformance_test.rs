//! The conformance suite on generated cameras.

#![cfg(feature = "development")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod conformance;

use std::sync::Arc;

use conformance::{Running, Subject};
use mos_camera_backends::TestBackend;
use mos_camera_core::{FaultKind, Framerate, StreamConfig, TestPattern, TestSource};
use mos_frame::Subscriber;

fn subject(pattern: TestPattern) -> Subject {
    let cameras = ["front", "rear"].map(|name| (name.to_owned(), TestSource { pattern }));
    Subject {
        backend: Arc::new(TestBackend::new(cameras.into())),
        device: "test:front".parse().unwrap(),
        absent: "test:roof".parse().unwrap(),
        size: (640, 480),
        unsupported: (8192, 8192),
        keep: Box::new(()),
    }
}

fn subjects() -> [Subject; 1] {
    [subject(TestPattern::Smpte)]
}

suite!(subjects);

/// The next frame's number.
fn number(subscriber: &mut Subscriber) -> u32 {
    let frame = conformance::next(subscriber);
    gstmos::counter::read_frame(&frame)
        .unwrap()
        .expect("no counter in the frame")
}

#[test]
fn every_picture_carries_its_number() {
    mos_camera_backends::init().unwrap();
    for pattern in [TestPattern::Ball, TestPattern::Smpte, TestPattern::Gradient] {
        let subject = subject(pattern);
        // Slow, so that a busy machine does not make the subscriber miss frames.
        let config = StreamConfig {
            framerate: Framerate::new(10, 1),
            ..subject.config()
        };
        let running = Running::start(&subject.backend, &config).unwrap();
        let mut subscriber = running.subscribe();
        let first = number(&mut subscriber);
        for n in 1..15 {
            assert_eq!(number(&mut subscriber), first + n, "{pattern:?}");
        }
    }
}

#[test]
fn the_rate_asked_for_is_kept() {
    mos_camera_backends::init().unwrap();
    let subject = subject(TestPattern::Smpte);
    let config = StreamConfig {
        framerate: Framerate::new(120, 1),
        ..subject.config()
    };
    let running = Running::start(&subject.backend, &config).unwrap();
    let mut subscriber = running.subscribe();
    let frame = conformance::next(&mut subscriber);
    assert_eq!(frame.format().framerate, (120, 1));
}

#[test]
fn a_size_without_room_for_the_counter_is_a_fault() {
    mos_camera_backends::init().unwrap();
    let subject = subject(TestPattern::Smpte);
    let config = StreamConfig {
        size: Some((64, 64)),
        ..subject.config()
    };
    let fault = match Running::start(&subject.backend, &config) {
        Err(fault) => fault,
        Ok(running) => running.fault(),
    };
    assert_eq!(fault.kind, FaultKind::Unsupported, "{fault}");
}

#[test]
fn a_bus_socket_of_a_live_stream_is_not_taken_over() {
    mos_camera_backends::init().unwrap();
    let subject = subject(TestPattern::Smpte);
    let first = Running::start(&subject.backend, &subject.config()).unwrap();
    first.first_frame();
    let second =
        Running::start_on(&subject.backend, &subject.config(), Arc::clone(&first.bus)).unwrap();
    let fault = second.fault();
    assert_eq!(fault.kind, FaultKind::Bus, "{fault}");
    drop(second);
    let mut subscriber = first.subscribe();
    conformance::next(&mut subscriber);
}
