//! Any words on a board and in a lease page, to a subscriber.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mos_frame::fuzzing::board(data));
