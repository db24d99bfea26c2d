//! URLs of cameras, as they name them themselves or as somebody writes them.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mos_frame_fuzz::camera_urls(data));
