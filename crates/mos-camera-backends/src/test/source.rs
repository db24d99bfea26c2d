//! The elements of a generated camera: `videotestsrc ! capsfilter ! mostestcounter`.

use gst::prelude::*;
use mos_camera_core::plan::{Explanation, Handover, Offer, Wish, validate};
use mos_camera_core::{
    DeviceId, Fault, FaultKind, Framerate, StreamConfig, TestPattern, TestSource,
};

use super::discovery::capabilities;
use crate::backend::Source;
use crate::elements::{make, source_bin};
use crate::machine;

/// Size in pixels where none is asked for.
const SIZE: (u32, u32) = (640, 480);
/// Frames per second where none are asked for.
const RATE: (u32, u32) = (30, 1);

/// Builds the source.
pub(super) fn build(
    camera: &TestSource,
    device: &DeviceId,
    config: &StreamConfig,
) -> Result<Source, Fault> {
    validate(config, &capabilities()).map_err(|error| {
        Fault::new(
            FaultKind::Unsupported,
            error.to_string(),
            "change the stream's configuration",
        )
    })?;
    let plan = explain(config).into_plan(device)?;
    let source = make("videotestsrc")?;
    source.set_property("is-live", true);
    set_pattern(&source, camera.pattern);
    let filter = make("capsfilter")?;
    filter.set_property("caps", caps(config));
    source_bin(device, &[source, filter, make("mostestcounter")?], plan)
}

/// The CPU draws NV12 into whatever memory it is offered. The caps are [`caps`]: it draws in any size, so none is picked.
pub(super) fn explain(config: &StreamConfig) -> Explanation {
    let offer = Offer::new(&capabilities(), |_| vec![Handover::Drawn]);
    let wish = Wish {
        size: config.size.or(Some(SIZE)),
        rate: config.framerate.or(Framerate::new(RATE.0, RATE.1)),
        subscribers: config.max_subscribers,
    };
    machine::explained(&offer, wish)
}

/// Chooses the picture, and motion where it is affordable.
///
/// CPU time of one 640x480 NV12 frame (GStreamer 1.22, 2 GHz class server core): bars in motion 0.3 ms, the ball 1.8 ms, a
/// gradient in motion 2.3 ms, but 0.03 ms standing still, as `videotestsrc` then copies the first picture. So the
/// gradient stands still, and only the frame counter moves on it.
fn set_pattern(source: &gst::Element, pattern: TestPattern) {
    let (name, pixels_per_frame) = match pattern {
        TestPattern::Ball => ("ball", 0),
        TestPattern::Smpte => ("smpte75", 4),
        TestPattern::Gradient => ("gradient", 0),
    };
    source.set_property_from_str("pattern", name);
    source.set_property("horizontal-speed", pixels_per_frame);
}

fn caps(config: &StreamConfig) -> gst::Caps {
    let (width, height) = config.size.unwrap_or(SIZE);
    let (num, den) = config
        .framerate
        .map_or(RATE, |rate| (rate.num(), rate.den()));
    gst::Caps::builder("video/x-raw")
        .field("format", "NV12")
        .field("width", width as i32)
        .field("height", height as i32)
        .field("framerate", gst::Fraction::new(num as i32, den as i32))
        .build()
}
