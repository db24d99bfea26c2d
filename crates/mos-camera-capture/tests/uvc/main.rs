//! The service and USB cameras: plugging in and out, who is who, controls, and cameras that misbehave.
//!
//! The cameras are virtual ones behind the kernel's own `uvcvideo` (`mos-virtual-uvc`), the bystander is the kernel's `vivid`.
//! It needs root and both drivers: the lab has them (`lab/tests/uvc-hotplug.sh`).

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../service/harness.rs"]
#[allow(dead_code, reason = "the target `service` uses more of it")]
mod harness;
mod rig;

mod cameras_that_misbehave;
mod controls;

mod cycles;
mod formats;
mod identity;
mod lies;
mod nodes;
mod plugging;
mod without_udev;
