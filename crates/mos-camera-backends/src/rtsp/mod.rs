//! RTSP cameras (RFC 2326) that the operator named.
//!
//! Of what a camera describes one video track is taken, and decoded by what this machine has for its codec; the others are not even
//! set up. Which codec that is shows in each session, so the source is finished only then.

mod choice;
mod discovery;
mod faults;
#[cfg(test)]
pub(crate) mod fuzzing;
mod memory;
mod source;
mod tail;
mod tls;
mod url;

use mos_camera_core::plan::Explanation;
use mos_camera_core::{Device, DeviceId, Fault, RtspSource, StreamConfig, Transport};

use crate::backend::{Backend, Source};
use memory::Memory;

/// Network cameras by name.
#[derive(Debug)]
pub struct RtspBackend {
    cameras: Vec<Camera>,
}

/// A camera and what its sessions showed.
#[derive(Debug, Clone)]
struct Camera {
    id: DeviceId,
    source: RtspSource,
    memory: Memory,
}

impl RtspBackend {
    /// Cameras `rtsp:<name>`.
    pub fn new(cameras: Vec<(String, RtspSource)>) -> Self {
        let camera = |(name, source): (String, RtspSource)| Camera {
            id: DeviceId::new(Transport::Rtsp, &name),
            memory: Memory::new(&source),
            source,
        };
        Self {
            cameras: cameras.into_iter().map(camera).collect(),
        }
    }
}

impl RtspBackend {
    /// Whether a format, in the terms of a device's capabilities, is taken from a camera's streams.
    pub(crate) fn takes(format: &str) -> bool {
        choice::CODECS
            .iter()
            .any(|codec| codec.media_type() == format)
    }

    /// One camera whose id is not its name: another protocol found it, and its stream's URL.
    pub(crate) fn found(id: DeviceId, source: RtspSource) -> Self {
        let memory = Memory::new(&source);
        Self {
            cameras: vec![Camera { id, source, memory }],
        }
    }
}

impl Backend for RtspBackend {
    fn transport(&self) -> Transport {
        Transport::Rtsp
    }

    fn discover(&self) -> Result<Vec<Device>, Fault> {
        Ok(discovery::devices(&self.cameras))
    }

    fn explain(&self, device: &DeviceId, config: &StreamConfig) -> Result<Explanation, Fault> {
        let camera = discovery::find(&self.cameras, device)?;
        Ok(source::explain(camera, config))
    }

    fn source(&self, device: &DeviceId, config: &StreamConfig) -> Result<Source, Fault> {
        let camera = discovery::find(&self.cameras, device)?;
        source::build(camera, config)
    }

    fn classify(&self, device: &DeviceId, error: &gst::message::Error) -> Fault {
        match discovery::find(&self.cameras, device) {
            Ok(camera) => faults::classify(camera, error),
            Err(fault) => fault,
        }
    }

    /// Nothing to do beside the new session that the next pipeline opens: RTSP has no reset.
    fn reset(&self, device: &DeviceId) -> Result<(), Fault> {
        discovery::find(&self.cameras, device).map(drop)
    }
}
