//! WebRTC sessions against aiortc: what the status tells of them, whose clock dates their frames, what changes in mid-stream,
//! and whom they send packets.

#![cfg(feature = "development")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod changes;
mod clocks;
#[path = "../conformance/mod.rs"]
mod conformance;
mod rig;
mod status;
mod traffic;
