//! A backend that knows one camera by address, without discovery.

use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mos_camera_backends::{Backend as _, OnvifBackend, RtspBackend, onvif::Registry};
use mos_camera_core::{
    Device, DeviceId, Health, OnvifPlace, OnvifSettings, OnvifSource, RtspSource, Secret,
    StreamConfig, Transport, Trust,
};
use mos_testkit::OnvifCamera;
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(20);

pub(crate) struct Rig {
    pub(crate) backend: OnvifBackend,
    pub(crate) registry: Arc<Registry>,
    changed: Mutex<Receiver<()>>,
}

/// The device of the camera `yard`.
pub(crate) fn yard() -> DeviceId {
    DeviceId::new(Transport::Rtsp, "yard")
}

/// How the camera at an address is reached, with the right password.
pub(crate) fn source(address: &str) -> OnvifSource {
    OnvifSource {
        place: OnvifPlace::Url(address.to_owned()),
        profile: None,
        set_encoder: false,
        plain_password: false,
        rtsp: RtspSource {
            user: Some("admin".to_owned()),
            password: Some(Secret::new("s3cret")),
            trust: Trust::System,
            timeout: Duration::from_secs(5),
            ..RtspSource::new("")
        },
    }
}

impl Rig {
    /// Without discovery, the camera `yard`.
    pub(crate) fn new(source: OnvifSource) -> Self {
        let settings = OnvifSettings {
            discovery: false,
            ..OnvifSettings::default()
        };
        Self::with(&settings, vec![("yard".to_owned(), source)])
    }

    pub(crate) fn with(settings: &OnvifSettings, named: Vec<(String, OnvifSource)>) -> Self {
        mos_camera_backends::init().unwrap();
        let (sender, changed) = channel();
        let sender = Mutex::new(sender);
        let tell = move || sender.lock().unwrap().send(()).unwrap_or_default();
        let registry = Arc::new(Registry::new(tell));
        let rig = Self {
            backend: OnvifBackend::new(RtspBackend::new(Vec::new()), Arc::clone(&registry)),
            registry,
            changed: Mutex::new(changed),
        };
        rig.registry.configure(settings, named);
        rig
    }

    pub(crate) fn configure(&self, source: OnvifSource) {
        let settings = OnvifSettings {
            discovery: false,
            ..OnvifSettings::default()
        };
        self.registry
            .configure(&settings, vec![("yard".to_owned(), source)]);
    }

    pub(crate) fn device(&self) -> Device {
        let devices = self.backend.discover_again().unwrap();
        devices.into_iter().find(|d| d.id == yard()).unwrap()
    }

    fn find(&self, id: &DeviceId) -> Option<Device> {
        let devices = self.backend.discover_again().unwrap();
        devices.into_iter().find(|device| device.id == *id)
    }

    pub(crate) fn lists(&self, id: &DeviceId) -> bool {
        self.find(id).is_some()
    }

    /// The device once it is as wanted.
    pub(crate) fn wait(&self, wanted: impl Fn(&Device) -> bool) -> Device {
        self.wait_for(&yard(), wanted)
    }

    /// The device once it is there and as wanted; each look follows an event.
    pub(crate) fn wait_for(&self, id: &DeviceId, wanted: impl Fn(&Device) -> bool) -> Device {
        self.look_until(|| {
            let found = self.find(id);
            let seen = format!("{found:?}");
            found.filter(|device| wanted(device)).ok_or(seen)
        })
    }

    /// Asks for the devices until one is not among them any more.
    pub(crate) fn wait_until_gone(&self, id: &DeviceId) {
        self.look_until(|| {
            // A camera that is silent is asked when somebody wants to know.
            let asked = self.backend.source(id, &StreamConfig::new(id.clone()));
            match self.find(id) {
                None => Ok(()),
                found => Err(format!("{asked:?}, {found:?}")),
            }
        });
    }

    fn look_until<T>(&self, look: impl Fn() -> Result<T, String>) -> T {
        let until = Instant::now() + LIMIT;
        loop {
            let seen = match look() {
                Ok(found) => return found,
                Err(seen) => seen,
            };
            let left = until.saturating_duration_since(Instant::now());
            let changed = self.changed.lock().unwrap().recv_timeout(left);
            assert!(changed.is_ok(), "it stays {seen}");
        }
    }

    /// The device once it was asked.
    pub(crate) fn asked(&self) -> Device {
        self.wait(|device| device.health != Health::Unknown)
    }
}

/// The log-ins that a camera has seen for a call, in order.
pub(crate) fn logins(told: &[Value], call: &str) -> Vec<String> {
    let of_call = told.iter().filter(|value| value["call"] == call);
    of_call
        .map(|value| value["login"].as_str().unwrap().to_owned())
        .collect()
}

pub(crate) fn camera(options: &[&str]) -> OnvifCamera {
    OnvifCamera::start(options).unwrap()
}
