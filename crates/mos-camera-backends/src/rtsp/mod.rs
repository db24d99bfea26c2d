//! RTSP cameras (RFC 2326) that the operator named.
//!
//! Of a camera's streams the first H.264 video is taken; the others are not even set up.

mod discovery;
mod faults;
mod source;
mod url;

use std::sync::{Arc, Mutex, PoisonError};

use mos_camera_core::plan::Explanation;
use mos_camera_core::{Device, DeviceId, Fault, RtspSource, StreamConfig, Transport};

use crate::backend::{Backend, Source};

/// Network cameras by name.
#[derive(Debug)]
pub struct RtspBackend {
    cameras: Vec<Camera>,
}

/// A camera and what it said it has.
#[derive(Debug)]
struct Camera {
    id: DeviceId,
    source: RtspSource,
    offer: Offer,
}

/// The streams that a camera described in its newest session, such as `video H264`.
#[derive(Debug, Clone, Default)]
struct Offer(Arc<Mutex<Vec<String>>>);

impl Offer {
    fn begin(&self) {
        self.streams().clear();
    }

    fn add(&self, stream: String) {
        self.streams().push(stream);
    }

    fn list(&self) -> Vec<String> {
        self.streams().clone()
    }

    fn streams(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RtspBackend {
    /// Cameras `rtsp:<name>`.
    pub fn new(cameras: Vec<(String, RtspSource)>) -> Self {
        let camera = |(name, source): (String, RtspSource)| Camera {
            id: DeviceId::new(Transport::Rtsp, &name),
            source,
            offer: Offer::default(),
        };
        Self {
            cameras: cameras.into_iter().map(camera).collect(),
        }
    }
}

impl RtspBackend {
    /// Whether a format, in the terms of a device's capabilities, is taken from a camera's streams.
    pub(crate) fn takes(format: &str) -> bool {
        format == source::H264
    }

    /// One camera whose id is not its name: another protocol found it, and its stream's URL.
    pub(crate) fn found(id: DeviceId, source: RtspSource) -> Self {
        let offer = Offer::default();
        Self {
            cameras: vec![Camera { id, source, offer }],
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
        discovery::find(&self.cameras, device)?;
        Ok(source::explain(config))
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
