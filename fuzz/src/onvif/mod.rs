#[path = "../../../crates/mos-camera-backends/src/onvif/address.rs"]
mod address;
#[path = "../../../crates/mos-camera-backends/src/onvif/calls/mod.rs"]
mod calls;
#[path = "../../../crates/mos-camera-backends/src/onvif/fuzzing.rs"]
pub(crate) mod fuzzing;
#[path = "../../../crates/mos-camera-backends/src/onvif/login/mod.rs"]
mod login;
#[path = "../../../crates/mos-camera-backends/src/onvif/random.rs"]
mod random;
#[path = "../../../crates/mos-camera-backends/src/onvif/soap/mod.rs"]
mod soap;
mod wsd;
