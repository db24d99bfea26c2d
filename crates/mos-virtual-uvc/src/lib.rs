//! A USB camera in user space, for tests of what uses cameras.
//!
//! The kernel's own driver `uvcvideo` binds to it, as to any camera that follows the USB Video Class 1.1: there is a
//! `/dev/videoN`, with formats, controls and frames, and it goes away when the camera is unplugged. Below it is the kernel's
//! virtual USB host `vhci_hcd`, which passes requests on by the messages of USB/IP; here they come over a pair of sockets, without
//! the usbip tools and without a network. It needs root and `modprobe vhci_hcd uvcvideo`.
//!
//! ```no_run
//! use std::time::Duration;
//! use mos_virtual_uvc::{Camera, CameraConfig, Fault};
//!
//! # fn main() -> Result<(), mos_virtual_uvc::Error> {
//! let camera = Camera::plug(&CameraConfig::default())?;
//! // ... something opens camera.nodes()[0] ...
//! camera.wait_frames(10, Duration::from_secs(30))?;
//! camera.set_fault(Fault::Stall)?;
//! // ... the frames stop ...
//! camera.unplug()?;
//! # Ok(())
//! # }
//! ```
//!
//! # Frames
//!
//! A gradient with the frame's number at the top left, in the blocks that the generated cameras have as well (see
//! `gstmos::counter`), if the picture has 192x64 pixels or more. Numbers start with 0 at plugging and go on whatever is restarted.
//!
//! # Faults
//!
//! Any number of them, from the start ([`CameraConfig::faults`]) or later ([`Camera::set_fault`]).
//!
//! | Fault | Text | What a reader of the node sees (Linux 6.12) |
//! |---|---|---|
//! | [`Fault::Stall`] | `stall` | no more frames, no error |
//! | [`Fault::ShortFrames`] | `short-frames` | half JPEGs; raw frames are dropped by the kernel |
//! | [`Fault::CorruptJpeg`] | `corrupt-jpeg` | JPEGs with garbage in them |
//! | [`Fault::NoEoi`] | `no-eoi` | JPEGs without an end marker |
//! | [`Fault::WrongSize`] | `wrong-size` | JPEGs of half the width and height; raw frames are dropped by the kernel |
//! | [`Fault::ErrorBit`] | `error-bit` | frames are dropped by the kernel |
//! | [`Fault::VanishDuringEnumeration`] | `vanish:N` | no node; or the node goes, if it is set later |
//! | [`Fault::SlowControls`] | `slow-controls:MS` | slow opening and controls; time-outs from 5 s on |
//! | [`Fault::ControlStall`] | `control-stall:NAME` | an error for this control |
//! | [`Fault::Lie`] | `lie:NAME` | see below |
//!
//! | Lie | Text | What Linux 6.12 makes of it |
//! |---|---|---|
//! | [`Lie::TooManyFormats`] | `too-many-formats` | works as without, unless all descriptors are shorter than what the header would need: then no node |
//! | [`Lie::NoFormats`] | `no-formats` | no node |
//! | [`Lie::ZeroBufferSize`] | `zero-buffer-size` | JPEG can't be streamed (`EINVAL`, and a warning in the kernel's log); raw formats work |
//! | [`Lie::HugeBufferSize`] | `huge-buffer-size` | JPEG can't be streamed (`ENOMEM`); raw formats work |
//! | [`Lie::ZeroInterval`] | `zero-interval` | offers 10000000 fps; works |
//! | [`Lie::TooManyIntervals`] | `too-many-intervals` | no node |
//! | [`Lie::Overrun`], [`Lie::ZeroLength`] | `overrun`, `zero-length` | a node that can't be streamed from (`EIO`): the endpoint's descriptor is lost |
//! | [`Lie::ZeroSize`] | `zero-size` | offers 0x0; JPEG of the real size arrives, raw formats can't be streamed (`EINVAL`) |
//! | [`Lie::AbsurdSize`] | `absurd-size` | offers 65535x65535; JPEG of the real size arrives, raw formats can't be streamed (`ENOMEM`) |
//!
//! "Comes back as another camera" is unplugging it and plugging another [`CameraConfig`] into the same port.
//!
//! # Structure
//!
//! Pure: `usbip` (messages), `descriptors`, `control`, `negotiate`, `device` (answers on the control endpoint), `jpeg`, `picture`,
//! `stream` (frames as payloads), `session` (requests in, answers out, the time handed in). Edges: `serve` (the socket), `vhci` (sysfs).

mod camera;
mod config;
mod control;
pub mod counter;
mod descriptors;
mod device;
mod error;
mod fault;
mod jpeg;
mod negotiate;
mod observer;
mod picture;
mod serve;
mod session;
mod stats;
mod stream;
pub mod usbip;
mod vhci;

pub use camera::Camera;
pub use config::{CameraConfig, FormatKind, FormatSpec};
pub use control::{ControlId, ControlSpec};
pub use error::Error;
pub use fault::{Fault, Lie};
pub use observer::Observer;
pub use stats::{Stats, Streaming};
