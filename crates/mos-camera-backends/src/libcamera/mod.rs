//! Cameras that libcamera drives: sensors on MIPI CSI-2 receivers, with or without an image signal processor.
//!
//! libcamera finds them in the kernel's media graphs and sets up everything between sensor and memory; which pipeline a board
//! has (on the i.MX 8M Plus the ISP or the ISI) is its device tree's business. A camera has one owner: what libcamera drives is
//! no V4L2 node of ours at the same time ([`Registry`]), and USB cameras are left to V4L2, which knows when they
//! come and go, but for those that the operator named as libcamera's.

mod controls;
mod discovery;
mod faults;
mod frames;
mod live;
mod parking;
mod registry;
mod source;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mos_camera_core::plan::Explanation;
use mos_camera_core::{
    Control, ControlValues, Device, DeviceId, Fault, FaultKind, Health, StreamConfig, Transport,
};

pub(crate) use discovery::unfit;
pub use registry::Registry;

use crate::backend::{Backend, Source};
use discovery::Camera;

/// The element that libcamera's cameras are reached by.
const ELEMENT: &str = "libcamerasrc";

/// Cameras `csi:<libcamera's id>`.
#[derive(Debug, Clone)]
pub struct LibcameraBackend {
    registry: Arc<Registry>,
    /// Paths of nodes that the operator configured as V4L2 cameras: what is behind them is not libcamera's.
    taken: Vec<PathBuf>,
}

impl LibcameraBackend {
    /// The cameras of a registry; `taken` are paths of nodes that another backend lists by name.
    pub fn new(registry: Arc<Registry>, taken: Vec<PathBuf>) -> Self {
        Self { registry, taken }
    }

    /// The path by which the operator gave a camera to V4L2, if he did.
    fn taken(&self, camera: &Camera) -> Option<&PathBuf> {
        let number = |path: &PathBuf| fs::metadata(path).ok().map(|about| about.rdev());
        let is_behind = |path: &&PathBuf| number(path).is_some_and(|n| camera.nodes.contains(&n));
        self.taken.iter().find(is_behind)
    }

    /// What is known of its controls. That a stream of ours is in the way of asking is nothing that is wrong with the camera.
    fn controls(&self, camera: &Camera) -> Result<Vec<Control>, Fault> {
        let controls = self.registry.controls(camera);
        if self.registry.any_open() {
            return Ok(controls.unwrap_or_default());
        }
        controls
    }

    /// A camera that is libcamera's to drive.
    fn find(&self, device: &DeviceId) -> Result<Camera, Fault> {
        let camera = self.registry.find(device)?;
        match self.taken(&camera) {
            None => Ok(camera),
            Some(path) => Err(Fault::new(
                FaultKind::Busy,
                format!("{device}: {}", given_away(path)),
                "use the V4L2 camera that is configured, or take its table out of the configuration",
            )),
        }
    }
}

fn given_away(path: &Path) -> String {
    format!("its node {} is configured as a V4L2 camera", path.display())
}

impl Backend for LibcameraBackend {
    fn transport(&self) -> Transport {
        Transport::MipiCsi
    }

    fn discover(&self) -> Result<Vec<Device>, Fault> {
        let listed = |camera: &Camera| match self.taken(camera) {
            Some(path) => Device {
                health: Health::Busy(given_away(path)),
                ..discovery::device(camera, Ok(Vec::new()))
            },
            None => discovery::device(camera, self.controls(camera)),
        };
        Ok(self.registry.look()?.iter().map(listed).collect())
    }

    fn explain(&self, device: &DeviceId, config: &StreamConfig) -> Result<Explanation, Fault> {
        let camera = self.find(device)?;
        Ok(source::explain(&camera, config))
    }

    fn source(&self, device: &DeviceId, config: &StreamConfig) -> Result<Source, Fault> {
        let camera = self.find(device)?;
        source::build(&self.registry, &camera, config)
    }

    fn set_controls(&self, device: &DeviceId, values: &ControlValues) -> Result<(), Fault> {
        let camera = self.find(device)?;
        let offered = self.registry.controls(&camera)?;
        controls::check(device, values, &offered)?;
        // A camera that does not run keeps none: its stream sets them when it starts.
        match self.registry.live(device) {
            Some(live) => live.set(values),
            None => Ok(()),
        }
    }

    fn classify(&self, device: &DeviceId, error: &gst::message::Error) -> Fault {
        let fault = faults::classify(device, error);
        if fault.kind == FaultKind::Absent {
            self.registry.doubt(device);
        }
        fault
    }

    /// The pipeline released the camera as far as that can be; what is left to do is to see whether libcamera still knows it.
    fn reset(&self, device: &DeviceId) -> Result<(), Fault> {
        self.registry.look()?;
        self.find(device).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A camera behind a node that every machine has.
    fn backend(taken: &[&str]) -> (LibcameraBackend, DeviceId) {
        let camera = Camera {
            id: DeviceId::new(Transport::MipiCsi, "cam"),
            name: "cam".to_owned(),
            model: "ov5640".to_owned(),
            facing: None,
            rotation: None,
            capabilities: Vec::new(),
            nodes: vec![fs::metadata("/dev/null").unwrap().rdev()],
            single: Vec::new(),
        };
        let id = camera.id.clone();
        let registry = Arc::new(Registry::of(vec![camera]));
        let taken = taken.iter().map(PathBuf::from).collect();
        (LibcameraBackend::new(registry, taken), id)
    }

    #[test]
    fn a_node_that_the_operator_gave_to_v4l2_is_not_driven_twice() {
        for (taken, expected) in [
            (&[][..], None),
            (&["/dev/zero", "/dev/no-such-node"], None),
            (&["/dev/zero", "/dev/null"], Some(FaultKind::Busy)),
        ] {
            let (backend, id) = backend(taken);
            let fault = backend.find(&id).err();
            assert_eq!(
                fault.as_ref().map(|fault| fault.kind),
                expected,
                "{taken:?}"
            );
            if let Some(fault) = fault {
                assert!(
                    fault.message.contains("csi:cam") && fault.message.contains("/dev/null"),
                    "{fault}"
                );
            }
        }
    }

    #[test]
    fn the_nodes_behind_its_cameras_are_libcameras() {
        let (backend, _) = backend(&[]);
        for (path, expected) in [("/dev/null", true), ("/dev/zero", false)] {
            let number = fs::metadata(path).unwrap().rdev();
            assert_eq!(backend.registry.owns(number), expected, "{path}");
        }
    }
}
