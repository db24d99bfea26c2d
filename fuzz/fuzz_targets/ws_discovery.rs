//! Datagrams of WS-Discovery, from anybody.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mos_frame_fuzz::ws_discovery(data));
