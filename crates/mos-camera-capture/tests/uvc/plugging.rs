//! A camera comes, goes and comes back.

use std::time::{Duration, SystemTime};

use mos_camera_api::v1::State;
use mos_virtual_uvc::{Camera, CameraConfig, FormatKind};

use crate::rig::{Rig, camera, made_at, node, within};

const SECOND: Duration = Duration::from_secs(1);

pub(crate) async fn a_camera_is_listed_and_told_of_within_a_second_of_its_node(rig: &Rig) {
    let mark = rig.told.mark();
    let camera = Camera::plug(&camera(Some("A1"), FormatKind::Nv12)).unwrap();
    let (told_at, device) = rig.told.added(mark).await;
    // Told, and so listed: the list is what events are made from.
    let listed = rig.cameras().await;
    within(
        "plug to event and list",
        made_at(&node(&camera)),
        told_at,
        SECOND,
    );
    assert_eq!(device.id, "usb:1d6b:0102:A1");
    assert_eq!(
        listed.iter().map(|d| &d.id).collect::<Vec<_>>(),
        [&device.id]
    );
    assert_eq!(device.capabilities[0].format, "NV12");
    assert_eq!(device.capabilities[0].sizes[0].width, 320);
    assert!(device.controls.iter().any(|c| c.name == "brightness"));
    rig.other_is_untouched().await;
}

pub(crate) async fn unplugged_it_is_absent_within_a_second_and_plugged_in_elsewhere_it_streams_again(
    rig: &Rig,
) {
    const STREAM: &str = "replugged";
    let start = rig.told.mark();
    let config = camera(Some("B1"), FormatKind::Nv12);
    let first = Camera::plug(&CameraConfig {
        port: Some(1),
        ..config.clone()
    })
    .unwrap();
    let first_node = node(&first);
    rig.told.added(start).await;
    rig.stream(STREAM, "usb:1d6b:0102:B1").await;

    let mark = rig.told.mark();
    let unplugged_at = SystemTime::now();
    first.unplug().unwrap();
    let absent_at = rig.told.state(mark, STREAM, State::Absent).await;
    within("unplug to ABSENT", unplugged_at, absent_at, SECOND);
    assert!(rig.cameras().await.is_empty());

    // Another camera takes the node's name, then it comes back in another port.
    let mark = rig.told.mark();
    let between = Camera::plug(&CameraConfig {
        port: Some(1),
        ..camera(Some("B2"), FormatKind::Nv12)
    })
    .unwrap();
    rig.told.added(mark).await;
    let mark = rig.told.mark();
    let again = Camera::plug(&CameraConfig {
        port: Some(3),
        ..config
    })
    .unwrap();
    let (_, device) = rig.told.added(mark).await;
    assert_eq!(
        (device.id.as_str(), device.stream.as_str()),
        ("usb:1d6b:0102:B1", STREAM)
    );
    assert_ne!(node(&again), first_node);
    let streams_at = rig.told.state(mark, STREAM, State::Streaming).await;
    within(
        "replug to first frame",
        made_at(&node(&again)),
        streams_at,
        Duration::from_secs(3),
    );
    let status = rig.service.status(STREAM).await;
    assert!(status.wanted, "{status:?}");
    drop(between);
    rig.other_is_untouched().await;
}
