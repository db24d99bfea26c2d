//! Any packets from a peer to a producer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mos_frame::fuzzing::wire_from_subscriber(data));
