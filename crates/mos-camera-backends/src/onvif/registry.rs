//! All ONVIF cameras: those that tables name, and those that discovery hears. It outlives configurations.
//!
//! Cameras are asked on threads of its own, few at a time, so that a listing never waits for one that is dead.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use mos_camera_core::{
    Device, DeviceId, Fault, FaultKind, OnvifPlace, OnvifSettings, OnvifSource, Profile, Transport,
};

use super::address;
use super::camera::Camera;
use super::faults;
use super::interview::{self, Said};
use super::talk::{Talk, TalkError};
use super::wsd::listener::{Heard, Listener};
use super::wsd::message::{Announcement, Told};

/// Most cameras that are kept of what discovery hears: anybody in the network can make some up.
const MOST: usize = 512;
/// Cameras that are asked at once.
const WORKERS: usize = 4;
/// A listing asks cameras again whose answer is older.
const FRESH: Duration = Duration::from_secs(10);

/// The cameras.
#[derive(Debug)]
pub struct Registry {
    shared: Arc<Shared>,
    listener: Mutex<Listening>,
}

/// Discovery, as it was asked for.
#[derive(Debug, Default)]
struct Listening {
    wanted: Option<Vec<String>>,
    listener: Option<Listener>,
}

struct Shared {
    known: Mutex<Known>,
    changed: Box<dyn Fn() + Send + Sync>,
}

#[derive(Debug, Default)]
struct Known {
    settings: OnvifSettings,
    cameras: BTreeMap<DeviceId, Camera>,
    /// To be asked.
    queue: VecDeque<DeviceId>,
    workers: usize,
    /// Those that said goodbye, until they are heard again.
    leaving: BTreeSet<DeviceId>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Registry {
    /// Knows nothing yet; `changed` is called, on another thread, when a listing would show something else than before.
    pub fn new(changed: impl Fn() + Send + Sync + 'static) -> Self {
        Self {
            shared: Arc::new(Shared {
                known: Mutex::default(),
                changed: Box::new(changed),
            }),
            listener: Mutex::default(),
        }
    }

    /// Takes over a configuration: how to look for cameras, and those that tables name.
    pub fn configure(&self, settings: &OnvifSettings, named: Vec<(String, OnvifSource)>) {
        let named: BTreeMap<_, _> = named
            .into_iter()
            .map(|(name, source)| (source.device(&name), source))
            .collect();
        self.shared.configure(settings, &named);
        self.listen(settings);
    }

    fn listen(&self, settings: &OnvifSettings) {
        let wanted = settings.discovery.then(|| settings.interfaces.clone());
        let mut listening = self.listener.lock().unwrap_or_else(PoisonError::into_inner);
        if listening.wanted == wanted && listening.listener.is_some() == wanted.is_some() {
            return;
        }
        *listening = Listening {
            wanted: wanted.clone(),
            listener: None,
        };
        let Some(interfaces) = wanted else {
            return;
        };
        let shared = Arc::downgrade(&self.shared);
        let hear = move |heard| {
            if let Some(shared) = shared.upgrade() {
                shared.hear(heard);
            }
        };
        match Listener::start(interfaces, hear) {
            Ok(listener) => listening.listener = Some(listener),
            Err(error) => {
                tracing::warn!(%error, "ONVIF cameras are not looked for: the sockets of discovery can't be opened; those that are named by address work");
            }
        }
    }

    /// Probes, and asks those again that were not asked lately; what comes of it is told by `changed`.
    pub(super) fn refresh(&self) {
        self.look();
        self.shared.ask_stale();
    }

    /// The cameras as a listing shows them.
    pub(super) fn devices(&self) -> Vec<Device> {
        self.shared.known().devices()
    }

    /// Whether a device is one of these.
    pub(super) fn knows(&self, id: &DeviceId) -> bool {
        self.shared.known().cameras.contains_key(id)
    }

    /// The profiles that a camera had when it was asked last, and how it is reached.
    pub(super) fn profiles(&self, id: &DeviceId) -> Result<(Vec<Profile>, OnvifSource), Fault> {
        let known = self.shared.known();
        let camera = known.cameras.get(id).ok_or_else(|| unknown(id))?;
        Ok((camera.profiles().to_vec(), camera.source.clone()))
    }

    /// Begins a conversation with a camera.
    pub(super) fn open(&self, id: &DeviceId) -> Result<(Talk, OnvifSource), Fault> {
        let known = self.shared.known();
        let camera = known.cameras.get(id).ok_or_else(|| unknown(id))?;
        let Some(place) = camera.place.clone() else {
            let message = format!("{id}: discovery has not found the camera yet");
            drop(known);
            self.look();
            let hint = "check that it is on, in one of this machine's networks, and that its discovery is switched on";
            return Err(Fault::new(FaultKind::Unreachable, message, hint));
        };
        let talk = Talk::new(place, &camera.source, camera.memory);
        let talk = talk.map_err(|error| faults::fault(id, &camera.location(), &error))?;
        Ok((talk, camera.source.clone()))
    }

    /// Takes in what became of a conversation; a camera that does not answer may have another address.
    pub(super) fn learn(&self, id: &DeviceId, talk: &Talk, said: &Result<Said, TalkError>) {
        if matches!(said, Err(TalkError::Http(_))) {
            self.look();
        }
        self.shared.learn(id, talk, said);
    }

    /// A person has changed something: refused log-ins may be tried again.
    pub(super) fn forgive(&self, id: &DeviceId) -> Result<(), Fault> {
        let mut known = self.shared.known();
        let camera = known.cameras.get_mut(id).ok_or_else(|| unknown(id))?;
        camera.memory.denied = false;
        Ok(())
    }

    /// Probes the networks, and where it was last each camera that does not answer: multicast gets lost more than the rest.
    fn look(&self) {
        let hosts = self.shared.known().silent_hosts();
        let listening = self.listener.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(listener) = &listening.listener {
            listener.probe();
            for host in hosts {
                listener.probe_host(host);
            }
        }
    }
}

impl Shared {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn configure(
        self: &Arc<Self>,
        settings: &OnvifSettings,
        named: &BTreeMap<DeviceId, OnvifSource>,
    ) {
        let mut known = self.known();
        known.settings = settings.clone();
        known
            .cameras
            .retain(|id, camera| named.contains_key(id) || (camera.heard && settings.discovery));
        let mut changed: Vec<DeviceId> = Vec::new();
        for (id, camera) in &mut known.cameras {
            camera.named = named.contains_key(id);
            let source = named.get(id).cloned().unwrap_or_else(|| {
                let endpoint = match &camera.source.place {
                    OnvifPlace::Endpoint(endpoint) => endpoint.as_str(),
                    OnvifPlace::Url(_) => id.rest(),
                };
                settings.source(endpoint)
            });
            if camera.configure(source) {
                changed.push(id.clone());
            }
        }
        for (id, source) in named {
            if !known.cameras.contains_key(id) {
                let mut camera = Camera::new(source.clone());
                camera.named = true;
                known.cameras.insert(id.clone(), camera);
                changed.push(id.clone());
            }
        }
        for id in changed {
            self.ask(&mut known, &id);
        }
    }

    fn hear(self: &Arc<Self>, heard: Heard) {
        match heard.told {
            Told::Here(found) => {
                for announcement in found {
                    self.hear_one(&announcement, &heard.from.ip());
                }
            }
            Told::Gone(endpoint) => self.hear_goodbye(&endpoint),
            Told::Nothing => {}
        }
    }

    fn hear_one(self: &Arc<Self>, announcement: &Announcement, from: &std::net::IpAddr) {
        let Some(place) = address::device_url(announcement, *from) else {
            return;
        };
        let id = DeviceId::new(Transport::Rtsp, &announcement.endpoint);
        let mut known = self.known();
        if !known.cameras.contains_key(&id) {
            if !known.make_room() {
                tracing::debug!(%id, "more ONVIF cameras than can be kept: this one is left out");
                return;
            }
            let source = known.settings.source(&announcement.endpoint);
            known.cameras.insert(id.clone(), Camera::new(source));
        }
        let Some(camera) = known.cameras.get_mut(&id) else {
            return;
        };
        let moved = camera.found(place, &announcement.name);
        if moved {
            tracing::info!(device = %id, location = camera.location(), "ONVIF camera found");
        }
        let ask = moved || camera.wants_asking();
        known.leaving.remove(&id);
        if ask {
            self.ask(&mut known, &id);
        }
        drop(known);
        if moved {
            (self.changed)();
        }
    }

    /// Anybody can say goodbye in a camera's name, so it is asked. One that does not answer any more is not there.
    fn hear_goodbye(self: &Arc<Self>, endpoint: &str) {
        let id = DeviceId::new(Transport::Rtsp, endpoint);
        let mut known = self.known();
        if known.cameras.contains_key(&id) {
            tracing::debug!(device = %id, "the camera says that it goes");
            known.leaving.insert(id.clone());
            self.ask(&mut known, &id);
        }
    }

    fn ask_stale(self: &Arc<Self>) {
        let mut known = self.known();
        let now = Instant::now();
        let stale = |camera: &Camera| {
            camera
                .asked
                .is_none_or(|asked| now.duration_since(asked) >= FRESH)
        };
        let ids: Vec<_> = known
            .cameras
            .iter()
            .filter(|(_, camera)| stale(camera))
            .map(|(id, _)| id.clone())
            .collect();
        for id in ids {
            self.ask(&mut known, &id);
        }
    }

    /// Has a camera asked, after those that wait already.
    fn ask(self: &Arc<Self>, known: &mut Known, id: &DeviceId) {
        let Some(camera) = known
            .cameras
            .get_mut(id)
            .filter(|camera| camera.place.is_some())
        else {
            return;
        };
        if std::mem::replace(&mut camera.asking, true) {
            camera.again = true;
            return;
        }
        known.queue.push_back(id.clone());
        if known.workers >= WORKERS {
            return;
        }
        let shared = Arc::downgrade(self);
        let thread = std::thread::Builder::new()
            .name("onvif-ask".to_owned())
            .spawn(move || work(&shared));
        match thread {
            Ok(_) => known.workers += 1,
            Err(error) => {
                tracing::warn!(%error, "ONVIF cameras can't be asked: no thread can be started");
                known.queue.retain(|queued| queued != id);
                if let Some(camera) = known.cameras.get_mut(id) {
                    camera.asking = false;
                }
            }
        }
    }

    /// What to do next; none if there is nothing, and then the thread has to end.
    fn next(&self) -> Option<(DeviceId, Result<Talk, TalkError>)> {
        let mut known = self.known();
        while let Some(id) = known.queue.pop_front() {
            let Some(camera) = known.cameras.get(&id) else {
                continue;
            };
            if let Some(place) = camera.place.clone() {
                let talk = Talk::new(place, &camera.source, camera.memory);
                return Some((id, talk));
            }
        }
        known.workers -= 1;
        None
    }

    fn learn(self: &Arc<Self>, id: &DeviceId, talk: &Talk, said: &Result<Said, TalkError>) {
        let mut known = self.known();
        let Some(camera) = known.cameras.get_mut(id) else {
            return;
        };
        // It is somewhere else by now, or logged in to otherwise: what was said there is worth nothing.
        if camera.place.as_ref() != Some(talk.device()) || camera.source != *talk.source() {
            return;
        }
        let before = camera.device(id);
        camera.learn(talk.memory, said);
        camera.asked = Some(Instant::now());
        let mut changed = camera.device(id) != before;
        let (silent, named) = (matches!(said, Err(TalkError::Http(_))), camera.named);
        if silent && !named && known.leaving.remove(id) {
            known.cameras.remove(id);
            changed = true;
        }
        drop(known);
        if changed {
            (self.changed)();
        }
    }

    fn done(self: &Arc<Self>, id: &DeviceId) {
        let mut known = self.known();
        if let Some(camera) = known.cameras.get_mut(id) {
            camera.asking = false;
            if std::mem::take(&mut camera.again) {
                self.ask(&mut known, id);
            }
        }
    }
}

impl Known {
    /// Those that nobody would miss make room for others.
    fn make_room(&mut self) -> bool {
        if self.cameras.len() < MOST {
            return true;
        }
        let hearsay = self
            .cameras
            .iter()
            .find(|(_, camera)| camera.is_hearsay() && !camera.asking);
        let hearsay = hearsay.map(|(id, _)| id.clone());
        hearsay.is_some_and(|id| self.cameras.remove(&id).is_some())
    }

    fn silent_hosts(&self) -> BTreeSet<IpAddr> {
        let silent = self.cameras.values().filter(|camera| camera.wants_asking());
        let places = silent.filter_map(|camera| camera.place.as_ref());
        places.filter_map(address::host).collect()
    }

    /// Without those that a table names by address: they would be listed twice.
    fn devices(&self) -> Vec<Device> {
        let named =
            |camera: &&Camera| camera.named && matches!(camera.source.place, OnvifPlace::Url(_));
        let places: Vec<_> = self
            .cameras
            .values()
            .filter(named)
            .map(|camera| &camera.place)
            .collect();
        let listed = self
            .cameras
            .iter()
            .filter(|(_, camera)| camera.named || !places.contains(&&camera.place));
        listed.map(|(id, camera)| camera.device(id)).collect()
    }
}

/// Asks cameras until nobody wants to know of any.
fn work(shared: &Weak<Shared>) {
    loop {
        // Not kept while a camera takes its time: the registry may go meanwhile.
        let next = shared.upgrade().and_then(|shared| shared.next());
        let Some((id, talk)) = next else {
            return;
        };
        match talk {
            Ok(mut talk) => {
                let said = interview::everything(&mut talk);
                if let Err(error) = &said {
                    tracing::debug!(device = %id, %error, "the camera was asked in vain");
                }
                if let Some(shared) = shared.upgrade() {
                    shared.learn(&id, &talk, &said);
                }
            }
            Err(error) => tracing::warn!(device = %id, %error, "the camera can't be asked"),
        }
        if let Some(shared) = shared.upgrade() {
            shared.done(&id);
        }
    }
}

fn unknown(id: &DeviceId) -> Fault {
    Fault::new(
        FaultKind::NotFound,
        format!("there is no ONVIF camera {id}"),
        "list the devices to see their ids",
    )
}

#[cfg(test)]
mod tests {
    use mos_camera_core::{Health, RtspSource, Secret};

    use super::super::talk::Memory;
    use super::*;

    fn known(named: bool) -> Known {
        let mut known = Known::default();
        for n in 0..MOST {
            let source = known.settings.source(&format!("urn:uuid:{n}"));
            let mut camera = Camera::new(source.clone());
            camera.named = named;
            known.cameras.insert(source.device(""), camera);
        }
        known
    }

    /// A camera that is being asked with a password that is corrected meanwhile is not refused for ever.
    #[test]
    fn an_answer_to_another_log_in_is_worth_nothing() {
        let shared = Arc::new(Shared {
            known: Mutex::default(),
            changed: Box::new(|| ()),
        });
        let id = DeviceId::new(Transport::Rtsp, "yard");
        let source = |password: &str| OnvifSource {
            place: OnvifPlace::Url("http://127.0.0.1:9/onvif".to_owned()),
            rtsp: RtspSource {
                user: Some("viewer".to_owned()),
                password: Some(Secret::new(password)),
                ..OnvifSettings::default().source("").rtsp
            },
            ..OnvifSettings::default().source("")
        };
        let camera = Camera::new(source("wrong"));
        let place = camera.place.clone().unwrap();
        let begun = Talk::new(place.clone(), &camera.source, camera.memory).unwrap();
        shared.known().cameras.insert(id.clone(), camera);
        let denied = Err(TalkError::Denied { plain_left: false });
        let health = || shared.known().cameras[&id].device(&id).health;

        shared
            .known()
            .cameras
            .get_mut(&id)
            .unwrap()
            .configure(source("right"));
        shared.learn(&id, &begun, &denied);
        assert_eq!(health(), Health::Unknown);
        let begun = Talk::new(place, &source("right"), Memory::default()).unwrap();
        shared.learn(&id, &begun, &denied);
        assert!(matches!(health(), Health::Unauthorized(_)));
    }

    #[test]
    fn made_up_cameras_push_out_each_other_and_nobody_else() {
        let mut crowd = known(false);
        let named = DeviceId::new(Transport::Rtsp, "urn:uuid:7");
        if let Some(camera) = crowd.cameras.get_mut(&named) {
            camera.named = true;
        }
        for _ in 0..MOST - 1 {
            assert!(crowd.make_room());
            let source = crowd.settings.source("urn:uuid:new");
            crowd.cameras.insert(source.device(""), Camera::new(source));
            assert!(crowd.cameras.len() <= MOST && crowd.cameras.contains_key(&named));
        }
        assert!(!known(true).make_room());
    }
}
