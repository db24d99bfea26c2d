//! What a camera answers to ONVIF's questions, by HTTP.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mos_frame_fuzz::soap_answer(data));
