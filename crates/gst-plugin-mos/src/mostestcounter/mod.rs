//! `mostestcounter`: burns the number of each frame into the picture, so that whoever gets it can read it back.
//!
//! The number is the buffer's offset (its frame number at a live source), or a count of its own where there is none.
//! See [`crate::counter`] for its form. Development builds only.
//!
//! ```text
//! gst-launch-1.0 videotestsrc is-live=true ! video/x-raw,format=NV12,width=640,height=480 \
//!   ! mostestcounter ! mosnv12contract ! mosframesink stream=test
//! ```

mod imp;

use gst::prelude::*;

gst::glib::wrapper! {
    /// The element `mostestcounter`.
    pub struct MosTestCounter(ObjectSubclass<imp::Counter>) @extends gst_base::BaseTransform, gst::Element, gst::Object;
}

pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), gst::glib::BoolError> {
    gst::Element::register(
        Some(plugin),
        "mostestcounter",
        gst::Rank::NONE,
        MosTestCounter::static_type(),
    )
}
