//! Cameras by transport, behind one trait, and the pipeline that brings any of them onto the frame bus.
//!
//! A [`Backend`] finds the cameras of its transport, builds the source of a stream and turns the errors of its elements
//! into faults with advice. [`CapturePipeline`] is the same for all of them: source, contract gate, tee, bus.
//! Every transport's folder holds the same files: `discovery` (what is there), `source` (the elements), `faults` (what
//! their errors mean).

pub mod backend;
mod elements;
mod guard;
pub mod pipeline;
mod posted;
mod report;
pub mod rtsp;
#[cfg(feature = "development")]
pub mod test;
pub mod v4l2;

pub use backend::{Backend, Source};
pub use pipeline::{BusSettings, CapturePipeline, PipelineEvent, Stats};
pub use rtsp::RtspBackend;
#[cfg(feature = "development")]
pub use test::TestBackend;
pub use v4l2::V4l2Backend;

use std::sync::Arc;

use mos_camera_core::SourceConfig;

/// Makes GStreamer and the project's elements ready; call it before anything else here. Does no harm twice.
pub fn init() -> Result<(), gst::glib::Error> {
    gst::init()?;
    gstmos::plugin_register_static()
        .map_err(|error| gst::glib::Error::new(gst::CoreError::Failed, &error.message))
}

/// Every backend of this build, one per transport, with the cameras that the operator named.
///
/// Test cameras are left out of a production build, which has no backend for them.
pub fn all(cameras: impl IntoIterator<Item = (String, SourceConfig)>) -> Vec<Arc<dyn Backend>> {
    #[cfg_attr(
        not(feature = "development"),
        allow(
            unused_variables,
            clippy::collection_is_never_read,
            reason = "no backend takes them"
        )
    )]
    let (mut test, mut rtsp, mut v4l2) = (Vec::new(), Vec::new(), Vec::new());
    for (name, camera) in cameras {
        match camera {
            SourceConfig::Test(camera) => test.push((name, camera)),
            SourceConfig::Rtsp(camera) => rtsp.push((name, camera)),
            SourceConfig::V4l2(camera) => v4l2.push((name, camera)),
        }
    }
    vec![
        #[cfg(feature = "development")]
        Arc::new(TestBackend::new(test)),
        Arc::new(RtspBackend::new(rtsp)),
        Arc::new(V4l2Backend::new(v4l2)),
        Arc::new(V4l2Backend::usb()),
    ]
}
