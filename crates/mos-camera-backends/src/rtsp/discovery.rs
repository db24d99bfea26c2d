//! What RTSP cameras there are: those that were named.

use mos_camera_core::{Device, DeviceId, Fault, FaultKind, Health, Transport};

use super::Camera;
use super::choice;
use super::url::Url;

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
                format!("there is no RTSP camera {id}"),
                "list the devices to see their ids; RTSP cameras are named in the configuration",
            )
        })
}

fn device(camera: &Camera) -> Device {
    let (location, health) = match Url::parse(&camera.source.url) {
        Ok(url) => (url.shown(), Health::Unknown),
        Err(fault) => (String::new(), Health::Unusable(fault.to_string())),
    };
    Device {
        id: camera.id.clone(),
        transport: Transport::Rtsp,
        model: model(camera),
        location,
        capabilities: Vec::new(),
        controls: Vec::new(),
        profiles: Vec::new(),
        health,
    }
}

/// After its first session, with what the camera described: `RTSP camera (video H264, audio PCMA)`.
fn model(camera: &Camera) -> String {
    let offered = camera.memory.lock().offered.clone();
    if offered.is_empty() {
        "RTSP camera".to_owned()
    } else {
        format!("RTSP camera ({})", choice::list(&offered))
    }
}
