//! libcamera's handler of USB cameras on the kernel's own driver: what is streamed is memory of a V4L2 driver, which no CPU of ours paints.
//! The camera lab runs it where the virtual USB host has a name of the firmware's
//! (`name-usb-host`): libcamera drives no camera behind another one.
//!
//! With `MOS_LIBCAMERA_UVC_REQUIRED=1` a host without fails; else that is noted as skipped.

#![cfg(feature = "development")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod conformance;

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::os::fd::AsRawFd;
use std::sync::Arc;

use conformance::{PATIENCE, Running, Subject, next};
use gst::prelude::*;
use mos_camera_backends::libcamera::Registry;
use mos_camera_backends::pipeline::Memory;
use mos_camera_backends::{Backend, LibcameraBackend, V4l2Backend};
use mos_camera_core::{
    ControlValues, Device, DeviceId, FaultKind, Health, StreamConfig, Transport,
};
use mos_testkit::wait_until;
use mos_virtual_uvc::{Camera, CameraConfig, ControlId, FormatKind, FormatSpec};

/// What libcamera names a camera behind the host after (`lab/guest/name-usb-host`).
const HOST: &str = "/sys/devices/platform/vhci_hcd.0/firmware_node/path";
/// Small: frames go through an emulated host.
const SIZES: [(u16, u16); 2] = [(320, 240), (160, 120)];

/// A camera in the first port, and its backend as the service makes it for one that the operator named.
struct Rig {
    camera: Camera,
    registry: Arc<Registry>,
    backend: Arc<dyn Backend>,
    device: Device,
}

fn rig() -> Option<Rig> {
    let Ok(host) = fs::read_to_string(HOST) else {
        let required = std::env::var_os("MOS_LIBCAMERA_UVC_REQUIRED").is_some();
        assert!(
            !required,
            "no {HOST}, but MOS_LIBCAMERA_UVC_REQUIRED is set"
        );
        let why = "the virtual USB host has no name of the firmware's; runs in the lab";
        mos_testkit::skip::skip("libcamera_uvc", why).unwrap();
        return None;
    };
    mos_camera_backends::init().unwrap();
    let config = CameraConfig {
        port: Some(0),
        formats: vec![FormatSpec::new(FormatKind::Nv12, &SIZES, &[10])],
        ..CameraConfig::default()
    };
    let camera = Camera::plug(&config).unwrap();
    let id = DeviceId::new(
        Transport::MipiCsi,
        &format!("{}-1:1.0-1d6b:0102", host.trim()),
    );
    let registry: Arc<Registry> = Arc::default();
    registry.configure(vec![id.clone()]);
    let backend = Arc::new(LibcameraBackend::new(Arc::clone(&registry), Vec::new()));
    wait_until("a node", PATIENCE, || camera.nodes().pop()).unwrap();
    let device = wait_until("libcamera's camera", PATIENCE, || {
        let mut devices = backend.discover().unwrap().into_iter();
        devices.find(|device| device.id == id)
    });
    Some(Rig {
        device: device.unwrap(),
        camera,
        registry,
        backend,
    })
}

fn subjects() -> Vec<Subject> {
    let subject = |rig: Rig| Subject {
        backend: rig.backend,
        size: (160, 120),
        device: rig.device.id,
        absent: DeviceId::new(Transport::MipiCsi, "no-such-camera"),
        unsupported: (6, 6),
        keep: Box::new(rig.camera),
    };
    rig().into_iter().map(subject).collect()
}

suite!(subjects);

/// The release of libcamera that this program was started for.
#[test]
fn the_element_is_of_the_release_that_was_asked_for() {
    gst::init().unwrap();
    let Ok(release) = std::env::var("MOS_LIBCAMERA_RELEASE") else {
        return;
    };
    let element = gst::ElementFactory::find("libcamerasrc").unwrap();
    let plugin = element.plugin().unwrap();
    assert!(
        plugin.version().starts_with(&release),
        "{} in {:?}",
        plugin.version(),
        plugin.filename()
    );
    // Its plugin is loaded; so is the library.
    element.create().build().unwrap();
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let library = format!("libcamera.so.{release}");
    assert!(maps.contains(&library), "{library} is not loaded");
}

#[test]
fn a_usb_camera_is_v4l2s_unless_it_is_named() {
    let Some(rig) = rig() else {
        return;
    };
    assert_eq!(rig.device.health, Health::Ready, "{:?}", rig.device);
    let nodes = V4l2Backend::usb(Arc::default(), Vec::new()).beside(Arc::clone(&rig.registry));
    let listed = || {
        let by_libcamera = rig.backend.discover().unwrap();
        (by_libcamera.len(), nodes.discover().unwrap().len())
    };
    assert_eq!(listed(), (1, 0));
    rig.registry.configure(Vec::new());
    assert_eq!(listed(), (0, 1));
    rig.registry.configure(vec![rig.device.id.clone()]);
    assert_eq!(listed(), (1, 0));
}

/// No frame is copied: what the driver exported is what subscribers get, in as many buffers as the stream's budget relies on.
#[test]
fn frames_are_the_drivers_dma_bufs() {
    for subject in subjects() {
        let running = Running::start(&subject.backend, &subject.config()).unwrap();
        running.first_frame();
        let mut subscriber = running.subscribe();
        let (mut inodes, mut exporters) = (HashSet::new(), BTreeSet::new());
        for _ in 0..20 {
            let frame = next(&mut subscriber);
            let fd = frame.fd(0).unwrap();
            inodes.insert(rustix::fs::fstat(fd).unwrap().st_ino);
            exporters.insert(exporter(fd.as_raw_fd()));
        }
        let stats = running.pipeline.stats();
        assert_eq!(stats.memory, Memory::DmaBuf);
        assert_eq!(stats.bus.unwrap().copied, 0);
        assert!((2..=4).contains(&inodes.len()), "{} buffers", inodes.len());
        assert!(
            exporters.iter().all(|name| name.starts_with("videobuf2_")),
            "{exporters:?}"
        );
    }
}

/// Who allocated a dma-buf, by the kernel's word.
fn exporter(fd: i32) -> String {
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).unwrap();
    let name = info.lines().find_map(|line| line.strip_prefix("exp_name:"));
    name.unwrap_or_default().trim().to_owned()
}

#[test]
fn a_camera_has_one_owner() {
    for subject in subjects() {
        let first = Running::start(&subject.backend, &subject.config()).unwrap();
        first.first_frame();
        let second = Running::start(&subject.backend, &subject.config()).unwrap();
        assert_eq!(second.fault().kind, FaultKind::Busy);
        next(&mut first.subscribe());
    }
}

/// At the start, while it streams, and at the next start again.
#[test]
fn controls_arrive_at_the_camera() {
    let Some(rig) = rig() else {
        return;
    };
    let named = |name: &str| rig.device.controls.iter().any(|c| c.name == name);
    assert!(named("brightness"), "{:?}", rig.device.controls);
    let brightness = |value| ControlValues::from([("brightness".to_owned(), value)]);
    let arrives = |expected| {
        wait_until("brightness", PATIENCE, || {
            (rig.camera.control(ControlId::Brightness) == Some(expected)).then_some(())
        })
        .unwrap();
    };
    let mut config = StreamConfig::new(rig.device.id.clone());
    config.size = Some((160, 120));
    config.controls = brightness(500);
    let running = Running::start(&rig.backend, &config).unwrap();
    running.first_frame();
    arrives(32);
    rig.backend
        .set_controls(&rig.device.id, &brightness(-1000))
        .unwrap();
    arrives(-64);
}

/// A stream that restarts has the same camera again, of either size; once none has it, it is let go of.
#[test]
fn it_restarts_and_is_closed() {
    let Some(rig) = rig() else {
        return;
    };
    let mut session = None;
    for size in [(160, 120), (320, 240), (160, 120)] {
        let config = StreamConfig {
            size: Some(size),
            ..StreamConfig::new(rig.device.id.clone())
        };
        let running = Running::start(&rig.backend, &config).unwrap();
        let frame = next(&mut running.subscribe());
        assert_eq!((frame.format().width, frame.format().height), size);
        assert_ne!(session.replace(frame.session()), Some(frame.session()));
        assert!(open_nodes() > 0);
        drop(frame);
        running.pipeline.stop();
        drop(running);
        wait_until("a closed node", PATIENCE, || {
            (open_nodes() == 0).then_some(())
        })
        .unwrap();
    }
}

/// Video nodes that this process has open.
fn open_nodes() -> usize {
    let entries = fs::read_dir("/proc/self/fd").unwrap().flatten();
    let targets = entries.filter_map(|entry| fs::read_link(entry.path()).ok());
    targets
        .filter(|target| target.to_string_lossy().starts_with("/dev/video"))
        .count()
}
