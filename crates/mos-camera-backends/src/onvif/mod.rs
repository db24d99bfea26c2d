//! Network cameras that speak ONVIF: found by WS-Discovery or named by a table, asked for their profiles, and streamed by RTSP.
//!
//! A camera is its endpoint reference, whatever its address is today: a stream goes on at the new address. Its log-in is tried
//! as `login` says. What it answers is read by `soap` and `calls`, which are pure; `wsd` listens; `registry` knows
//! all cameras and has them asked on threads of its own.

mod address;
mod calls;
mod camera;
mod discovery;
mod faults;
#[cfg(test)]
pub(crate) mod fuzzing;
mod interview;
mod login;
#[cfg(test)]
mod mutations;
mod random;
mod registry;
mod soap;
mod source;
mod talk;
mod wsd;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use mos_camera_core::plan::Explanation;
use mos_camera_core::{Device, DeviceId, Fault, RtspSource, StreamConfig, Transport};

use crate::backend::{Backend, Source};
use crate::rtsp::RtspBackend;

pub use registry::Registry;

/// All network cameras: those that have a table with their RTSP URL, and those of ONVIF.
#[derive(Debug)]
pub struct OnvifBackend {
    rtsp: RtspBackend,
    registry: Arc<Registry>,
    /// By device: the RTSP session that its stream has, or had last.
    sessions: Mutex<BTreeMap<DeviceId, (RtspSource, Arc<RtspBackend>)>>,
}

impl OnvifBackend {
    /// Cameras with an RTSP URL, and those of a registry.
    pub fn new(rtsp: RtspBackend, registry: Arc<Registry>) -> Self {
        Self {
            rtsp,
            registry,
            sessions: Mutex::default(),
        }
    }

    fn open(&self, id: &DeviceId, config: &StreamConfig) -> Result<Source, Fault> {
        let stream = source::find(&self.registry, id, config)?;
        let session = self.session_to(id, stream.rtsp);
        let source = session.source(id, config)?;
        source.session.update(|facts| {
            facts.tell("profile", stream.profile);
            facts.tell("ONVIF log-in", stream.login);
        });
        Ok(source)
    }

    /// The session of before if it goes to the same stream: it remembers what worked.
    fn session_to(&self, id: &DeviceId, rtsp: RtspSource) -> Arc<RtspBackend> {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, session)) = sessions.get(id).filter(|(known, _)| *known == rtsp) {
            return Arc::clone(session);
        }
        let session = Arc::new(RtspBackend::found(id.clone(), rtsp.clone()));
        sessions.insert(id.clone(), (rtsp, Arc::clone(&session)));
        session
    }

    fn session(&self, id: &DeviceId) -> Option<Arc<RtspBackend>> {
        let sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.get(id).map(|(_, session)| Arc::clone(session))
    }
}

impl Backend for OnvifBackend {
    fn transport(&self) -> Transport {
        Transport::Rtsp
    }

    /// Never waits for a camera: those that were not asked lately are asked meanwhile, and what they say is told by an event.
    fn discover(&self) -> Result<Vec<Device>, Fault> {
        self.registry.refresh();
        self.discover_again()
    }

    fn discover_again(&self) -> Result<Vec<Device>, Fault> {
        Ok(discovery::merged(
            self.rtsp.discover()?,
            self.registry.devices(),
        ))
    }

    fn explain(&self, device: &DeviceId, config: &StreamConfig) -> Result<Explanation, Fault> {
        if !self.registry.knows(device) {
            return self.rtsp.explain(device, config);
        }
        let (profiles, source) = self.registry.profiles(device)?;
        source::explain(&profiles, &source, config)
    }

    fn source(&self, device: &DeviceId, config: &StreamConfig) -> Result<Source, Fault> {
        if self.registry.knows(device) {
            self.open(device, config)
        } else {
            self.rtsp.source(device, config)
        }
    }

    fn classify(&self, device: &DeviceId, error: &gst::message::Error) -> Fault {
        match self.session(device) {
            Some(session) => session.classify(device, error),
            None => self.rtsp.classify(device, error),
        }
    }

    /// ONVIF could reboot a camera; that is more than was asked for. Refused log-ins are tried again.
    fn reset(&self, device: &DeviceId) -> Result<(), Fault> {
        if self.registry.knows(device) {
            self.registry.forgive(device)
        } else {
            self.rtsp.reset(device)
        }
    }
}
