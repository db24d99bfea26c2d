//! `Link` headers of a WHEP server.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mos_frame_fuzz::ice_links(data));
