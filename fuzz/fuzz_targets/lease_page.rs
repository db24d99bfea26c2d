//! Any words in a peer's lease page, to a producer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mos_frame::fuzzing::lease_page(data));
