//! What libcamera was seen to drive, shared with the backend of V4L2 nodes, so that no camera has two owners.

use std::sync::{Mutex, PoisonError};

use mos_camera_core::{DeviceId, Fault, FaultKind};

use super::discovery::{self, Camera};

/// libcamera's cameras as they were last seen; nothing is asked of libcamera before somebody wants to know.
#[derive(Debug, Default)]
pub struct Registry {
    cameras: Mutex<Option<Vec<Camera>>>,
}

impl Registry {
    /// Knows these cameras, without libcamera.
    #[cfg(test)]
    pub(super) fn of(cameras: Vec<Camera>) -> Self {
        Self {
            cameras: Mutex::new(Some(cameras)),
        }
    }

    /// Asks libcamera again.
    pub(super) fn look(&self) -> Result<Vec<Camera>, Fault> {
        let mut known = self.cameras.lock().unwrap_or_else(PoisonError::into_inner);
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
        let known = self
            .cameras
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        known.map_or_else(|| self.look(), Ok)
    }
}

fn absent(id: &DeviceId) -> Fault {
    Fault::new(
        FaultKind::Absent,
        format!("libcamera knows no camera {id}"),
        "check the sensor's cable and its node in the device tree; `cam --list` and the kernel's log say what was found",
    )
}
