//! V4L2 capture nodes: USB cameras, CSI receivers with a plain video node, virtual drivers.
//!
//! The same code serves two transports, since a USB camera is a V4L2 node with an identity of its own: one backend
//! lists the nodes on USB, another all others and those that the operator named.

mod capabilities;
mod discovery;
mod faults;
mod identity;
mod probe;
mod source;

use std::path::PathBuf;

use mos_camera_core::{Device, DeviceId, Fault, StreamConfig, Transport, V4l2Source};

use crate::backend::{Backend, Source};

/// Where the kernel lists video nodes.
const SYSFS: &str = "/sys/class/video4linux";

/// Capture nodes of one transport.
#[derive(Debug, Clone)]
pub struct V4l2Backend {
    transport: Transport,
    sysfs: PathBuf,
    named: Vec<(DeviceId, V4l2Source)>,
}

impl V4l2Backend {
    /// Capture nodes that are not on USB, and nodes `v4l2:<name>` that the operator named, wherever they are.
    pub fn new(named: Vec<(String, V4l2Source)>) -> Self {
        let id = |name: &str| DeviceId::new(Transport::V4l2, name);
        Self {
            transport: Transport::V4l2,
            sysfs: SYSFS.into(),
            named: named
                .into_iter()
                .map(|(name, source)| (id(&name), source))
                .collect(),
        }
    }

    /// Capture nodes of USB cameras, `usb:<vendor>:<product>:<serial or port path>`.
    pub fn usb() -> Self {
        Self {
            transport: Transport::UsbUvc,
            sysfs: SYSFS.into(),
            named: Vec::new(),
        }
    }
}

impl Backend for V4l2Backend {
    fn transport(&self) -> Transport {
        self.transport
    }

    fn discover(&self) -> Result<Vec<Device>, Fault> {
        discovery::devices(self)
    }

    fn source(&self, device: &DeviceId, config: &StreamConfig) -> Result<Source, Fault> {
        let node = discovery::find(self, device)?;
        source::build(&node, config)
    }

    fn classify(&self, device: &DeviceId, error: &gst::message::Error) -> Fault {
        faults::classify(device, error)
    }

    /// Nothing to do beside closing the node, which the pipeline did: V4L2 has no reset.
    fn reset(&self, device: &DeviceId) -> Result<(), Fault> {
        discovery::find(self, device).map(drop)
    }
}
