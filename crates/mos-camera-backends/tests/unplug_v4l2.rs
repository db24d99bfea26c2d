//! A capture node goes away while it streams, and comes back. The kernel's vivid driver plays both: its control
//! `disconnect` takes the node away, and closing it brings it back.

#![cfg(feature = "development")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod conformance;

use std::process::Command;
use std::sync::Arc;

use conformance::Running;
use mos_camera_backends::{Backend, V4l2Backend};
use mos_camera_core::{Device, FaultKind, StreamConfig};

/// The vivid nodes of this host.
fn vivid(backend: &Arc<dyn Backend>) -> Vec<Device> {
    let mut devices = backend.discover().unwrap();
    devices.retain(|device| device.model.starts_with("vivid-"));
    devices
}

fn unplug(device: &Device) {
    let control = ["--device", &device.location, "--set-ctrl", "disconnect=1"];
    assert!(
        Command::new("v4l2-ctl")
            .args(control)
            .status()
            .unwrap()
            .success()
    );
}

#[test]
fn an_unplugged_node_is_absent_and_streams_again_when_it_is_back() {
    mos_camera_backends::init().unwrap();
    let backend: Arc<dyn Backend> = Arc::new(V4l2Backend::new(Vec::new(), Arc::default()));
    let devices = vivid(&backend);
    if devices.is_empty() {
        assert!(
            std::env::var_os("MOS_V4L2_REQUIRED").is_none(),
            "no vivid node, but MOS_V4L2_REQUIRED is set"
        );
        mos_testkit::skip::skip("unplug_v4l2", "no vivid node on this host; runs in the lab")
            .unwrap();
    }
    for device in devices {
        let config = StreamConfig::new(device.id.clone());
        let running = Running::start(&backend, &config).unwrap();
        running.first_frame();
        unplug(&device);
        let fault = running.fault();

        assert_eq!(fault.kind, FaultKind::Absent, "{fault}");
        running.events.drain();
        running.pipeline.stop();
        running.pipeline.start();
        running.first_frame();
    }
}
