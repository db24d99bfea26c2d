//! A stream of the frame bus for stock GStreamer: `unixfdsrc` (gst-plugins-bad, 1.24 and later) reads it with none of our code.
//!
//! ```text
//! mos-unixfd front --socket /run/mos-camera/front.unixfd
//! gst-launch-1.0 unixfdsrc socket-path=/run/mos-camera/front.unixfd ! videoconvert ! autovideosink
//! ```
//!
//! The protocol has a weakness: a descriptor that was written into a socket can't be taken back, so a client that stops would
//! keep what it was sent. Here that is fenced off. The endpoint is a process beside the producer, and each of its clients
//! is a subscriber of the bus of its own, with a window and a hold: the bus takes back what was not sent, no more than
//! the hold is sent, and a client that has it all and gives nothing back is cut off. Neither the producer nor another
//! client notices. `docs/interoperation.md` has the protocol's bytes and the limits.

mod client;
mod describe;
mod endpoint;
mod ledger;
mod options;
mod socket;
mod wire;

pub use client::{ClientStats, End};
pub use describe::Unsupported;
pub use endpoint::{Endpoint, EndpointStats};
pub use options::{DmabufCaps, Options};
pub use socket::BindError;
pub use wire::Garbage;
