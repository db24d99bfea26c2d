#[path = "../../../../crates/mos-camera-backends/src/onvif/wsd/message.rs"]
pub(super) mod message;
