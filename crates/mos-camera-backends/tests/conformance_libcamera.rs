//! The conformance suite on libcamera's cameras. The camera lab runs it on libcamera's virtual pipeline handler.
//!
//! With `MOS_LIBCAMERA_REQUIRED=1` a host without a camera fails; else that is noted as skipped.

#![cfg(feature = "development")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod conformance;

use std::collections::HashSet;
use std::sync::{Arc, mpsc};

use conformance::{PATIENCE, Running, Subject, next};
use gst::prelude::*;
use mos_camera_backends::pipeline::Memory;
use mos_camera_backends::{Backend, LibcameraBackend, PipelineEvent, Source};
use mos_camera_core::{
    ControlValues, Device, DeviceId, FaultKind, Health, Sizes, StreamConfig, Transport,
};
use mos_frame::{ConnectError, Subscriber, SubscriberOptions};

fn backend() -> Arc<dyn Backend> {
    mos_camera_backends::init().unwrap();
    Arc::new(LibcameraBackend::new(Arc::default(), Vec::new()))
}

/// All cameras that give NV12; says so if there is none.
fn cameras() -> Vec<Device> {
    let found = backend().discover();
    let required = std::env::var_os("MOS_LIBCAMERA_REQUIRED").is_some();
    let cameras = match found {
        Err(fault) if !required && fault.kind == FaultKind::Missing => Vec::new(),
        found => found.unwrap(),
    };
    if cameras.is_empty() {
        assert!(!required, "no camera, but MOS_LIBCAMERA_REQUIRED is set");
        let test = std::thread::current()
            .name()
            .unwrap_or("conformance_libcamera")
            .to_owned();
        mos_testkit::skip::skip(
            &format!("conformance_libcamera {test}"),
            "libcamera has no camera on this host; runs in the lab",
        )
        .unwrap();
    }
    cameras
}

fn sizes(device: &Device) -> Vec<(u32, u32)> {
    let nv12 = device.capabilities.iter().filter(|c| c.format == "NV12");
    let discrete = nv12.filter_map(|capability| match &capability.sizes {
        Sizes::Discrete(sizes) => Some(sizes.clone()),
        Sizes::Stepwise { .. } => None,
    });
    discrete.flatten().collect()
}

fn subjects() -> Vec<Subject> {
    let subject = |device: Device| Subject {
        backend: backend(),
        size: sizes(&device)[0],
        device: device.id,
        absent: DeviceId::new(Transport::MipiCsi, "/base/no/such/sensor"),
        unsupported: (6, 6),
        keep: Box::new(()),
    };
    cameras().into_iter().map(subject).collect()
}

suite!(subjects);

#[test]
fn cameras_are_listed_with_what_is_known_of_them() {
    for device in cameras() {
        assert_eq!(device.health, Health::Ready, "{device:?}");
        assert!(!sizes(&device).is_empty(), "{device:?}");
        // The configuration of the lab says so of its cameras.
        let facing = ["front", "back"];
        let known = facing.iter().find(|word| {
            device.model == format!("virtual {word}")
                && device.location.ends_with(&format!(", {word}"))
        });
        assert!(known.is_some(), "{device:?}");
    }
}

/// The virtual handler has no control of a single value, of which an element by itself takes any: none is listed, and one that is asked for
/// is refused by name.
#[test]
fn a_camera_without_controls_says_so() {
    for (subject, device) in subjects().into_iter().zip(cameras()) {
        assert_eq!(device.controls, []);
        let controls = ControlValues::from([("brightness".to_owned(), 100)]);
        let wanted = StreamConfig {
            controls: controls.clone(),
            ..subject.config()
        };
        for fault in [
            subject
                .backend
                .set_controls(&subject.device, &controls)
                .unwrap_err(),
            subject
                .backend
                .source(&subject.device, &wanted)
                .unwrap_err(),
        ] {
            assert_eq!(fault.kind, FaultKind::Unsupported);
            let text = "no control is named `brightness`; the device has none that can be set";
            assert!(fault.message.contains(text), "{fault}");
        }
    }
}

/// No frame is copied and none is mapped: what libcamera allocated is what subscribers get.
#[test]
fn frames_are_libcameras_own_dma_bufs() {
    for subject in subjects() {
        let running = Running::start(&subject.backend, &subject.config()).unwrap();
        running.first_frame();
        let mut subscriber = running.subscribe();
        let mut seen = HashSet::new();
        for _ in 0..40 {
            let frame = next(&mut subscriber);
            seen.insert(rustix::fs::fstat(frame.fd(0).unwrap()).unwrap().st_ino);
        }
        let stats = running.pipeline.stats();
        assert_eq!(stats.memory, Memory::DmaBuf);
        assert_eq!(stats.bus.unwrap().copied, 0);
        // What the stream's budget relies on.
        assert!(seen.len() <= 4, "{} buffers", seen.len());
    }
}

/// Who needs more buffers than there are is refused with the figures, and the camera goes on.
#[test]
fn more_subscribers_than_the_buffers_are_enough_for_are_refused() {
    for subject in subjects() {
        let running = Running::start(&subject.backend, &subject.config()).unwrap();
        running.first_frame();
        let mut first = running.subscribe();
        next(&mut first);
        let options = SubscriberOptions {
            hold: 3,
            ..SubscriberOptions::default()
        };
        let refused = Subscriber::connect(&running.socket(), options).unwrap_err();
        assert!(matches!(refused, ConnectError::Refused { .. }), "{refused}");
        assert!(refused.to_string().contains('4'), "{refused}");
        next(&mut first);
    }
}

/// A second owner in another pipeline: refused by libcamera, told as busy, and the first goes on.
#[test]
fn a_camera_has_one_owner() {
    for subject in subjects() {
        let first = Running::start(&subject.backend, &subject.config()).unwrap();
        first.first_frame();
        let second = Running::start(&subject.backend, &subject.config()).unwrap();
        assert_eq!(second.fault().kind, FaultKind::Busy);
        let mut subscriber = first.subscribe();
        next(&mut subscriber);
    }
}

/// Two cameras of one backend, as the service has them; those of them that this host has.
fn neighbours() -> Option<(Arc<dyn Backend>, [StreamConfig; 2])> {
    let mut configs = cameras().into_iter().map(|device| StreamConfig {
        size: sizes(&device).pop(),
        ..StreamConfig::new(device.id)
    });
    let pair = [configs.next()?, configs.next()?];
    Some((backend(), pair))
}

/// Frames of a session that is not `old`; there may be some of the old one before.
fn goes_on(subscriber: &mut Subscriber, old: Option<u64>) -> u64 {
    let mut session = next(subscriber).session();
    while Some(session) == old {
        session = next(subscriber).session();
    }
    for _ in 0..5 {
        assert_eq!(next(subscriber).session(), session);
    }
    session
}

/// libcamera keeps a camera alive while another one streams, and with it whatever listened to its requests before.
#[test]
fn a_stream_restarts_beside_another_camera() {
    let Some((backend, [left, right])) = neighbours() else {
        return;
    };
    let beside = Running::start(&backend, &right).unwrap();
    let mut neighbour = beside.subscribe();
    goes_on(&mut neighbour, None);
    let mut first = Running::start(&backend, &left).unwrap();
    let bus = Arc::clone(&first.bus);
    let mut subscriber = first.subscribe();
    let mut session = goes_on(&mut subscriber, None);
    for _ in 0..3 {
        // The same pipeline again, and a new one in its place.
        first.pipeline.stop();
        goes_on(&mut neighbour, None);
        first.pipeline.start();
        session = goes_on(&mut subscriber, Some(session));
        drop(first);
        first = Running::start_on(&backend, &left, Arc::clone(&bus)).unwrap();
        session = goes_on(&mut subscriber, Some(session));
        goes_on(&mut neighbour, None);
    }
    assert!(
        beside
            .events
            .drain()
            .iter()
            .all(|event| *event == PipelineEvent::FirstFrame)
    );
}

/// The same while a subscriber holds a frame, of a stream with a neighbour and of one that is alone.
#[test]
fn a_stream_restarts_while_a_frame_of_it_is_held() {
    let Some((backend, [left, right])) = neighbours() else {
        return;
    };
    for has_neighbour in [false, true] {
        let beside = has_neighbour.then(|| Running::start(&backend, &right).unwrap());
        let mut neighbour = beside.as_ref().map(Running::subscribe);
        neighbour.as_mut().map(|n| goes_on(n, None));
        let mut first = Running::start(&backend, &left).unwrap();
        let bus = Arc::clone(&first.bus);
        let mut subscriber = first.subscribe();
        for _ in 0..3 {
            let held = next(&mut subscriber);
            drop(first);
            first = Running::start_on(&backend, &left, Arc::clone(&bus)).unwrap();
            goes_on(&mut subscriber, Some(held.session()));
            neighbour.as_mut().map(|n| goes_on(n, None));
            drop(held);
        }
    }
}

/// A parked camera is nobody else's, and its next stream may ask for other pictures.
#[test]
fn a_camera_is_let_go_when_no_stream_has_any() {
    let Some((ours, [left, right])) = neighbours() else {
        return;
    };
    // Knows nothing of what the other one has, like another program.
    let stranger = backend();
    let refused = || {
        let running = Running::start(&stranger, &left).unwrap();
        running.fault().kind == FaultKind::Busy
    };
    let mut devices = ours.discover().unwrap().into_iter();
    let device = devices.find(|d| d.id == left.device).unwrap();
    let beside = Running::start(&ours, &right).unwrap();
    beside.first_frame();
    // Those between the smallest and the largest it names, and does not give.
    let all = sizes(&device);
    assert!(all.len() > 1, "{all:?}");
    for size in [all[0], all[all.len() - 1], all[0]] {
        let config = StreamConfig {
            size: Some(size),
            ..left.clone()
        };
        let running = Running::start(&ours, &config).unwrap();
        let frame = next(&mut running.subscribe());
        assert_eq!((frame.format().width, frame.format().height), size);
    }
    assert!(refused());
    drop(beside);
    let running = Running::start(&stranger, &left).unwrap();
    running.first_frame();
}

/// A run of a source outside of the service's pipeline: its first frame, and what ends the run.
fn first_buffer(source: &Source) -> (gst::Buffer, impl FnOnce() + use<>) {
    let kept = source.keep.clone().unwrap();
    kept.keeper.take(&kept.element).unwrap();
    kept.element.set_locked_state(false);
    let pipeline = gst::Pipeline::new();
    let sink = gst::ElementFactory::make("fakesink").build().unwrap();
    sink.set_property("enable-last-sample", false);
    pipeline.add_many([source.bin.upcast_ref(), &sink]).unwrap();
    source.bin.link(&sink).unwrap();
    let (sender, frames) = mpsc::sync_channel(1);
    let pad = sink.static_pad("sink").unwrap();
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        // Only the first is asked for.
        let _more = sender.try_send(info.buffer().unwrap().clone());
        gst::PadProbeReturn::Remove
    });
    pipeline.set_state(gst::State::Playing).unwrap();
    let frame = frames.recv_timeout(PATIENCE).unwrap();
    let end = move || {
        kept.keeper.falls(&kept.element);
        kept.element.set_locked_state(true);
        pipeline.set_state(gst::State::Null).unwrap();
        kept.element.set_state(gst::State::Ready).unwrap();
        kept.keeper.landed(&kept.element, true);
    };
    (frame, end)
}

/// A frame that somebody in the process still has keeps libcamera and the camera up. It is seen, and the camera stays open.
#[test]
fn a_camera_is_not_closed_while_a_frame_of_it_is_out() {
    let Some((backend, [config, _])) = neighbours() else {
        return;
    };
    let source = || backend.source(&config.device, &config).unwrap();
    let mut held: Option<gst::Buffer> = None;
    let mut element: Option<gst::Element> = None;
    for _ in 0..3 {
        let source = source();
        let kept = source.keep.clone().unwrap();
        assert!(element.is_none_or(|element| element == kept.element));
        let (frame, end) = first_buffer(&source);
        end();
        assert_eq!(kept.element.current_state(), gst::State::Ready);
        // The one of the last run is given back only now.
        drop(held.replace(frame));
        element = Some(kept.element);
    }
    drop(held);
    backend.discover().unwrap();
    assert_eq!(element.unwrap().current_state(), gst::State::Null);
    let running = Running::start(&backend, &config).unwrap();
    running.first_frame();
}
