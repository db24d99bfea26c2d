//! ONVIF cameras against a peer in another language that checks log-ins, tells what it was asked, and misbehaves on command:
//! `tests/peers/onvif_camera.py`.

#![cfg(feature = "development")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod discovery;
mod encoder;
mod ipycam;
mod logins;
mod rig;
mod spoiled;
mod stream;
mod wire;
