//! The conformance suite on libcamera's cameras. The camera lab runs it on libcamera's virtual pipeline handler.
//!
//! With `MOS_LIBCAMERA_REQUIRED=1` a host without a camera fails; else that is noted as skipped.

#![cfg(feature = "development")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod conformance;

use std::collections::HashSet;
use std::sync::Arc;

use conformance::{Running, Subject, next};
use mos_camera_backends::pipeline::Memory;
use mos_camera_backends::{Backend, LibcameraBackend};
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
        assert!(
            !device.model.is_empty() && !sizes(&device).is_empty(),
            "{device:?}"
        );
        // The configuration of the lab says so of its cameras.
        let facing = ["front", "back"];
        assert!(
            facing.iter().any(|word| device.location.contains(word)),
            "{device:?}"
        );
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
