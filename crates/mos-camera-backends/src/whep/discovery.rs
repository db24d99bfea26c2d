//! What WHEP cameras there are: those that were named.

use mos_camera_core::{Device, DeviceId, Fault, FaultKind, Health, Transport};

use super::Camera;
use crate::http::{parse_url, shown};

/// The cameras, sorted by id. Whether they answer shows only when a session is opened.
pub(super) fn devices(cameras: &[Camera]) -> Vec<Device> {
    let mut devices: Vec<Device> = cameras.iter().map(device).collect();
    devices.sort_by(|a, b| a.id.cmp(&b.id));
    devices
}

/// The camera with this id.
pub(super) fn find<'a>(cameras: &'a [Camera], id: &DeviceId) -> Result<&'a Camera, Fault> {
    cameras
        .iter()
        .find(|camera| camera.id == *id)
        .ok_or_else(|| {
            Fault::new(
                FaultKind::NotFound,
                format!("there is no WHEP camera {id}"),
                "list the devices to see their ids; WHEP cameras are named in the configuration, or added by `mosctl add`",
            )
        })
}

fn device(camera: &Camera) -> Device {
    let (location, health) = match parse_url(&camera.source.url) {
        Ok(url) => (shown(&url), Health::Unknown),
        Err(error) => (
            String::new(),
            Health::Unusable(error.fault(&camera.id, "its URL").to_string()),
        ),
    };
    Device {
        id: camera.id.clone(),
        transport: Transport::Whep,
        model: "WebRTC stream".to_owned(),
        location,
        capabilities: Vec::new(),
        controls: Vec::new(),
        profiles: Vec::new(),
        health,
    }
}
