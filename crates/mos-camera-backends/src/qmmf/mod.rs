//! Cameras of Qualcomm's camera service (QMMF): sensors on the chip's own CSI receivers, and GMSL2 links behind deserializers.
//!
//! The service owns the cameras, and the element [`CsiBackend::Qmmf`] names is its client. It knows cameras by number; which
//! connector has which is read from the device tree, or said by the configuration ([`mos_camera_core::seat`]).
//! The service may die and come back. An element connects when it is made, so every attempt has a new one.
//!
//! [`CsiBackend::Qmmf`]: mos_camera_core::platform::CsiBackend::Qmmf

mod discovery;
mod events;
mod faults;
mod registry;
pub mod service;
mod source;
mod tree;
mod unserved;

use std::sync::Arc;

use mos_camera_core::plan::Explanation;
use mos_camera_core::{Device, DeviceId, Fault, QmmfSource, StreamConfig, Transport};

pub use registry::Registry;
pub use unserved::Unserved;

use crate::backend::{Backend, Source};

/// Cameras `csi:...` or `gmsl:...`, by where they are wired to.
#[derive(Debug, Clone)]
pub struct QmmfBackend {
    transport: Transport,
    registry: Arc<Registry>,
}

impl QmmfBackend {
    /// Sensors on the chip's own receivers.
    pub fn csi(registry: Arc<Registry>) -> Self {
        Self {
            transport: Transport::MipiCsi,
            registry,
        }
    }

    /// Cameras behind GMSL2 deserializers.
    pub fn gmsl(registry: Arc<Registry>) -> Self {
        Self {
            transport: Transport::Gmsl2,
            registry,
        }
    }
}

impl Backend for QmmfBackend {
    fn transport(&self) -> Transport {
        self.transport
    }

    fn discover(&self) -> Result<Vec<Device>, Fault> {
        self.registry.element()?;
        self.registry.check_service()?;
        let found = self.registry.look();
        let capabilities = self.registry.offer()?.capabilities();
        let own = found.iter().filter(|w| w.id.transport() == self.transport);
        Ok(own
            .map(|wired| discovery::device(wired, &capabilities))
            .collect())
    }

    fn explain(&self, device: &DeviceId, config: &StreamConfig) -> Result<Explanation, Fault> {
        self.registry.find(device)?;
        Ok(source::explain(&self.registry.offer()?, config))
    }

    fn source(&self, device: &DeviceId, config: &StreamConfig) -> Result<Source, Fault> {
        let wired = self.registry.find(device)?;
        self.registry.element()?;
        self.registry.check_service()?;
        source::build(&self.registry, &wired, config)
    }

    fn classify(&self, device: &DeviceId, error: &gst::message::Error) -> Fault {
        faults::classify(&self.registry, device, error)
    }

    fn notice(&self, device: &DeviceId, message: &gst::message::Element) -> Option<Fault> {
        events::fault(device, message)
    }

    /// The pipeline let go of the camera, and the next one opens it by a new client: what is left to do is to see whether the service
    /// listens.
    fn reset(&self, device: &DeviceId) -> Result<(), Fault> {
        self.registry.look();
        self.registry.find(device)?;
        self.registry.check_service()
    }
}

/// The configured cameras, by id.
pub(crate) type Configured = Vec<(DeviceId, QmmfSource)>;
