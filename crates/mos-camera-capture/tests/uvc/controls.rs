//! Camera controls by `ConfigureStream`.

use mos_camera_api::v1::{ControlKind, Health, State, StreamConfig};
use mos_virtual_uvc::{Camera, CameraConfig, ControlId, Fault, FormatKind};
use tonic::Code;

use crate::harness::{configure, refused};
use crate::rig::{Rig, camera};

fn with(controls: &[(&str, i64)]) -> StreamConfig {
    StreamConfig {
        device: "usb:1d6b:0102:C1".to_owned(),
        controls: controls
            .iter()
            .map(|(name, value)| ((*name).to_owned(), *value))
            .collect(),
        ..StreamConfig::default()
    }
}

pub(crate) async fn controls_are_set_changed_while_streaming_and_refused_with_their_range(
    rig: &Rig,
) {
    const STREAM: &str = "controls";
    let start = rig.told.mark();
    let camera = Camera::plug(&camera(Some("C1"), FormatKind::Nv12)).unwrap();
    let (_, device) = rig.told.added(start).await;
    for name in [
        "brightness",
        "contrast",
        "gain",
        "sharpness",
        "white_balance_temperature",
        "auto_white_balance",
        "exposure_auto",
        "exposure_absolute",
        "focus_absolute",
        "focus_auto",
        "zoom_absolute",
        "power_line_frequency",
    ] {
        let control = device.controls.iter().find(|c| c.name == name);
        let control = control.unwrap_or_else(|| panic!("no {name} in {:#?}", device.controls));
        assert!(
            control
                .default
                .is_some_and(|default| (control.min..=control.max).contains(&default)),
            "{control:?}"
        );
    }
    let brightness = device
        .controls
        .iter()
        .find(|c| c.name == "brightness")
        .unwrap();
    let mode = device
        .controls
        .iter()
        .find(|c| c.name == "exposure_auto")
        .unwrap();
    assert_eq!(mode.kind(), ControlKind::Menu);
    assert!(!mode.items.is_empty() && mode.items.iter().all(|item| !item.name.is_empty()));

    // Manual exposure: in one configuration, whatever the order of the names.
    let manual = with(&[
        ("brightness", brightness.max),
        ("exposure_absolute", 100),
        ("exposure_auto", 1),
    ]);
    rig.configure_and_start(STREAM, manual).await;
    rig.service.wait_state(STREAM, State::Streaming).await;
    assert_eq!(
        camera.control(ControlId::Brightness).map(i64::from),
        Some(brightness.max)
    );
    assert_eq!(camera.control(ControlId::Exposure), Some(100));

    // Another value, on the running camera.
    let mut control = rig.service.control().await;
    let request = configure(STREAM, with(&[("brightness", brightness.min)]));
    control.configure_stream(request).await.unwrap();
    assert_eq!(
        camera.control(ControlId::Brightness).map(i64::from),
        Some(brightness.min)
    );
    let status = rig.service.status(STREAM).await;
    assert_eq!(
        (status.state(), status.restarts),
        (State::Streaming, 0),
        "{status:?}"
    );

    // Refused: too far, unknown, and by the camera itself.
    let too_far = configure(STREAM, with(&[("brightness", brightness.max + 1)]));
    let (_, detail) = refused(
        control.configure_stream(too_far).await,
        Code::InvalidArgument,
        "CONTROL_OUT_OF_RANGE",
    );
    assert_eq!(detail.field, "config.controls");
    let range = detail.control.unwrap();
    assert_eq!((range.min, range.max), (brightness.min, brightness.max));
    let unknown = configure(STREAM, with(&[("warp", 9)]));
    refused(
        control.configure_stream(unknown).await,
        Code::InvalidArgument,
        "UNKNOWN_CONTROL",
    );
    let inactive = configure(
        STREAM,
        with(&[("exposure_auto", 3), ("exposure_absolute", 50)]),
    );
    let (status, _) = refused(
        control.configure_stream(inactive).await,
        Code::InvalidArgument,
        "CONTROL_REFUSED",
    );
    assert!(status.message().contains("exposure_absolute"), "{status:?}");
    let status = rig.service.status(STREAM).await;
    assert_eq!(
        status.config.unwrap().controls,
        with(&[("brightness", brightness.min)]).controls
    );
    assert_eq!(
        camera.control(ControlId::Brightness).map(i64::from),
        Some(brightness.min)
    );
}

pub(crate) async fn controls_are_set_again_when_the_camera_comes_back(rig: &Rig) {
    const STREAM: &str = "controls";
    let start = rig.told.mark();
    let config = camera(Some("C1"), FormatKind::Nv12);
    let first = Camera::plug(&config).unwrap();
    rig.told.added(start).await;
    rig.configure_and_start(STREAM, with(&[("gain", 7)])).await;
    rig.service.wait_state(STREAM, State::Streaming).await;
    let mark = rig.told.mark();
    first.unplug().unwrap();
    rig.told.state(mark, STREAM, State::Absent).await;
    let mark = rig.told.mark();
    let again = Camera::plug(&config).unwrap();
    rig.told.state(mark, STREAM, State::Streaming).await;
    assert_eq!(again.control(ControlId::Gain), Some(7));
}

pub(crate) async fn a_camera_that_does_not_answer_for_a_control_streams_all_the_same(rig: &Rig) {
    const STREAM: &str = "silent-control";
    let start = rig.told.mark();
    let _camera = Camera::plug(&CameraConfig {
        faults: vec![Fault::ControlStall(ControlId::Gain)],
        ..camera(Some("C2"), FormatKind::Nv12)
    })
    .unwrap();
    let (_, device) = rig.told.added(start).await;
    assert_eq!(device.health(), Health::Ready, "{device:?}");
    assert!(device.controls.iter().all(|control| control.name != "gain"));
    assert!(
        device
            .controls
            .iter()
            .any(|control| control.name == "brightness")
    );
    rig.stream(STREAM, &device.id).await;
}
