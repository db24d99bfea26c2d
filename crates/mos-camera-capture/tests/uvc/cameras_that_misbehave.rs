//! Cameras that stall, send rubbish, vanish or come back as others.

use mos_camera_api::v1::{FaultKind, State, StreamConfig};
use mos_virtual_uvc::{Camera, CameraConfig, Fault, FormatKind, FormatSpec};

use crate::rig::{Rig, camera};

fn device(serial: &str) -> StreamConfig {
    StreamConfig {
        device: format!("usb:1d6b:0102:{serial}"),
        ..StreamConfig::default()
    }
}

pub(crate) async fn a_camera_that_stalls_without_an_error_is_noticed_and_taken_up_again(rig: &Rig) {
    const STREAM: &str = "stalls";
    let start = rig.told.mark();
    let camera = Camera::plug(&camera(Some("D1"), FormatKind::Nv12)).unwrap();
    rig.told.added(start).await;
    let config = StreamConfig {
        steady_timeout: Some(prost_types::Duration {
            seconds: 2,
            nanos: 0,
        }),
        ..device("D1")
    };
    rig.configure_and_start(STREAM, config).await;
    rig.service.wait_state(STREAM, State::Streaming).await;
    let mark = rig.told.mark();
    camera.set_fault(Fault::Stall).unwrap();
    rig.told.state(mark, STREAM, State::Stalled).await;
    let fault = rig.service.status(STREAM).await.fault.unwrap();
    assert_eq!(fault.kind(), FaultKind::Stalled, "{fault:?}");
    let mark = rig.told.mark();
    camera.clear_faults().unwrap();
    rig.told.state(mark, STREAM, State::Streaming).await;
    rig.other_is_untouched().await;
}

pub(crate) async fn broken_jpegs_are_dropped_and_counted_and_do_not_end_the_stream(rig: &Rig) {
    const STREAM: &str = "broken-jpegs";
    let start = rig.told.mark();
    let camera = Camera::plug(&camera(Some("E1"), FormatKind::Mjpeg)).unwrap();
    rig.told.added(start).await;
    rig.stream(STREAM, "usb:1d6b:0102:E1").await;
    for fault in [Fault::ShortFrames, Fault::NoEoi, Fault::WrongSize] {
        let before = rig.service.status(STREAM).await.frames.unwrap();
        camera.set_fault(fault).unwrap();
        let during = rig
            .service
            .wait_for(STREAM, "dropped pictures", |status| {
                status.frames.as_ref().unwrap().corrupt >= before.corrupt + 3
            })
            .await;
        assert_eq!(
            (during.state(), during.restarts),
            (State::Streaming, 0),
            "{fault:?}: {during:?}"
        );
        camera.clear_faults().unwrap();
        let dropped = during.frames.unwrap();
        rig.service
            .wait_for(STREAM, "good pictures again", |status| {
                status.frames.as_ref().unwrap().published >= dropped.published + 3
            })
            .await;
    }
    rig.other_is_untouched().await;
}

pub(crate) async fn rubbish_inside_a_jpeg_does_not_end_the_stream(rig: &Rig) {
    const STREAM: &str = "rubbish";
    let start = rig.told.mark();
    let camera = Camera::plug(&camera(Some("E2"), FormatKind::Mjpeg)).unwrap();
    rig.told.added(start).await;
    rig.stream(STREAM, "usb:1d6b:0102:E2").await;
    camera.set_fault(Fault::CorruptJpeg).unwrap();
    camera.wait_frames(10, crate::harness::PATIENCE).unwrap();
    camera.clear_faults().unwrap();
    let published = rig.service.status(STREAM).await.frames.unwrap().published;
    let status = rig
        .service
        .wait_for(STREAM, "good pictures again", |status| {
            status.frames.as_ref().unwrap().published >= published + 3
        })
        .await;
    assert_eq!(
        (status.state(), status.restarts),
        (State::Streaming, 0),
        "{status:?}"
    );
}

pub(crate) async fn a_camera_that_comes_back_with_other_formats_fails_with_what_it_offers_until_it_is_itself_again(
    rig: &Rig,
) {
    const STREAM: &str = "another";
    let start = rig.told.mark();
    let config = camera(Some("F1"), FormatKind::Nv12);
    let first = Camera::plug(&config).unwrap();
    rig.told.added(start).await;
    let wanted = StreamConfig {
        size: Some(mos_camera_api::v1::Size {
            width: 320,
            height: 240,
        }),
        ..device("F1")
    };
    rig.configure_and_start(STREAM, wanted).await;
    rig.service.wait_state(STREAM, State::Streaming).await;
    let mark = rig.told.mark();
    first.unplug().unwrap();
    rig.told.state(mark, STREAM, State::Absent).await;
    let mark = rig.told.mark();
    let changed = Camera::plug(&CameraConfig {
        formats: vec![FormatSpec::new(FormatKind::Yuyv, &[(160, 120)], &[15])],
        ..config.clone()
    })
    .unwrap();
    rig.told.state(mark, STREAM, State::Failed).await;
    let fault = rig.service.status(STREAM).await.fault.unwrap();
    assert_eq!(fault.kind(), FaultKind::Unsupported, "{fault:?}");
    assert!(fault.message.contains("160x120"), "{fault:?}");
    let mark = rig.told.mark();
    changed.unplug().unwrap();
    rig.told.state(mark, STREAM, State::Absent).await;
    let _itself = Camera::plug(&config).unwrap();
    rig.told.state(mark, STREAM, State::Streaming).await;
    rig.other_is_untouched().await;
}

pub(crate) async fn cameras_that_vanish_while_they_are_enumerated_leave_nothing_behind(rig: &Rig) {
    for after_requests in [3, 20, 40, 70] {
        let vanishing = CameraConfig {
            faults: vec![Fault::VanishDuringEnumeration { after_requests }],
            ..camera(Some("G1"), FormatKind::Nv12)
        };
        // Whether it is seen at all is chance; gone it is in any case.
        if let Ok(camera) = Camera::plug(&vanishing) {
            let observer = camera.observer();
            observer
                .wait("end of the camera", crate::harness::PATIENCE, |stats| {
                    !stats.attached
                })
                .unwrap();
        }
    }
    let mark = rig.told.mark();
    let _good = Camera::plug(&camera(Some("G2"), FormatKind::Nv12)).unwrap();
    let found = |kind: &mos_camera_api::v1::event::Kind| match kind {
        mos_camera_api::v1::event::Kind::DeviceAdded(device) => {
            device.id.ends_with(":G2").then_some(())
        }
        _ => None,
    };
    rig.told.after(mark, "good camera", found).await;
    rig.service
        .wait_for("other", "streaming", |status| {
            status.state() == State::Streaming
        })
        .await;
    let ids: Vec<_> = rig.cameras().await.into_iter().map(|d| d.id).collect();
    assert_eq!(ids, ["usb:1d6b:0102:G2"]);
    rig.other_is_untouched().await;
}
