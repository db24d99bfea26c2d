//! What libcamera was seen to drive, shared with the backend of V4L2 nodes, so that no camera has two owners.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mos_camera_core::{Control, ControlValues, DeviceId, Fault, FaultKind};

use super::controls;
use super::discovery::{self, Camera};
use super::live::Live;

/// libcamera's cameras as they were last seen; nothing is asked of libcamera before somebody wants to know.
#[derive(Debug, Default)]
pub struct Registry {
    cameras: Mutex<Option<Vec<Camera>>>,
    /// Of cameras that were asked: a camera keeps its controls.
    controls: Mutex<HashMap<DeviceId, Vec<Control>>>,
    live: Mutex<HashMap<DeviceId, Arc<Live>>>,
}

impl Registry {
    /// Knows these cameras, without libcamera.
    #[cfg(test)]
    pub(super) fn of(cameras: Vec<Camera>) -> Self {
        Self {
            cameras: Mutex::new(Some(cameras)),
            ..Self::default()
        }
    }

    /// Asks libcamera again.
    pub(super) fn look(&self) -> Result<Vec<Camera>, Fault> {
        let mut known = lock(&self.cameras);
        let cameras = discovery::cameras()?;
        *known = Some(cameras.clone());
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
        let known = lock(&self.cameras).clone();
        known.map_or_else(|| self.look(), Ok)
    }

    /// The controls of a camera, which is opened for it the first time. That can't be while any stream of ours has an element of
    /// libcamera's: the element does not take back, when it closes a camera, that it wants to hear of its requests
    /// (`gst_libcamera_src_close`), and while another one keeps libcamera up, the next stream of the camera would call what is gone.
    pub(super) fn controls(&self, camera: &Camera) -> Result<Vec<Control>, Fault> {
        let mut known = lock(&self.controls);
        if let Some(controls) = known.get(&camera.id) {
            return Ok(controls.clone());
        }
        if self.any_live() {
            return Err(in_use(&camera.id));
        }
        let controls = controls::list(&camera.id, &camera.name)?;
        known.insert(camera.id.clone(), controls.clone());
        Ok(controls)
    }

    /// Remembers the element of a camera's stream, and has it told `values` when it starts.
    pub(super) fn remember(&self, id: &DeviceId, element: &gst::Element, values: &ControlValues) {
        // Not while a camera is being asked for its controls.
        let _asked = lock(&self.controls);
        let mut live = lock(&self.live);
        live.retain(|_, live| live.is_there());
        live.insert(id.clone(), Arc::new(Live::new(id, element, values)));
    }

    /// Refuses a camera whose way to memory another stream of ours uses.
    pub(super) fn check_way(&self, camera: &Camera) -> Result<(), Fault> {
        if camera.single.is_empty() {
            return Ok(());
        }
        let shares = |other: &&Camera| {
            other.id != camera.id && other.single.iter().any(|n| camera.single.contains(n))
        };
        let known = self.known()?;
        let running = known.iter().filter(shares).find(|other| {
            let live = self.live(&other.id);
            live.is_some_and(|live| live.is_open())
        });
        running.map_or(Ok(()), |other| Err(one_way(&camera.id, &other.id)))
    }

    /// Whether any stream of ours has an element of libcamera's.
    pub(super) fn any_live(&self) -> bool {
        lock(&self.live).values().any(|live| live.is_there())
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

fn one_way(id: &DeviceId, other: &DeviceId) -> Fault {
    Fault::new(
        FaultKind::Busy,
        format!(
            "{id}: its image signal processor has one way for pictures, which the stream of {other} uses"
        ),
        format!("stop the stream of {other}, or put the sensor on a receiver of its own"),
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
    use gst::prelude::*;
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

    /// Any element will do: what counts is whether it is open.
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
        let element = gst::ElementFactory::make("identity").build().unwrap();
        registry.remember(&cameras[0].id, &element, &ControlValues::new());
        let refused = || cameras.each_ref().map(|c| registry.check_way(c).is_err());
        for (state, expected) in [
            (gst::State::Null, [false; 4]),
            (gst::State::Ready, [false, true, false, false]),
            (gst::State::Null, [false; 4]),
        ] {
            element.set_state(state).unwrap();
            assert_eq!(refused(), expected, "{state:?}");
        }
        element.set_state(gst::State::Ready).unwrap();
        let fault = registry.check_way(&cameras[1]).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Busy);
        assert!(
            fault.message.contains("csi:left") && fault.message.starts_with("csi:right"),
            "{fault}"
        );
        element.set_state(gst::State::Null).unwrap();
    }
}
