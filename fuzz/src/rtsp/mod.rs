#[path = "../../../crates/mos-camera-backends/src/rtsp/fuzzing.rs"]
pub(crate) mod fuzzing;
#[path = "../../../crates/mos-camera-backends/src/rtsp/url.rs"]
mod url;
