//! The conformance suite on every V4L2 capture node of this host. The camera lab runs it on real kernel drivers.
//!
//! With `MOS_V4L2_REQUIRED=1` a host without a capture node fails; else that is noted as skipped.

#![cfg(feature = "development")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod conformance;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use conformance::{Running, Subject};
use mos_camera_backends::pipeline::Memory;
use mos_camera_backends::{Backend, V4l2Backend};
use mos_camera_core::plan::Copies;
use mos_camera_core::{
    Capability, Device, DeviceId, Fault, FaultKind, Health, Sizes, StreamConfig, V4l2Source,
};

/// Formats that end as NV12.
const USABLE: [&str; 4] = ["NV12", "YUY2", "UYVY", "image/jpeg"];

fn backends() -> [Arc<dyn Backend>; 2] {
    mos_camera_backends::init().unwrap();
    [
        Arc::new(V4l2Backend::new(Vec::new(), Arc::default())),
        Arc::new(V4l2Backend::usb(Arc::default(), Vec::new())),
    ]
}

/// All capture nodes, each with its backend; says so if there is none.
fn nodes() -> Vec<(Arc<dyn Backend>, Device)> {
    let of = |backend: Arc<dyn Backend>| {
        backend
            .discover()
            .unwrap()
            .into_iter()
            .map(move |d| (Arc::clone(&backend), d))
    };
    let nodes: Vec<_> = backends().into_iter().flat_map(of).collect();
    if nodes.is_empty() {
        assert!(
            std::env::var_os("MOS_V4L2_REQUIRED").is_none(),
            "no capture node, but MOS_V4L2_REQUIRED is set"
        );
        let test = std::thread::current()
            .name()
            .unwrap_or("conformance_v4l2")
            .to_owned();
        mos_testkit::skip::skip(
            &format!("conformance_v4l2 {test}"),
            "no capture node on this host; runs in the lab",
        )
        .unwrap();
    }
    nodes
}

/// The size nearest to 640x480 that comes in a usable format.
fn size(device: &Device) -> (u32, u32) {
    let usable = device
        .capabilities
        .iter()
        .filter(|c| USABLE.contains(&c.format.as_str()));
    let near = |c: &Capability| match &c.sizes {
        Sizes::Discrete(sizes) => sizes
            .iter()
            .copied()
            .min_by_key(|s| s.0.abs_diff(640) + s.1.abs_diff(480)),
        Sizes::Stepwise { width, height } => Some((
            640.clamp(width.min, width.max),
            480.clamp(height.min, height.max),
        )),
    };
    usable
        .filter_map(near)
        .min_by_key(|s| s.0.abs_diff(640) + s.1.abs_diff(480))
        .expect("no usable format")
}

fn subjects() -> Vec<Subject> {
    let subject = |(backend, device): (Arc<dyn Backend>, Device)| Subject {
        absent: DeviceId::new(device.transport, "no-such-camera"),
        size: size(&device),
        unsupported: (16_382, 16_382),
        device: device.id,
        backend,
        keep: Box::new(()),
    };
    nodes().into_iter().map(subject).collect()
}

suite!(subjects);

#[test]
fn no_v4l2_is_an_empty_list() {
    for backend in backends() {
        backend.discover().unwrap();
    }
}

#[test]
fn nodes_have_ids_of_their_own_and_are_ready() {
    let nodes = nodes();
    let ids: HashSet<_> = nodes.iter().map(|(_, device)| &device.id).collect();
    assert_eq!(ids.len(), nodes.len());
    for (_, device) in &nodes {
        assert_eq!(device.health, Health::Ready, "{device:?}");
        assert!(!device.capabilities.is_empty(), "{device:?}");
        assert!(device.location.starts_with("/dev/video"), "{device:?}");
    }
}

/// What the production build lives on: the driver's own dma-bufs, and nothing between it and the bus.
#[test]
fn nv12_comes_as_the_driver_s_dma_bufs() {
    for (backend, device) in nodes() {
        if device.capabilities.iter().all(|c| c.format != "NV12") {
            continue;
        }
        let running = Running::start(&backend, &StreamConfig::new(device.id.clone())).unwrap();
        running.first_frame();
        let mut subscriber = running.subscribe();
        let frame = conformance::next(&mut subscriber);
        assert_eq!(frame.format().memory, mos_frame::MemoryKind::DmaBuf);
        let stats = running.pipeline.stats();
        assert_eq!(stats.memory, Memory::DmaBuf);
        assert!(!stats.plan.software, "{:?}", stats.plan);
        assert!(stats.plan.memory.is_dmabuf(), "{:?}", stats.plan);
        assert_eq!(stats.plan.copies, Copies::default(), "{:?}", stats.plan);
        assert_eq!(
            stats.chain[..3],
            ["v4l2src", "capsfilter", "mosnv12contract"]
        );
    }
}

#[test]
fn a_node_that_the_operator_named_is_listed_once() {
    for (_, device) in nodes() {
        let source = V4l2Source {
            path: PathBuf::from(&device.location),
        };
        let named = V4l2Backend::new(vec![("gate".to_owned(), source)], Arc::default());
        let found = named.discover().unwrap();
        assert_eq!(
            found
                .iter()
                .filter(|d| d.location == device.location)
                .count(),
            1,
            "{found:?}"
        );
        assert!(
            found.iter().any(|d| d.id.as_str() == "v4l2:gate"),
            "{found:?}"
        );
    }
}

#[test]
fn a_node_in_use_is_busy() {
    for (backend, device) in nodes() {
        let config = StreamConfig {
            size: Some(size(&device)),
            ..StreamConfig::new(device.id.clone())
        };
        let first = Running::start(&backend, &config).unwrap();
        first.first_frame();
        let fault = match Running::start(&backend, &config) {
            Err(fault) => fault,
            Ok(second) => second.fault(),
        };

        assert_eq!(fault.kind, FaultKind::Busy, "{fault}");
    }
}

#[test]
fn a_path_that_is_not_there_is_absent() {
    mos_camera_backends::init().unwrap();
    let gone = V4l2Source {
        path: PathBuf::from("/dev/no-such-camera"),
    };
    let backend = V4l2Backend::new(vec![("gate".to_owned(), gone)], Arc::default());
    let id: DeviceId = "v4l2:gate".parse().unwrap();
    assert!(backend.discover().unwrap().iter().all(|d| d.id != id));
    let fault = backend
        .source(&id, &StreamConfig::new(id.clone()))
        .unwrap_err();
    assert_eq!(fault.kind, FaultKind::Absent, "{fault}");
}

/// The list comes from the driver, the plan from what `v4l2src` can capture: the two must agree.
#[test]
fn every_size_that_is_listed_in_nv12_can_be_planned() {
    for (backend, device) in nodes() {
        let nv12 = device.capabilities.iter().filter(|c| c.format == "NV12");
        let mut sizes: Vec<_> = nv12
            .flat_map(|c| match &c.sizes {
                Sizes::Discrete(sizes) => sizes.clone(),
                Sizes::Stepwise { width, height } => vec![(width.min, height.min)],
            })
            .collect();
        sizes.sort_unstable();
        sizes.dedup();
        assert!(sizes.len() > 1, "{:?}", device.capabilities);
        for size in sizes {
            let config = StreamConfig {
                size: Some(size),
                ..StreamConfig::new(device.id.clone())
            };
            let explained = backend.explain(&device.id, &config).unwrap();
            let plan = explained
                .chosen
                .unwrap_or_else(|| panic!("{size:?} of {}: no plan", device.id));
            assert_eq!(
                (plan.capture.format.as_str(), plan.capture.size),
                ("NV12", Some(size))
            );
        }
    }
}

/// A named path, and what the backend makes of it: whether it is listed, and the fault of a stream on it.
fn named(path: &std::path::Path) -> (Option<Device>, Fault) {
    mos_camera_backends::init().unwrap();
    let source = V4l2Source {
        path: path.to_owned(),
    };
    let backend = V4l2Backend::new(vec![("gate".to_owned(), source)], Arc::default());
    let id: DeviceId = "v4l2:gate".parse().unwrap();
    let found = backend.discover().unwrap();
    let fault = backend
        .source(&id, &StreamConfig::new(id.clone()))
        .unwrap_err();
    (found.into_iter().find(|device| device.id == id), fault)
}

#[test]
fn a_path_that_is_no_camera_is_listed_as_unusable_and_refused() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    let fifo = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, fifo, rustix::fs::Mode::RUSR, 0).unwrap();
    for (path, what) in [
        (PathBuf::from("/dev/null"), "a device of another kind"),
        (folder.path().to_owned(), "a directory"),
        (pipe, "a pipe"),
    ] {
        let (device, fault) = named(&path);
        let health = device.unwrap().health;
        assert!(
            matches!(&health, Health::Unusable(why) if why.contains(what)),
            "{health:?}"
        );
        assert_eq!(fault.kind, FaultKind::Unsupported, "{fault}");
        assert!(fault.message.contains(what), "{fault}");
    }
}

#[test]
fn a_link_to_nowhere_is_a_camera_that_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("camera");
    std::os::unix::fs::symlink(folder.path().join("nowhere"), &link).unwrap();
    let (device, fault) = named(&link);
    assert_eq!(device, None);
    assert_eq!(fault.kind, FaultKind::Absent, "{fault}");
}
