//! What libcamera was seen to drive, shared with the backend of V4L2 nodes, so that no camera has two owners.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gst::prelude::*;
use mos_camera_core::{Control, ControlValues, DeviceId, Fault, FaultKind};

use super::discovery::{self, Camera};
use super::live::Live;
use super::parking::Parking;
use super::{ELEMENT, controls};
use crate::elements::make;
use crate::kept::Kept;

/// libcamera's cameras as they were last seen; nothing is asked of libcamera before somebody wants to know.
#[derive(Debug, Default)]
pub struct Registry {
    /// Cameras that the operator named.
    named: Mutex<Vec<DeviceId>>,
    cameras: Mutex<Option<Seen>>,
    /// Of cameras that were asked: a camera keeps its controls.
    controls: Mutex<HashMap<DeviceId, Vec<Control>>>,
    live: Mutex<HashMap<DeviceId, Arc<Live>>>,
    parking: Arc<Parking>,
}

/// What libcamera answered.
#[derive(Debug)]
struct Seen {
    /// The cameras that were named then.
    named: Vec<DeviceId>,
    cameras: Vec<Camera>,
}

impl Registry {
    /// Knows these cameras, without libcamera.
    #[cfg(test)]
    pub(super) fn of(cameras: Vec<Camera>) -> Self {
        Self {
            cameras: Mutex::new(Some(Seen {
                named: Vec::new(),
                cameras,
            })),
            ..Self::default()
        }
    }

    /// Drives these cameras also where they are on USB, from the next question on. Never waits for libcamera.
    pub fn configure(&self, named: Vec<DeviceId>) {
        *lock(&self.named) = named;
    }

    /// Asks libcamera again.
    pub(super) fn look(&self) -> Result<Vec<Camera>, Fault> {
        let mut known = lock(&self.cameras);
        let named = lock(&self.named).clone();
        let cameras = self.parking.ask(|| discovery::cameras(&named))?;
        *known = Some(Seen {
            named,
            cameras: cameras.clone(),
        });
        Ok(cameras)
    }

    /// A camera; libcamera is asked again if it was not there.
    pub(super) fn find(&self, id: &DeviceId) -> Result<Camera, Fault> {
        let known = self.known()?;
        let find = |cameras: Vec<Camera>| cameras.into_iter().find(|camera| camera.id == *id);
        match find(known) {
            Some(camera) => Ok(camera),
            None => find(self.look()?).ok_or_else(|| absent(id)),
        }
    }

    /// Whether a video node, by its device number, is behind one of the cameras. If libcamera can't be asked, none is.
    pub(crate) fn owns(&self, node: u64) -> bool {
        self.known()
            .is_ok_and(|cameras| cameras.iter().any(|camera| camera.nodes.contains(&node)))
    }

    fn known(&self) -> Result<Vec<Camera>, Fault> {
        let seen = lock(&self.cameras);
        let named = lock(&self.named).clone();
        if let Some(seen) = seen.as_ref().filter(|seen| seen.named == named) {
            return Ok(seen.cameras.clone());
        }
        drop(seen);
        self.look()
    }

    /// The controls of a camera, which is opened for it the first time, with an element that is thrown away: what it was told to find out
    /// would go to the sensor with its first request. So that can't be while any camera is open (see [`Parking`]).
    pub(super) fn controls(&self, camera: &Camera) -> Result<Vec<Control>, Fault> {
        let mut known = lock(&self.controls);
        if let Some(controls) = known.get(&camera.id) {
            return Ok(controls.clone());
        }
        let listed = self
            .parking
            .alone(|| controls::list(&camera.id, &camera.name));
        let controls = listed.unwrap_or_else(|| Err(in_use(&camera.id)))?;
        known.insert(camera.id.clone(), controls.clone());
        Ok(controls)
    }

    /// An element for the next stream of a camera, in no pipeline yet; perhaps the one that its last stream had.
    pub(super) fn element(&self, camera: &Camera) -> Result<gst::Element, Fault> {
        let named = || {
            let element = make(ELEMENT)?;
            element.set_property("camera-name", &camera.name);
            Ok(element)
        };
        let open = |element: &gst::Element| controls::open(&camera.id, element);
        self.parking.element(&camera.id, named, open)
    }

    /// An element as a stream's source has it. Who starts is refused while a camera streams whose way to memory it needs.
    pub(super) fn kept(&self, camera: &Camera, element: &gst::Element) -> Result<Kept, Fault> {
        // Most cameras have no way that they could share: for them libcamera need not be asked.
        let known = if camera.single.is_empty() {
            Vec::new()
        } else {
            self.known()?
        };
        let shares = |other: &&Camera| {
            other.id != camera.id && other.single.iter().any(|n| camera.single.contains(n))
        };
        let rivals = known.iter().filter(shares);
        let rivals = rivals.map(|other| other.id.clone()).collect();
        Ok(self.parking.kept(&camera.id, rivals, element))
    }

    /// An error said that a camera is gone.
    pub(super) fn doubt(&self, id: &DeviceId) {
        self.parking.doubt(id);
    }

    /// Remembers the element of a camera's stream, and has it told `values` when it starts.
    pub(super) fn remember(&self, id: &DeviceId, element: &gst::Element, values: &ControlValues) {
        let mut live = lock(&self.live);
        live.retain(|_, live| live.is_there());
        if let Some(before) = live.get(id) {
            before.leave(element);
        }
        live.insert(id.clone(), Arc::new(Live::new(id, element, values)));
    }

    /// Whether we have any camera open.
    pub(super) fn any_open(&self) -> bool {
        self.parking.any_open()
    }

    /// The stream of ours that a camera has.
    pub(super) fn live(&self, id: &DeviceId) -> Option<Arc<Live>> {
        let live = lock(&self.live).get(id).cloned();
        live.filter(|live| live.is_there())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn in_use(id: &DeviceId) -> Fault {
    Fault::new(
        FaultKind::Busy,
        format!(
            "{id}: which controls it has is not known, and can't be asked while a stream has one of libcamera's cameras"
        ),
        "stop the streams of libcamera's cameras and list the devices, or restart the service",
    )
}

fn absent(id: &DeviceId) -> Fault {
    Fault::new(
        FaultKind::Absent,
        format!("libcamera knows no camera {id}"),
        "check the sensor's cable and its node in the device tree; `cam --list` and the kernel's log say what was found",
    )
}

#[cfg(test)]
mod tests {
    use mos_camera_core::Transport;

    use super::*;

    fn camera(name: &str, single: &[u64]) -> Camera {
        Camera {
            id: DeviceId::new(Transport::MipiCsi, name),
            name: name.to_owned(),
            model: name.to_owned(),
            facing: None,
            rotation: None,
            capabilities: Vec::new(),
            nodes: single.to_vec(),
            single: single.to_vec(),
        }
    }

    /// What was seen before says nothing of cameras on USB that are named now.
    #[test]
    fn libcamera_is_asked_again_when_others_are_named() {
        gst::init().unwrap();
        let registry = Registry::of(vec![camera("made up", &[1])]);
        registry.configure(Vec::new());
        assert!(registry.owns(1));
        registry.configure(vec![DeviceId::new(Transport::MipiCsi, "usb")]);
        assert!(!registry.owns(1));
        // Who shares no way is built also where it can't be asked.
        let element = gst::ElementFactory::make("identity").build().unwrap();
        assert!(registry.kept(&camera("isi", &[]), &element).is_ok());
    }

    /// Any element will do: what counts is whether a stream has it. All are built before any starts.
    #[test]
    fn a_processor_with_one_way_has_one_stream() {
        gst::init().unwrap();
        let cameras = [
            camera("left", &[1, 2]),
            camera("right", &[2]),
            camera("alone", &[3]),
            camera("isi", &[]),
        ];
        let registry = Registry::of(cameras.to_vec());
        let streams = cameras.each_ref().map(|camera| {
            let element = gst::ElementFactory::make("identity").build().unwrap();
            registry.kept(camera, &element).unwrap()
        });
        let start = |n: usize| {
            let Kept { element, keeper } = &streams[n];
            keeper.take(element)?;
            element.set_state(gst::State::Ready).unwrap();
            Ok::<_, Fault>(())
        };
        let end = |n: usize| streams[n].keeper.landed(&streams[n].element, true);
        for n in [0, 2, 3] {
            start(n).unwrap();
        }
        let fault = start(1).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Busy);
        assert!(
            fault.message.contains("csi:left") && fault.message.starts_with("csi:right"),
            "{fault}"
        );
        // On its way down it has the way still; once it is parked, it has the camera open and uses no way.
        streams[0].keeper.falls(&streams[0].element);
        assert!(start(1).is_err());
        end(0);
        assert_eq!(streams[0].element.current_state(), gst::State::Ready);
        start(1).unwrap();
        assert!(start(0).unwrap_err().message.contains("csi:right"));
        for n in [1, 2, 3] {
            end(n);
        }
        assert_eq!(streams[0].element.current_state(), gst::State::Null);
    }
}
