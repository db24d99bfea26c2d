//! RTSP cameras of all kinds, against gst-rtsp-server and against scripts.

#![cfg(feature = "development")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod carriers;
mod codecs;
#[path = "../conformance/mod.rs"]
mod conformance;
mod keep_alive;
mod malformed;
mod rig;
mod second_opinion;
mod tls;
mod tracks;
