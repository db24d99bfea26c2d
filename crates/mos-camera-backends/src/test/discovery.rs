//! What generated cameras there are.

use mos_camera_core::{
    Capability, Device, DeviceId, Fault, FaultKind, Framerate, Health, Range, Rates, Sizes,
    TestSource, Transport,
};

/// Smallest width and height, in pixels.
///
/// Pictures narrower than the frame counter have no room for it; the source says so when it is built.
const MIN_SIDE: u32 = 64;
/// Largest width and height, in pixels.
const MAX_SIDE: u32 = 4096;
/// Most frames per second.
const MAX_RATE: u32 = 240;

/// The cameras, sorted by id.
pub(super) fn devices(cameras: &[(DeviceId, TestSource)]) -> Vec<Device> {
    let mut devices: Vec<Device> = cameras
        .iter()
        .map(|(id, camera)| device(id, camera))
        .collect();
    devices.sort_by(|a, b| a.id.cmp(&b.id));
    devices
}

/// The camera with this id.
pub(super) fn find<'a>(
    cameras: &'a [(DeviceId, TestSource)],
    id: &DeviceId,
) -> Result<&'a TestSource, Fault> {
    let found = cameras.iter().find(|(known, _)| known == id);
    found.map(|(_, camera)| camera).ok_or_else(|| {
        Fault::new(
            FaultKind::NotFound,
            format!("there is no test camera {id}"),
            "list the devices to see their ids; test cameras are named in the configuration",
        )
    })
}

fn device(id: &DeviceId, camera: &TestSource) -> Device {
    Device {
        id: id.clone(),
        transport: Transport::Test,
        model: format!("generated picture ({:?})", camera.pattern).to_lowercase(),
        location: "this process".to_owned(),
        capabilities: capabilities(),
        health: Health::Ready,
    }
}

/// What every generated camera offers.
pub(super) fn capabilities() -> Vec<Capability> {
    let side = Range {
        min: MIN_SIDE,
        max: MAX_SIDE,
        step: 2,
    };
    let rates = Framerate::new(1, 1).zip(Framerate::new(MAX_RATE, 1));
    rates
        .map(|(low, high)| Capability {
            format: "NV12".to_owned(),
            sizes: Sizes::Stepwise {
                width: side,
                height: side,
            },
            rates: Rates::Continuous(low, high),
        })
        .into_iter()
        .collect()
}
