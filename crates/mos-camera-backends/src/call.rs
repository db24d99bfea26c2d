//! Sources that talk to their camera beside the pipeline: when they begin, and when they end.

use std::fmt;

use mos_camera_core::Fault;

/// What a source does beside its elements' own changes of state. Its faults come as messages of its bin.
pub trait Call: Send + Sync + fmt::Debug {
    /// The pipeline is about to start.
    fn begin(&self) -> Result<(), Fault>;

    /// The pipeline was started: all its elements have been told.
    fn begun(&self);

    /// The pipeline is about to stop; returns at once.
    fn hang_up(&self);

    /// The pipeline is down: waits, a short time at most, until the camera knows it. Does no harm twice.
    fn ended(&self);
}
