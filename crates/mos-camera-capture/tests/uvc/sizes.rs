//! Every size that a camera is listed with can be had.

use mos_camera_api::v1::ExplainDeviceRequest;
use mos_virtual_uvc::{Camera, CameraConfig, FormatKind, FormatSpec};

use crate::rig::{Rig, camera};

pub(crate) async fn what_is_listed_can_be_planned(rig: &Rig) {
    let start = rig.told.mark();
    let sizes = [(1280, 720), (640, 480), (640, 360), (320, 240), (160, 120)];
    let formats = [FormatKind::Mjpeg, FormatKind::Nv12, FormatKind::Yuyv];
    let _camera = Camera::plug(&CameraConfig {
        formats: formats
            .map(|kind| FormatSpec::new(kind, &sizes, &[30, 15, 5]))
            .to_vec(),
        ..camera(Some("S1"), FormatKind::Nv12)
    })
    .unwrap();
    let (_, device) = rig.told.added(start).await;
    let offered: Vec<_> = device
        .capabilities
        .iter()
        .map(|c| c.format.as_str())
        .collect();
    assert_eq!(offered, ["image/jpeg", "NV12", "YUY2"]);
    let mut inspect = mos_camera_api::client::connect_inspect(&rig.service.home.control_socket())
        .await
        .unwrap();
    for capability in &device.capabilities {
        assert_eq!(
            (capability.sizes.len(), capability.framerates.len()),
            (5, 3)
        );
    }
    for size in &device.capabilities[0].sizes {
        let request = ExplainDeviceRequest {
            device: device.id.clone(),
            size: Some(*size),
            ..ExplainDeviceRequest::default()
        };
        let explained = inspect.explain_device(request).await.unwrap().into_inner();
        let plan = explained
            .plan
            .unwrap_or_else(|| panic!("{size:?}: no plan"));
        assert_eq!(plan.capture.unwrap().format, "NV12", "{size:?}");
    }
}
