//! What generated cameras there are.

use gstmos::counter;
use mos_camera_core::{
    Capability, Device, DeviceId, Fault, FaultKind, Framerate, Health, Range, Rates, Sizes,
    TestSource, Transport,
};

/// Smallest width and height, in pixels: what the frame counter takes.
const MIN: (u32, u32) = (counter::WIDTH as u32, counter::HEIGHT as u32);
/// Largest width and height, in pixels.
const MAX: u32 = 4096;
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
        controls: Vec::new(),
        profiles: Vec::new(),
        health: Health::Ready,
    }
}

/// What every generated camera offers.
pub(super) fn capabilities() -> Vec<Capability> {
    let side = |min| Range {
        min,
        max: MAX,
        step: 2,
    };
    let rates = Framerate::new(1, 1).zip(Framerate::new(MAX_RATE, 1));
    rates
        .map(|(low, high)| Capability {
            format: "NV12".to_owned(),
            sizes: Sizes::Stepwise {
                width: side(MIN.0),
                height: side(MIN.1),
            },
            rates: Rates::Continuous(low, high),
        })
        .into_iter()
        .collect()
}
