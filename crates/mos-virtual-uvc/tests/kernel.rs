//! The kernel's uvcvideo on virtual cameras: what a camera declares, streams and spoils arrives at its node.
//!
//! Needs root, `vhci_hcd`, `uvcvideo`, v4l-utils and GStreamer's tools: the lab has them (`lab/tests/uvc-camera.sh`).

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "kernel/faults.rs"]
mod faults;
#[path = "kernel/host.rs"]
mod host;
#[path = "kernel/lies.rs"]
mod lies;
#[path = "kernel/plugging.rs"]
mod plugging;
#[path = "kernel/program.rs"]
mod program;
#[path = "kernel/streaming.rs"]
mod streaming;
