//! SDP of an RTSP camera, and the SDP that answers a WHEP offer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mos_frame_fuzz::session_description(data));
