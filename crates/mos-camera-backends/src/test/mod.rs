//! Generated cameras, for tests and demos; development builds only.

mod discovery;
mod faults;
mod source;

use mos_camera_core::plan::Explanation;
use mos_camera_core::{Device, DeviceId, Fault, StreamConfig, TestSource, Transport};

use crate::backend::{Backend, Source};

/// Cameras that exist because they were named.
#[derive(Debug, Clone)]
pub struct TestBackend {
    cameras: Vec<(DeviceId, TestSource)>,
}

impl TestBackend {
    /// Cameras `test:<name>`.
    pub fn new(cameras: Vec<(String, TestSource)>) -> Self {
        let id = |name: &str| DeviceId::new(Transport::Test, name);
        Self {
            cameras: cameras
                .into_iter()
                .map(|(name, camera)| (id(&name), camera))
                .collect(),
        }
    }
}

impl Backend for TestBackend {
    fn transport(&self) -> Transport {
        Transport::Test
    }

    fn discover(&self) -> Result<Vec<Device>, Fault> {
        Ok(discovery::devices(&self.cameras))
    }

    fn explain(&self, device: &DeviceId, config: &StreamConfig) -> Result<Explanation, Fault> {
        discovery::find(&self.cameras, device)?;
        Ok(source::explain(config))
    }

    fn source(&self, device: &DeviceId, config: &StreamConfig) -> Result<Source, Fault> {
        let camera = discovery::find(&self.cameras, device)?;
        source::build(camera, device, config)
    }

    fn classify(&self, device: &DeviceId, error: &gst::message::Error) -> Fault {
        faults::classify(device, error)
    }

    fn reset(&self, device: &DeviceId) -> Result<(), Fault> {
        discovery::find(&self.cameras, device).map(drop)
    }
}
