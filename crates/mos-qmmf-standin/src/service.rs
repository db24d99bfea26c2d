//! The camera service that the elements talk to: which cameras there are, who has them open, and what goes wrong.
//!
//! On a board it is a process of its own; here it is in this one, and a test holds its strings.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use gst::glib::WeakRef;
use gst::prelude::*;

use crate::element::CamSrc;
use crate::event::Event;
use crate::link;
use crate::track::Track;

/// Most cameras: the element's property `camera` goes from 0 to 32.
pub const CAMERAS: u32 = 33;

/// What a stream did so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Report {
    /// Its buffers.
    pub buffers: u32,
    /// Buffers that were not given back yet.
    pub lent: u32,
    /// Frames that were handed to GStreamer.
    pub frames: u64,
    /// Frames that there was no buffer for.
    pub starved: u64,
}

/// The one camera service of this process.
#[derive(Debug, Default)]
pub struct Service {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// How often it died: a client that connected to an earlier life can do nothing any more.
    life: u64,
    dead: bool,
    absent: BTreeSet<u32>,
    borrowed: BTreeSet<u32>,
    largest: BTreeMap<u32, (u32, u32)>,
    /// Masters by camera.
    open: BTreeMap<u32, WeakRef<CamSrc>>,
    slaves: Vec<(u32, WeakRef<CamSrc>)>,
    clients: Vec<(u64, WeakRef<CamSrc>)>,
    tracks: BTreeMap<u32, Vec<Arc<Track>>>,
    violations: Vec<String>,
}

static SERVICE: LazyLock<Service> = LazyLock::new(Service::default);

/// The service.
pub fn service() -> &'static Service {
    &SERVICE
}

/// A camera that no other test of the process uses meanwhile.
#[derive(Debug)]
pub struct Borrowed(u32);

impl Borrowed {
    /// Its number.
    pub const fn camera(&self) -> u32 {
        self.0
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        let mut state = service().lock();
        state.borrowed.remove(&self.0);
        state.absent.remove(&self.0);
        state.largest.remove(&self.0);
        drop(state);
        service().changed.notify_all();
    }
}

impl Service {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a camera for a test; waits for one if all are taken.
    pub fn borrow(&self) -> Borrowed {
        self.borrow_of(0..CAMERAS)
    }

    /// Takes the camera of this number, which a device tree says; waits until nobody else has it.
    pub fn borrow_this(&self, camera: u32) -> Borrowed {
        self.borrow_of(camera..camera + 1)
    }

    fn borrow_of(&self, mut cameras: Range<u32>) -> Borrowed {
        let wanted = cameras.clone();
        let mut state = self.lock();
        loop {
            if let Some(camera) = cameras.find(|camera| !state.borrowed.contains(camera)) {
                state.borrowed.insert(camera);
                return Borrowed(camera);
            }
            cameras = wanted.clone();
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The camera can't be opened any more, or can again.
    pub fn set_absent(&self, camera: u32, absent: bool) {
        let mut state = self.lock();
        if absent {
            state.absent.insert(camera);
        } else {
            state.absent.remove(&camera);
        }
    }

    /// The largest picture that the camera's sensor gives; the pad template, which is the chip's, does not say it.
    pub fn set_largest(&self, camera: u32, width: u32, height: u32) {
        self.lock().largest.insert(camera, (width, height));
    }

    /// The service's process dies: every client is told, its descriptors are closed, and whatever it asks from now on fails.
    pub fn die(&self) {
        let clients = self.fall(|track| {
            track.close();
        });
        for client in clients {
            client.tell(Event::ServiceDied);
        }
    }

    /// The same, and no client is told, as by clients that know the service by a socket: frames end, and whatever is asked
    /// fails. Descriptors stay open.
    pub fn die_unheard(&self) {
        drop(self.fall(Track::halt));
    }

    /// Ends this life of the service; whom there is to tell.
    fn fall(&self, end: impl Fn(&Track)) -> Vec<CamSrc> {
        let mut state = self.lock();
        state.dead = true;
        state.life += 1;
        state.open.clear();
        state.slaves.clear();
        for track in std::mem::take(&mut state.tracks).into_values().flatten() {
            end(&track);
        }
        let clients = std::mem::take(&mut state.clients);
        drop(state);
        self.changed.notify_all();
        let alive = clients.iter().filter_map(|(_, client)| client.upgrade());
        alive.collect()
    }

    /// It is started again. Clients have to connect anew, and only new elements do.
    pub fn revive(&self) {
        self.lock().dead = false;
        self.changed.notify_all();
    }

    /// The camera breaks down while it is open: an error, and no frame after it.
    pub fn camera_error(&self, camera: u32) {
        self.freeze(camera);
        self.tell_all(camera, Event::CameraError);
    }

    /// The sensor gives no more frames, of which an application gets a message but no error.
    pub fn freeze_frames(&self, camera: u32) {
        self.freeze(camera);
        self.tell_all(camera, Event::SofFreeze);
    }

    /// The service recovers a camera by itself: no error, and frames that go on.
    pub fn recover(&self, camera: u32) {
        self.tell_all(camera, Event::InternalRecovery);
        self.tell_all(camera, Event::RecoverySuccess);
    }

    /// The service tries to recover a camera and can't: no error, and no frame after it.
    pub fn fail_to_recover(&self, camera: u32) {
        self.freeze(camera);
        self.tell_all(camera, Event::InternalRecovery);
        self.tell_all(camera, Event::RecoveryFailure);
    }

    /// Not of the real one: flags its next frames as broken, to see what becomes of such.
    pub fn spoil(&self, camera: u32, frames: u64) {
        if let Some(tracks) = self.lock().tracks.get(&camera) {
            for track in tracks {
                track.spoil(frames);
            }
        }
    }

    /// The camera breaks down for good: no error, and no frame after it.
    pub fn break_down(&self, camera: u32) {
        self.freeze(camera);
        self.tell_all(camera, Event::Fatal);
    }

    /// The camera is taken away, or comes back. Every client is told, whatever camera it has, where the release has a word for it.
    pub fn plug(&self, camera: u32, present: bool) {
        self.set_absent(camera, !present);
        if !present {
            self.freeze(camera);
        }
        if crate::build().older {
            return;
        }
        let clients: Vec<_> = {
            let state = self.lock();
            let clients = state.clients.iter();
            clients.filter_map(|(_, client)| client.upgrade()).collect()
        };
        for client in clients {
            client.tell_status(camera, present);
        }
    }

    /// Whoever has the camera as its master closes it: slaves end their streams.
    pub fn close_as_master(&self, camera: u32) {
        let slaves: Vec<_> = self
            .lock()
            .slaves
            .iter()
            .filter(|(number, _)| *number == camera)
            .filter_map(|(_, slave)| slave.upgrade())
            .collect();
        for slave in slaves {
            slave.tell(Event::CameraClosing);
        }
    }

    fn freeze(&self, camera: u32) {
        if let Some(tracks) = self.lock().tracks.get(&camera) {
            for track in tracks {
                track.freeze();
            }
        }
    }

    fn tell_all(&self, camera: u32, event: Event) {
        let state = self.lock();
        let slaves = state.slaves.iter().filter(|(number, _)| *number == camera);
        let clients: Vec<_> = slaves
            .map(|(_, slave)| slave)
            .chain(state.open.get(&camera))
            .filter_map(WeakRef::upgrade)
            .collect();
        drop(state);
        for client in clients {
            client.tell(event);
        }
    }

    /// What was done that the documentation does not allow, in this process so far; the list is empty afterwards.
    pub fn take_violations(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().violations)
    }

    /// The streams of a camera.
    pub fn reports(&self, camera: u32) -> Vec<Report> {
        let state = self.lock();
        let tracks = state.tracks.get(&camera);
        tracks.into_iter().flatten().map(|t| t.report()).collect()
    }

    /// Waits until the camera's streams are as `wanted`; false if that took longer than `patience`.
    pub fn wait(
        &self,
        camera: u32,
        patience: Duration,
        wanted: impl Fn(&[Report]) -> bool,
    ) -> bool {
        let end = Instant::now() + patience;
        let mut state = self.lock();
        loop {
            let tracks = state.tracks.get(&camera);
            let reports: Vec<_> = tracks.into_iter().flatten().map(|t| t.report()).collect();
            if wanted(&reports) {
                return true;
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Something about a stream changed.
    pub(crate) fn moved(&self) {
        // Under the lock, so that it does not fall between a look and the wait after it.
        drop(self.lock());
        self.changed.notify_all();
    }

    pub(crate) fn violated(&self, what: String) {
        link::report(&what);
        self.lock().violations.push(what);
    }

    /// A new client; `None` if nobody listens.
    pub(crate) fn connect(&self, client: &CamSrc) -> Option<u64> {
        if !link::stands() {
            return None;
        }
        let mut state = self.lock();
        if state.dead {
            return None;
        }
        let life = state.life;
        state
            .clients
            .retain(|(_, client)| client.upgrade().is_some());
        state.clients.push((life, client.downgrade()));
        Some(life)
    }

    /// Whether a client's connection still stands.
    pub(crate) fn knows(&self, life: Option<u64>) -> bool {
        let state = self.lock();
        !state.dead && life == Some(state.life)
    }

    /// Opens a camera. A master is its only one; a slave needs a master.
    pub(crate) fn open(
        &self,
        client: &CamSrc,
        life: Option<u64>,
        camera: u32,
        slave: bool,
    ) -> bool {
        let mut state = self.lock();
        if state.dead || life != Some(state.life) || state.absent.contains(&camera) {
            return false;
        }
        let owned = state
            .open
            .get(&camera)
            .is_some_and(|o| o.upgrade().is_some());
        if slave {
            state.slaves.push((camera, client.downgrade()));
            owned
        } else if owned {
            false
        } else {
            state.open.insert(camera, client.downgrade());
            true
        }
    }

    pub(crate) fn close(&self, client: &CamSrc, camera: u32) {
        let mut state = self.lock();
        let own = |known: &WeakRef<CamSrc>| known.upgrade().as_ref() == Some(client);
        if state.open.get(&camera).is_some_and(own) {
            state.open.remove(&camera);
        }
        state.slaves.retain(|(_, known)| !own(known));
    }

    /// Creates a stream; false if the sensor can't give it.
    pub(crate) fn create(&self, track: &Arc<Track>) -> bool {
        let mut state = self.lock();
        let (camera, (width, height)) = (track.camera(), track.size());
        let too_large = state
            .largest
            .get(&camera)
            .is_some_and(|&(w, h)| width > w || height > h);
        if too_large {
            return false;
        }
        state
            .tracks
            .entry(camera)
            .or_default()
            .push(Arc::clone(track));
        true
    }

    pub(crate) fn delete(&self, track: &Arc<Track>) {
        let mut state = self.lock();
        if let Some(tracks) = state.tracks.get_mut(&track.camera()) {
            tracks.retain(|known| !Arc::ptr_eq(known, track));
        }
        drop(state);
        self.changed.notify_all();
    }
}
