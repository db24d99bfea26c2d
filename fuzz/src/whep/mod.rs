#[path = "../../../crates/mos-camera-backends/src/whep/signalling/fuzzing.rs"]
pub(crate) mod fuzzing;
#[path = "../../../crates/mos-camera-backends/src/whep/signalling/link.rs"]
mod link;
#[path = "../../../crates/mos-camera-backends/src/whep/signalling/sdp.rs"]
mod sdp;
