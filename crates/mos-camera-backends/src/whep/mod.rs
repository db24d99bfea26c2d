//! WebRTC streams that a server hands out by WHEP (draft-ietf-wish-whep), named by the operator.
//!
//! GStreamer's `webrtcbin` does ICE, DTLS and RTP; the signalling is our own: `signalling` decides without I/O, `session` does
//! what it says. A session that failed is not mended by an ICE restart, which `webrtcbin` of GStreamer 1.22 can't offer: the
//! stream's lifecycle opens a new one.

mod addresses;
mod call;
mod codecs;
mod decoder;
mod discovery;
mod faults;
mod identity;
mod path;
mod peer;
mod session;
mod signalling;
mod source;
mod turn;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mos_camera_core::plan::Explanation;
use mos_camera_core::{Device, DeviceId, Fault, StreamConfig, Transport, WhepSource};

use crate::backend::{Backend, Source};
use codecs::Codec;
use signalling::Memory;
#[cfg(test)]
pub(crate) use signalling::fuzzing;

/// WebRTC streams by name.
#[derive(Debug)]
pub struct WhepBackend {
    cameras: Vec<Camera>,
}

/// A camera, and what is remembered of its server.
#[derive(Debug, Clone)]
struct Camera {
    id: DeviceId,
    source: WhepSource,
    memory: Arc<Mutex<Memory>>,
    /// The codec of its newest session: the next one will have it, too.
    codec: Arc<Mutex<Option<Codec>>>,
}

impl Camera {
    fn memory(&self) -> Memory {
        self.memory
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn codec(&self) -> MutexGuard<'_, Option<Codec>> {
        self.codec.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, memory: Memory) {
        *self.memory.lock().unwrap_or_else(PoisonError::into_inner) = memory;
    }
}

impl WhepBackend {
    /// Cameras `whep:<name>`.
    pub fn new(cameras: Vec<(String, WhepSource)>) -> Self {
        let camera = |(name, source): (String, WhepSource)| Camera {
            id: DeviceId::new(Transport::Whep, &name),
            source,
            memory: Arc::default(),
            codec: Arc::default(),
        };
        Self {
            cameras: cameras.into_iter().map(camera).collect(),
        }
    }
}

impl Backend for WhepBackend {
    fn transport(&self) -> Transport {
        Transport::Whep
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

    /// Forgets what was learnt of the server, so that the next session begins without prejudice.
    fn reset(&self, device: &DeviceId) -> Result<(), Fault> {
        let camera = discovery::find(&self.cameras, device)?;
        camera.remember(Memory::default());
        *camera.codec() = None;
        Ok(())
    }
}
