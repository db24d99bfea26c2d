//! What is known of one camera, and what a listing shows of it.

use std::time::Instant;

use mos_camera_core::{
    Capability, Device, DeviceId, Health, OnvifPlace, OnvifSource, Profile, Rates, Sizes, Transport,
};

use super::address;
use super::faults;
use super::interview::Said;
use super::talk::{Memory, TalkError};
use crate::http::{Url, shown};

/// A camera.
#[derive(Debug)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "facts that are independent of each other"
)]
pub(super) struct Camera {
    /// How it is reached and logged in to.
    pub(super) source: OnvifSource,
    /// A table names it.
    pub(super) named: bool,
    /// Discovery has heard it.
    pub(super) heard: bool,
    /// Its device service today; none before discovery has found it.
    pub(super) place: Option<Url>,
    /// What it called itself when it was discovered.
    name: String,
    model: String,
    profiles: Vec<Profile>,
    health: Health,
    /// What worked with it.
    pub(super) memory: Memory,
    /// When it was asked last, and answered or not.
    pub(super) asked: Option<Instant>,
    /// It is being asked.
    pub(super) asking: bool,
    /// What is being asked now is out of date already.
    pub(super) again: bool,
}

impl Camera {
    /// Nothing is known yet but where to find it.
    pub(super) fn new(source: OnvifSource) -> Self {
        let (place, health) = match &source.place {
            OnvifPlace::Url(url) => match address::default_url(url) {
                Some(url) => (Some(url), Health::Unknown),
                None => (
                    None,
                    Health::Unusable("its address is no HTTP URL".to_owned()),
                ),
            },
            OnvifPlace::Endpoint(_) => (None, unseen()),
        };
        Self {
            source,
            named: false,
            heard: false,
            place,
            name: String::new(),
            model: String::new(),
            profiles: Vec::new(),
            health,
            memory: Memory::default(),
            asked: None,
            asking: false,
            again: false,
        }
    }

    /// Takes another log-in or another way to it; what was refused before may be taken now.
    pub(super) fn configure(&mut self, source: OnvifSource) -> bool {
        if self.source == source {
            return false;
        }
        let fresh = Self::new(source);
        self.memory = Memory::default();
        // Where discovery found it, it still is.
        let moved = matches!(fresh.source.place, OnvifPlace::Url(_));
        if moved && self.place != fresh.place {
            self.place = fresh.place;
            self.health = fresh.health;
        }
        self.source = fresh.source;
        true
    }

    /// Discovery has heard it: true if it is at another place than before.
    pub(super) fn found(&mut self, place: Url, name: &str) -> bool {
        self.heard = true;
        if !name.is_empty() {
            name.clone_into(&mut self.name);
        }
        if self.place.as_ref() == Some(&place) {
            return false;
        }
        self.place = Some(place);
        if self.health == unseen() {
            self.health = Health::Unknown;
        }
        true
    }

    /// Takes in what it said, or did not.
    pub(super) fn learn(&mut self, memory: Memory, said: &Result<Said, TalkError>) {
        self.memory = memory;
        match said {
            Ok(said) => {
                if !said.model.is_empty() {
                    self.model.clone_from(&said.model);
                }
                self.keep(said.profiles());
                self.health = Health::Ready;
            }
            Err(error) => self.health = faults::health(error),
        }
    }

    /// What an encoder can be set to is asked for seldom, and does not change.
    fn keep(&mut self, mut profiles: Vec<Profile>) {
        for profile in &mut profiles {
            let known = self
                .profiles
                .iter()
                .find(|known| known.token == profile.token);
            if let Some(known) = known.filter(|_| profile.settable.is_empty()) {
                profile.settable.clone_from(&known.settable);
            }
        }
        self.profiles = profiles;
    }

    /// Whether asking it again may tell anything new: not while it works, and not after it refused every log-in.
    pub(super) const fn wants_asking(&self) -> bool {
        !matches!(self.health, Health::Ready | Health::Unauthorized(_))
    }

    /// Whether nobody would miss it: discovery told of it, but it never answered.
    pub(super) const fn is_hearsay(&self) -> bool {
        !self.named && matches!(self.health, Health::Unknown | Health::Unreachable(_))
    }

    /// Its profiles.
    pub(super) fn profiles(&self) -> &[Profile] {
        &self.profiles
    }

    /// Where it is, as it may be shown.
    pub(super) fn location(&self) -> String {
        self.place.as_ref().map(shown).unwrap_or_default()
    }

    /// As a listing shows it.
    pub(super) fn device(&self, id: &DeviceId) -> Device {
        let model = [&self.model, &self.name]
            .into_iter()
            .find(|name| !name.is_empty());
        Device {
            id: id.clone(),
            transport: Transport::Rtsp,
            model: model.map_or("ONVIF camera", String::as_str).to_owned(),
            location: self.location(),
            capabilities: capabilities(&self.profiles),
            controls: Vec::new(),
            profiles: self.profiles.clone(),
            health: self.health.clone(),
        }
    }
}

fn unseen() -> Health {
    Health::Unreachable(
        "discovery has not found it yet (check that it is on and in one of this machine's networks, and that discovery is switched on here and there)".to_owned(),
    )
}

/// One a profile of known size, in the camera's order, each once.
fn capabilities(profiles: &[Profile]) -> Vec<Capability> {
    let mut found: Vec<Capability> = Vec::new();
    for profile in profiles {
        let Some(size) = profile.size else {
            continue;
        };
        let capability = Capability {
            format: profile.format.clone(),
            sizes: Sizes::Discrete(vec![size]),
            rates: Rates::Discrete(profile.rate.into_iter().collect()),
        };
        if !found.contains(&capability) {
            found.push(capability);
        }
    }
    found
}
