//! What network cameras there are.

use mos_camera_core::Device;

/// One listing of two, sorted by id. A table with an RTSP URL counts before what ONVIF says of a camera of the same id.
pub(super) fn merged(rtsp: Vec<Device>, onvif: Vec<Device>) -> Vec<Device> {
    let mut all = rtsp;
    for device in onvif {
        if !all.iter().any(|known| known.id == device.id) {
            all.push(device);
        }
    }
    all.sort_by(|a, b| a.id.cmp(&b.id));
    all
}

#[cfg(test)]
mod tests {
    use mos_camera_core::{DeviceId, Health, OnvifSettings, Transport};

    use super::super::camera::Camera;
    use super::*;

    #[test]
    fn a_device_is_listed_once() {
        let device = |name: &str| {
            let id = DeviceId::new(Transport::Rtsp, name);
            Camera::new(OnvifSettings::default().source(name)).device(&id)
        };
        let named = Device {
            health: Health::Ready,
            ..device("b")
        };
        let all = merged(vec![named.clone()], vec![device("a"), device("b")]);
        assert_eq!(all, [device("a"), named]);
    }
}
