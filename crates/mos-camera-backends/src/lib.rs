//! Cameras by transport, behind one trait, and the pipeline that brings any of them onto the frame bus.
//!
//! A [`Backend`] finds the cameras of its transport, builds the source of a stream and turns the errors of its elements
//! into faults with advice. [`CapturePipeline`] is the same for all of them: source, contract gate, tee, bus.
//! [`platform`] finds out on which machine all this runs.
//! Every transport's folder holds the same files: `discovery` (what is there), `source` (the elements), `faults` (what
//! their errors mean).

pub mod backend;
mod built;
pub mod call;
mod capabilities;
mod capture;
mod elements;
#[cfg(test)]
mod fuzzing;
mod guard;
pub mod http;
mod intact;
pub mod kept;
pub mod libcamera;
pub mod machine;
pub mod onvif;
pub mod pipeline;
pub mod platform;
mod posted;
pub mod qmmf;
mod report;
pub mod rtsp;
mod session;
mod spare;
mod stamps;
#[cfg(feature = "development")]
pub mod test;
pub mod v4l2;
pub mod whep;

pub use backend::{Backend, Source};
pub use built::Built;
pub use call::Call;
pub use intact::Corrupt;
pub use kept::{Keeper, Kept};
pub use libcamera::LibcameraBackend;
pub use onvif::OnvifBackend;
pub use pipeline::{BusSettings, CapturePipeline, PipelineEvent, Stats};
pub use qmmf::QmmfBackend;
pub use rtsp::RtspBackend;
pub use session::{Late, Session};
#[cfg(feature = "development")]
pub use test::TestBackend;
pub use v4l2::{Registry, V4l2Backend};
pub use whep::WhepBackend;

use std::sync::LazyLock;

/// Makes GStreamer and the project's elements ready; call it before anything else here. Does no harm twice.
pub fn init() -> Result<(), gst::glib::Error> {
    // Once only: a second registration would replace the factories of elements that are in use.
    static READY: LazyLock<Result<(), gst::glib::Error>> = LazyLock::new(|| {
        gst::init()?;
        gstmos::plugin_register_static()
            .map_err(|error| gst::glib::Error::new(gst::CoreError::Failed, &error.message))
    });
    READY.clone()
}
