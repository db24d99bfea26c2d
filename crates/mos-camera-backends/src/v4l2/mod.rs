//! V4L2 capture nodes: USB cameras, CSI receivers with a plain video node, virtual drivers.
//!
//! The same code serves two transports, since a USB camera is a V4L2 node with an identity of its own: one backend
//! lists the nodes on USB, another all others and those that the operator named.

mod controls;
mod discovery;
mod faults;
mod identity;
mod node;
mod openers;
mod probe;
mod registry;
mod source;

use std::path::PathBuf;
use std::sync::Arc;

use mos_camera_core::plan::Explanation;
use mos_camera_core::{
    ControlValues, Device, DeviceId, Fault, StreamConfig, Transport, V4l2Source,
};

pub use registry::Registry;

use crate::backend::{Backend, Source};
use crate::libcamera;
use registry::Ask;

/// Where the kernel lists video nodes.
const SYSFS: &str = "/sys/class/video4linux";

/// Capture nodes of one transport.
#[derive(Debug, Clone)]
pub struct V4l2Backend {
    transport: Transport,
    sysfs: PathBuf,
    registry: Arc<Registry>,
    /// Paths that the operator named, of either backend: those nodes are listed under their names alone.
    taken: Vec<PathBuf>,
    named: Vec<(DeviceId, V4l2Source)>,
    /// What another backend drives through these nodes.
    others: Option<Arc<libcamera::Registry>>,
}

impl V4l2Backend {
    /// Capture nodes that are not on USB, and nodes `v4l2:<name>` that the operator named, wherever they are.
    pub fn new(named: Vec<(String, V4l2Source)>, registry: Arc<Registry>) -> Self {
        let id = |name: &str| DeviceId::new(Transport::V4l2, name);
        Self {
            transport: Transport::V4l2,
            sysfs: SYSFS.into(),
            registry,
            taken: named
                .iter()
                .map(|(_, source)| source.path.clone())
                .collect(),
            named: named
                .into_iter()
                .map(|(name, source)| (id(&name), source))
                .collect(),
            others: None,
        }
    }

    /// Leaves the nodes that libcamera drives to libcamera, but for those that the operator gave a name of V4L2's.
    #[must_use]
    pub fn beside(self, others: Arc<libcamera::Registry>) -> Self {
        Self {
            others: Some(others),
            ..self
        }
    }

    /// Capture nodes of USB cameras, `usb:<vendor>:<product>:<serial or port path>`.
    ///
    /// `taken` are paths of nodes that the other backend lists by name.
    pub fn usb(registry: Arc<Registry>, taken: Vec<PathBuf>) -> Self {
        Self {
            transport: Transport::UsbUvc,
            sysfs: SYSFS.into(),
            registry,
            taken,
            named: Vec::new(),
            others: None,
        }
    }
}

impl Backend for V4l2Backend {
    fn transport(&self) -> Transport {
        self.transport
    }

    fn discover(&self) -> Result<Vec<Device>, Fault> {
        discovery::devices(self, Ask::All)
    }

    fn discover_again(&self) -> Result<Vec<Device>, Fault> {
        discovery::devices(self, Ask::NewOnes)
    }

    fn explain(&self, device: &DeviceId, config: &StreamConfig) -> Result<Explanation, Fault> {
        let node = discovery::find(self, device)?;
        source::explain(&node, config)
    }

    fn source(&self, device: &DeviceId, config: &StreamConfig) -> Result<Source, Fault> {
        let node = discovery::find(self, device)?;
        source::build(&node, config)
    }

    fn set_controls(&self, device: &DeviceId, values: &ControlValues) -> Result<(), Fault> {
        let target = discovery::find(self, device)?;
        controls::set(&target.id, &target.path, values)
    }

    fn classify(&self, device: &DeviceId, error: &gst::message::Error) -> Fault {
        faults::classify(device, error)
    }

    /// Nothing to do beside closing the node, which the pipeline did: V4L2 has no reset.
    fn reset(&self, device: &DeviceId) -> Result<(), Fault> {
        discovery::find(self, device).map(drop)
    }
}
