//! `WWW-Authenticate` and `Date` of a camera's answer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mos_frame_fuzz::http_challenge(data));
