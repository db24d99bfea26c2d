//! Which camera is which.

use mos_camera_api::v1::State;
use mos_virtual_uvc::{Camera, CameraConfig, FormatKind};

use crate::rig::{Rig, camera};

fn plug(serial: Option<&str>, port: u8) -> Camera {
    Camera::plug(&CameraConfig {
        port: Some(port),
        ..camera(serial, FormatKind::Nv12)
    })
    .unwrap()
}

async fn ids(rig: &Rig) -> Vec<String> {
    rig.cameras().await.into_iter().map(|d| d.id).collect()
}

pub(crate) async fn identical_cameras_without_serial_numbers_are_told_apart_by_their_ports(
    rig: &Rig,
) {
    let start = rig.told.mark();
    let first = plug(None, 0);
    let (_, one) = rig.told.added(start).await;
    let mark = rig.told.mark();
    let second = plug(None, 1);
    let (_, two) = rig.told.added(mark).await;
    assert_ne!(one.id, two.id);
    for (device, camera) in [(&one, &first), (&two, &second)] {
        let port = camera.sysfs().unwrap();
        let port = port.file_name().unwrap().to_str().unwrap();
        assert_eq!(device.id, format!("usb:1d6b:0102:{port}"));
    }
    rig.stream("left", &one.id).await;
    rig.stream("right", &two.id).await;

    // Out and in, the other way round: each is who it was.
    let mark = rig.told.mark();
    drop(first);
    drop(second);
    rig.told.state(mark, "left", State::Absent).await;
    rig.told.state(mark, "right", State::Absent).await;
    let mark = rig.told.mark();
    let second = plug(None, 1);
    rig.told.state(mark, "right", State::Streaming).await;
    assert_eq!(rig.service.status("left").await.state(), State::Absent);
    let first = plug(None, 0);
    rig.told.state(mark, "left", State::Streaming).await;
    drop((first, second));
}

pub(crate) async fn a_second_camera_with_the_same_serial_number_leaves_the_first_alone(rig: &Rig) {
    const STREAM: &str = "same-serial";
    let start = rig.told.mark();
    let first = plug(Some("SAME"), 0);
    rig.told.added(start).await;
    rig.stream(STREAM, "usb:1d6b:0102:SAME").await;
    let mark = rig.told.mark();
    let second = plug(Some("SAME"), 1);
    let (_, device) = rig.told.added(mark).await;
    assert!(
        device.id.starts_with("usb:1d6b:0102:SAME@"),
        "{}",
        device.id
    );
    assert_eq!(ids(rig).await, ["usb:1d6b:0102:SAME".to_owned(), device.id]);
    let status = rig.service.status(STREAM).await;
    assert_eq!(
        (status.state(), status.restarts),
        (State::Streaming, 0),
        "{status:?}"
    );
    drop((first, second));
}
