//! ipycam: a camera that nobody here wrote. It wants a log-in even for its clock, and refuses tokens that are five minutes off.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use mos_camera_backends::{Backend, BusSettings, CapturePipeline, PipelineEvent};
use mos_camera_core::{
    DeviceId, FaultKind, Health, OnvifSettings, Secret, StreamConfig, Transport,
};
use mos_testkit::{Events, OnvifCamera, TempBus};

use super::rig::Rig;
use super::wire::{Wire, possible};

const ENDPOINT: &str = "urn:uuid:00000000-0000-4000-8000-0000000000b2";

fn id() -> DeviceId {
    DeviceId::new(Transport::Rtsp, ENDPOINT)
}

/// The interpreter that has it.
fn python(test: &str) -> Option<String> {
    let python = std::env::var("MOS_IPYCAM_PYTHON").ok();
    if python.is_none() {
        let why = "no ipycam: `./x test` installs it and names it in MOS_IPYCAM_PYTHON";
        mos_testkit::skip::skip(test, why).unwrap();
    }
    python
}

fn camera(python: &str, wire: &Wire, n: u32) -> OnvifCamera {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", &wire.namespace, python]);
    let address = wire.v4(n);
    OnvifCamera::start_by(
        command,
        "ipycam_camera.py",
        &[&address, ENDPOINT, "admin", "s3cret"],
    )
    .unwrap()
}

fn settings(wire: &Wire, password: &str) -> OnvifSettings {
    OnvifSettings {
        interfaces: vec![wire.here.clone()],
        user: Some("admin".to_owned()),
        password: Some(Secret::new(password)),
        ..OnvifSettings::default()
    }
}

#[test]
fn it_is_found_logged_in_to_followed_and_streamed() {
    let test = "it_is_found_logged_in_to_followed_and_streamed";
    let Some(python) = python(test).filter(|_| possible(test)) else {
        return;
    };
    let wire = Wire::name();
    assert!(wire.make());
    let peer = camera(&python, &wire, 2);
    // The password is wrong at first.
    let rig = Rig::with(&settings(&wire, "wrong"), Vec::new());
    rig.backend.discover().unwrap();
    rig.wait_for(&id(), |device| {
        matches!(device.health, Health::Unauthorized(_))
    });
    let fault = rig
        .backend
        .source(&id(), &StreamConfig::new(id()))
        .unwrap_err();
    assert_eq!(fault.kind, FaultKind::Unauthorized);
    rig.registry
        .configure(&settings(&wire, "s3cret"), Vec::new());
    let device = rig.wait_for(&id(), |device| device.health == Health::Ready);
    assert_eq!(device.model, "PythonCam VirtualCam-1");
    let profiles: Vec<_> = device.profiles.iter().map(ToString::to_string).collect();
    assert_eq!(
        profiles,
        [
            "Profile_Main (MainStream): video/x-h264 640x360 at 10 fps",
            "Profile_Sub (SubStream): video/x-h264 320x180 at 10 fps"
        ]
    );
    // Another address; it says hello there.
    drop(peer);
    assert!(wire.address("del", 2) && wire.address("add", 3));
    let _peer = camera(&python, &wire, 3);
    rig.wait_for(&id(), |device| device.location.contains(&wire.v4(3)));
    let backend: Arc<dyn Backend> = Arc::new(rig.backend);
    let bus = TempBus::new().unwrap();
    let settings = BusSettings {
        directory: bus.dir().to_owned(),
    };
    let (sender, events) = Events::new();
    let name = "yard".parse().unwrap();
    let pipeline = CapturePipeline::build(
        &backend,
        &name,
        &StreamConfig::new(id()),
        &settings,
        move |event| {
            // A test that ended early no longer listens.
            let _unheard = sender.send(event);
        },
    )
    .unwrap();
    pipeline.start();
    let first = events.wait_for("first frame", Duration::from_mins(1), |event| {
        Some(event.clone())
    });
    let first = first.unwrap();
    assert!(matches!(first, PipelineEvent::FirstFrame), "{first:?}");
}
