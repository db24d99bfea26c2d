//! The rules.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mos_camera_core::{Fault, FaultKind, StreamConfig};
use mos_frame::{FourCc, Frame, Subscriber};

use super::Subject;
use super::running::{Running, next};

/// Frames that a rule looks at.
const FRAMES: usize = 20;

/// Two looks give the same ids, sorted, each once, and the camera is among them.
pub(crate) fn discovery_lists_the_device_with_a_stable_id(subject: &Subject) {
    let ids = || -> Vec<_> {
        subject
            .backend
            .discover()
            .unwrap()
            .into_iter()
            .map(|d| d.id)
            .collect()
    };
    let first = ids();
    assert_eq!(first, ids());
    assert!(first.windows(2).all(|pair| pair[0] < pair[1]), "{first:?}");
    assert!(first.contains(&subject.device), "{first:?}");
    assert!(
        first
            .iter()
            .all(|id| id.transport() == subject.backend.transport()),
        "{first:?}"
    );
    assert_eq!(subject.device.as_str().parse(), Ok(subject.device.clone()));
}

/// The source has one pad and says what it is made of.
pub(crate) fn the_source_names_its_elements(subject: &Subject) {
    use gst::prelude::*;
    let source = subject
        .backend
        .source(&subject.device, &subject.config())
        .unwrap();
    assert_eq!(source.bin.pads().len(), 1);
    assert!(source.bin.static_pad("src").is_some());
    let chain = source.built.chain();
    assert_eq!(source.bin.children().len(), chain.len(), "{chain:?}");
    for factory in &chain {
        assert!(gst::ElementFactory::find(factory).is_some(), "{factory}");
    }
}

/// The plan says what the source is made of once frames flow, and what they cost; it is known before, and said again after.
pub(crate) fn the_plan_is_what_is_built(subject: &Subject) {
    let config = subject.config();
    let explain = || subject.backend.explain(&subject.device, &config).unwrap();
    let source = subject.backend.source(&subject.device, &config).unwrap();
    assert_eq!(explain().chosen, Some(source.built.plan()));
    let running = Running::start(&subject.backend, &config).unwrap();
    running.first_frame();
    let stats = running.pipeline.stats();
    assert_eq!(explain().chosen.as_ref(), Some(&stats.plan));
    let steps = stats.plan.steps.iter().map(|step| step.factory.as_str());
    let expected: Vec<_> = steps
        .chain(["mosnv12contract", "tee", "mosframesink"])
        .collect();
    // A generated camera's counter stands behind its steps, of which it has none.
    let end = stats.chain.len() - expected.len();
    assert_eq!(stats.chain[end..], expected);
    assert!(subject.backend.explain(&subject.absent, &config).is_err());
}

/// NV12 of the size asked for, in memory with descriptors, in order, none copied.
pub(crate) fn frames_of_the_size_asked_for_reach_the_bus_uncopied(subject: &Subject) {
    let running = Running::start(&subject.backend, &subject.config()).unwrap();
    running.first_frame();
    let mut subscriber = running.subscribe();
    let mut last = None;
    for _ in 0..FRAMES {
        let frame = next(&mut subscriber);
        check_frame(&frame, subject);
        assert!(last < Some(frame.seq()), "{last:?} then {}", frame.seq());
        last = Some(frame.seq());
    }
    let stats = running.pipeline.stats();
    assert_eq!(stats.bus.unwrap().copied, 0, "{:?}", stats.chain);
    assert_eq!((stats.refused_frames, stats.refused_maps), (0, 0));
    assert!(stats.frames >= FRAMES as u64);
    assert!(stats.last_frame_ns.unwrap() <= mos_frame::monotonic_ns());
    assert_eq!(
        stats.picture.map(|p| (p.width, p.height)),
        Some(subject.size)
    );
    assert!(running.pipeline.dot().contains("mosframesink"));
}

fn check_frame(frame: &Frame, subject: &Subject) {
    let format = frame.format();
    assert_eq!((format.width, format.height), subject.size);
    assert_eq!((format.fourcc, format.modifier), (FourCc::NV12, 0));
    assert_eq!(frame.layout().planes.len(), 2);
    for plane in 0..2 {
        let fd = frame.fd(plane).expect("a plane without a descriptor");
        rustix::fs::fstat(fd).unwrap();
    }
    assert!(frame.meta().capture_ns > 0 && frame.meta().capture_ns <= mos_frame::monotonic_ns());
}

/// Longest stop. A peer gets 100 ms to take note of the end of a session; the rest is patience with a busy machine.
const STOP: Duration = Duration::from_secs(10);

/// Stopping is quick, leaves no socket, tells nothing, and can be done twice.
pub(crate) fn stopping_is_clean(subject: &Subject) {
    let running = Running::start(&subject.backend, &subject.config()).unwrap();
    running.first_frame();
    running.events.drain();
    let before = Instant::now();
    running.pipeline.stop();
    assert!(before.elapsed() < STOP, "{:?}", before.elapsed());
    running.pipeline.stop();
    assert_eq!(running.events.drain(), []);
    assert!(running.pipeline.stats().bus.is_none());
    assert!(!running.socket().exists(), "the socket is left");
}

/// The same pipeline starts again, and so does a new one in its place; a subscriber follows by itself.
pub(crate) fn after_a_restart_subscribers_go_on(subject: &Subject) {
    let config = subject.config();
    let first = Running::start(&subject.backend, &config).unwrap();
    let mut subscriber = first.subscribe();
    let mut session = next(&mut subscriber).session();
    first.pipeline.stop();
    first.pipeline.start();
    session = next_session(&mut subscriber, session);
    let bus = Arc::clone(&first.bus);
    drop(first);
    let _second = Running::start_on(&subject.backend, &config, bus).unwrap();
    next_session(&mut subscriber, session);
}

fn next_session(subscriber: &mut Subscriber, old: u64) -> u64 {
    // Frames of the old session that were on offer may still come.
    loop {
        let session = next(subscriber).session();
        if session != old {
            return session;
        }
    }
}

/// An id that is not there is a fault, not a panic and not another camera.
pub(crate) fn an_unknown_device_is_a_fault(subject: &Subject) {
    let fault = subject
        .backend
        .source(&subject.absent, &StreamConfig::new(subject.absent.clone()))
        .unwrap_err();
    assert!(
        matches!(fault.kind, FaultKind::NotFound | FaultKind::Absent),
        "{fault}"
    );
    assert!(
        fault.message.contains(subject.absent.as_str()) && !fault.hint.is_empty(),
        "{fault}"
    );
    assert!(subject.backend.reset(&subject.absent).is_err());
    assert!(subject.backend.reset(&subject.device).is_ok());
}

/// A size that the camera can't give is refused, at once or when the camera shows what it has.
pub(crate) fn an_unsupported_size_is_a_fault_that_lists_what_is_supported(subject: &Subject) {
    let config = StreamConfig {
        size: Some(subject.unsupported),
        ..subject.config()
    };
    let fault = match Running::start(&subject.backend, &config) {
        Err(fault) => fault,
        Ok(running) => running.fault(),
    };
    assert_eq!(fault.kind, FaultKind::Unsupported, "{fault}");
    assert!(lists_sizes(&fault, subject.unsupported), "{fault}");
}

/// Whether a message names sizes beside the one that was asked for.
fn lists_sizes(fault: &Fault, asked: (u32, u32)) -> bool {
    let asked = format!("{}x{}", asked.0, asked.1);
    let rest = fault.message.replacen(&asked, "", 1);
    rest.contains("offer") && rest.bytes().filter(u8::is_ascii_digit).count() > 2
        || rest.contains("supported: ")
}
