//! `mosbenchsrc`: a live source whose frames cost nothing, so that painting them does not drown what carries them.
//!
//! It paces itself by the pipeline's clock, as a live `videotestsrc` does, and takes its buffers the same way: from the
//! pool that downstream offers, else from a pool of its own with downstream's allocator. It leaves the pixels alone.

mod imp;

use gst::glib;
use gst::prelude::*;

glib::wrapper! {
    /// The element `mosbenchsrc`.
    pub struct BenchSrc(ObjectSubclass<imp::BenchSrc>)
        @extends gst_base::BaseSrc, gst::Element, gst::Object;
}

/// Makes the element known to this process.
pub(super) fn register() -> Result<(), glib::BoolError> {
    gst::Element::register(
        None,
        "mosbenchsrc",
        gst::Rank::NONE,
        BenchSrc::static_type(),
    )
}
