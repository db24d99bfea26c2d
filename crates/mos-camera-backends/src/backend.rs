//! The one trait that every transport implements.

use std::fmt;
use std::sync::Arc;

use gstmos::origins::Origins;
use mos_camera_core::plan::Explanation;
use mos_camera_core::{
    ControlValues, Device, DeviceId, Fault, FaultKind, FixedPool, StreamConfig, Transport,
};

use crate::built::Built;
use crate::call::Call;
use crate::intact::Corrupt;
use crate::kept::Kept;
use crate::session::{Late, Session};

/// A transport: finds cameras, builds their sources, explains their faults.
///
/// All methods may block on I/O; call them off the async runtime.
pub trait Backend: Send + Sync + fmt::Debug {
    /// The transport that this backend drives.
    fn transport(&self) -> Transport;

    /// The cameras that are there now, with what they offer, sorted by id.
    fn discover(&self) -> Result<Vec<Device>, Fault>;

    /// The same after an event that says that some came or went: what is known of those that were asked before will do, so
    /// that a camera that is gone is told of without asking all others again.
    fn discover_again(&self) -> Result<Vec<Device>, Fault> {
        self.discover()
    }

    /// Cameras that are there whatever a look gives: they are listed also when it fails.
    fn certain(&self) -> Vec<Device> {
        Vec::new()
    }

    /// Whether a look can tell that a camera is not there. Where nothing can, building its source says why.
    fn can_look(&self) -> bool {
        true
    }

    /// How the device's pictures would become NV12 here and now, and why not otherwise.
    ///
    /// No way at all is an answer ([`Explanation::chosen`] is none), not a fault. May open the device for a moment.
    fn explain(&self, device: &DeviceId, config: &StreamConfig) -> Result<Explanation, Fault>;

    /// Builds, but does not start, the source of a stream.
    fn source(&self, device: &DeviceId, config: &StreamConfig) -> Result<Source, Fault>;

    /// Sets camera controls, also while the camera streams. The first that the device refuses is the fault; those before
    /// it are set. Never called without any.
    fn set_controls(&self, device: &DeviceId, _values: &ControlValues) -> Result<(), Fault> {
        Err(Fault::new(
            FaultKind::Unsupported,
            format!("{device} has no controls"),
            "leave `controls` out of the stream's configuration",
        ))
    }

    /// Turns an error that an element of the source posted into a fault with advice.
    fn classify(&self, device: &DeviceId, error: &gst::message::Error) -> Fault;

    /// Looks at a message of an element of the source that is no error by itself: a fault if it ends the stream.
    fn notice(&self, _device: &DeviceId, _message: &gst::message::Element) -> Option<Fault> {
        None
    }

    /// Resets the device as far as the transport can; the pipeline is down while this runs.
    fn reset(&self, device: &DeviceId) -> Result<(), Fault>;
}

/// The built source of a stream.
#[derive(Debug)]
pub struct Source {
    /// A bin with one ghost pad `src` that gives raw NV12 video; downstream is `mosnv12contract`.
    pub bin: gst::Bin,
    /// What it is made of. A source that learns only in its session what to decode is finished while it runs.
    pub built: Built,
    /// Pictures that it dropped because they were broken.
    pub corrupt: Corrupt,
    /// Frames that it dropped because they were late.
    pub late: Late,
    /// What it finds out about its session, if it has one.
    pub session: Session,
    /// Of a network camera: when its frames were captured and arrived.
    pub origins: Option<Origins>,
    /// What it does beside its elements, if anything.
    pub call: Option<Arc<dyn Call>>,
    /// How many buffers it has, where it takes no wishes.
    pub pool: Option<FixedPool>,
    /// Its frames are in memory that its owner closes when the source stops: the bus gives them back first.
    pub lent: bool,
    /// An element of the bin that stays open when the pipeline is down.
    pub keep: Option<Kept>,
}
