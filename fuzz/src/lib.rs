//! What reads network cameras, out of `mos-camera-backends` and without the rest of it: that links GStreamer, TLS and HTTP, which
//! take many minutes to build with the fuzzer's flags and have nothing to do with it. The files are the shipped ones.

#![allow(dead_code, unused_imports, reason = "what writes requests is in the same files")]

mod http;
mod onvif;
mod rtsp;
mod whep;

pub use onvif::fuzzing::{http_challenge, soap_answer, ws_discovery};
pub use rtsp::fuzzing::camera_urls;
pub use whep::fuzzing::{ice_links, session_description};
