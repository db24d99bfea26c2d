//! libcamera's handler of `vimc`, the kernel's virtual media graph: its camera is listed with its controls, none of its nodes has a
//! second owner, and controls arrive at the sensor. The camera lab runs it; it takes the driver and `v4l2-ctl`.
//!
//! With `MOS_VIMC_REQUIRED=1` a host without the camera fails; else that is noted as skipped.

#![cfg(feature = "development")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod conformance;

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use conformance::{PATIENCE, Running, next};
use mos_camera_backends::libcamera::Registry;
use mos_camera_backends::{Backend, LibcameraBackend, V4l2Backend};
use mos_camera_core::{ControlValues, Device, FaultKind, Health, StreamConfig};
use mos_testkit::wait_until;

/// The only camera that the handler makes of the graph (`vimc.cpp`); an id has no spaces.
const ID: &str = "csi:platform/vimc.0_Sensor_B";
/// Small: the kernel paints whole pictures of the sensor all the same, on an emulated CPU.
const SIZE: (u32, u32) = (160, 120);

/// Both backends as the service makes them, and the camera; says so if there is none.
fn cameras() -> Option<(Arc<dyn Backend>, V4l2Backend, Device)> {
    mos_camera_backends::init().unwrap();
    let registry: Arc<Registry> = Arc::default();
    let backend = LibcameraBackend::new(Arc::clone(&registry), Vec::new());
    let required = std::env::var_os("MOS_VIMC_REQUIRED").is_some();
    let found = backend.discover();
    let camera = match found {
        Err(fault) if !required && fault.kind == FaultKind::Missing => None,
        found => found.unwrap().into_iter().find(|d| d.id.as_str() == ID),
    };
    let Some(camera) = camera else {
        assert!(!required, "no camera, but MOS_VIMC_REQUIRED is set");
        mos_testkit::skip::skip(
            "libcamera_vimc",
            "the driver vimc is not loaded; runs in the lab",
        )
        .unwrap();
        return None;
    };
    let nodes = V4l2Backend::new(Vec::new(), Arc::default()).beside(registry);
    Some((Arc::new(backend), nodes, camera))
}

/// Places of the nodes that sysfs says are vimc's, of this kind.
fn nodes(prefix: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir("/sys/class/video4linux").unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names
        .filter(|name| name.starts_with(prefix))
        .filter(|name| {
            let device = fs::canonicalize(format!("/sys/class/video4linux/{name}")).unwrap();
            device.to_string_lossy().contains("/vimc.")
        })
        .map(|name| PathBuf::from("/dev").join(name))
        .collect()
}

fn sensor() -> PathBuf {
    let is_sensor = |node: &PathBuf| {
        let name = node.file_name().unwrap().to_string_lossy().into_owned();
        let name = fs::read_to_string(format!("/sys/class/video4linux/{name}/name")).unwrap();
        name.trim() == "Sensor B"
    };
    nodes("v4l-subdev").into_iter().find(is_sensor).unwrap()
}

/// What the driver has for a control of the sensor.
fn at_the_sensor(control: &str) -> String {
    let output = Command::new("v4l2-ctl")
        .arg("--device")
        .arg(sensor())
        .args(["--get-ctrl", control])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.trim().to_owned()
}

fn wait_for_sensor(expected: &str) {
    let control = expected.split(':').next().unwrap();
    let mut last = String::new();
    wait_until(expected, PATIENCE, || {
        last = at_the_sensor(control);
        (last == expected).then_some(())
    })
    .unwrap_or_else(|error| panic!("{error}; last {last}"));
}

fn controls<const N: usize>(values: [(&str, i64); N]) -> ControlValues {
    let owned = values.map(|(name, value)| (name.to_owned(), value));
    owned.into_iter().collect()
}

fn config(device: &Device, controls: ControlValues) -> StreamConfig {
    StreamConfig {
        size: Some(SIZE),
        controls,
        ..StreamConfig::new(device.id.clone())
    }
}

#[test]
fn it_is_listed_with_its_sensor_and_controls() {
    let Some((_, _, camera)) = cameras() else {
        return;
    };
    assert_eq!(camera.health, Health::Ready, "{camera:?}");
    assert_eq!(camera.model, "Sensor B");
    assert!(
        camera.location.starts_with("platform/vimc.0 Sensor B"),
        "{camera:?}"
    );
    assert!(!camera.capabilities.is_empty());
    let found: Vec<_> = camera
        .controls
        .iter()
        .map(|control| format!("{}: {control}", control.name))
        .collect();
    assert_eq!(
        found,
        [
            "brightness: -1000 to 1000, in 1/1000",
            "contrast: 0 or more, in 1/1000",
            "saturation: 0 or more, in 1/1000",
        ]
    );
}

/// The graph's video nodes are libcamera's. Without libcamera's word for it they would be listed.
#[test]
fn its_nodes_have_one_owner() {
    let Some((_, beside, _)) = cameras() else {
        return;
    };
    let captures = nodes("video");
    assert!(captures.len() >= 3, "{captures:?}");
    let listed = |backend: &V4l2Backend| {
        let devices = backend.discover().unwrap();
        let ours = |device: &&Device| {
            captures
                .iter()
                .any(|node| node.to_string_lossy() == device.location)
        };
        devices
            .iter()
            .filter(ours)
            .map(|d| d.id.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(listed(&beside), []);
    let alone = V4l2Backend::new(Vec::new(), Arc::default());
    assert!(
        !listed(&alone).is_empty(),
        "none of {captures:?} is listed at all"
    );
}

#[test]
fn what_it_lacks_is_refused_by_name() {
    let Some((backend, _, camera)) = cameras() else {
        return;
    };
    for (wanted, text) in [
        (
            controls([("exposure_time", 100)]),
            "no control is named `exposure_time`; there are: brightness, contrast, saturation",
        ),
        (
            controls([("brightness", 1001)]),
            "`brightness` can't be 1001: it takes -1000 to 1000, in 1/1000",
        ),
    ] {
        let faults = [
            backend.set_controls(&camera.id, &wanted).unwrap_err(),
            backend
                .source(&camera.id, &config(&camera, wanted))
                .unwrap_err(),
        ];
        for fault in faults {
            assert_eq!(fault.kind, FaultKind::Unsupported);
            assert!(fault.message.contains(text), "{fault}");
        }
    }
}

/// At the start, while it streams, and at the next start again.
#[test]
fn controls_arrive_at_the_sensor() {
    let Some((backend, _, camera)) = cameras() else {
        return;
    };
    let wanted = config(&camera, controls([("brightness", 500)]));
    let running = Running::start(&backend, &wanted).unwrap();
    running.first_frame();
    wait_for_sensor("brightness: 192");
    backend
        .set_controls(
            &camera.id,
            &controls([("contrast", 1500), ("saturation", 500)]),
        )
        .unwrap();
    wait_for_sensor("contrast: 192");
    wait_for_sensor("saturation: 64");
    let mut subscriber = running.subscribe();
    let frame = next(&mut subscriber);
    assert_eq!((frame.format().width, frame.format().height), SIZE);
    running.pipeline.stop();
    for (control, value) in [("brightness", "0"), ("contrast", "0")] {
        let set = Command::new("v4l2-ctl")
            .arg("--device")
            .arg(sensor())
            .args(["--set-ctrl", &format!("{control}={value}")])
            .status()
            .unwrap();
        assert!(set.success());
    }
    running.pipeline.start();
    wait_for_sensor("brightness: 192");
    wait_for_sensor("contrast: 192");
    running.pipeline.stop();
    // A camera that does not run takes what it is asked for at its next start.
    backend
        .set_controls(&camera.id, &controls([("brightness", 0)]))
        .unwrap();
}
