//! Brings a pipeline down, also when its source can't be brought down.
//!
//! GStreamer's documentation says that going down can't fail, but elements whose service is gone do fail there: Qualcomm's camera
//! source asks a dead service to stop the stream (`qmmfsrc_change_state` in `qualcomm/gst-plugins-imsdk`). A bin gives up at such an
//! element, and would leave all others running, with the stream's socket.

use std::sync::atomic::{AtomicBool, Ordering};

use gst::prelude::*;

/// The way down of one pipeline.
#[derive(Debug)]
pub(super) struct Descent {
    source: gst::Bin,
    /// What has to let go of frames before the source closes their memory. A sink does so last of all by itself: when it goes from
    /// READY to NULL, while a source may end its stream between PAUSED and READY.
    first: Option<gst::Element>,
    stuck: AtomicBool,
}

impl Descent {
    pub(super) fn new(source: &gst::Bin, first: Option<gst::Element>) -> Self {
        Self {
            source: source.clone(),
            first,
            stuck: AtomicBool::new(false),
        }
    }

    /// Whether the source could not be brought down: it is of no use any more.
    pub(super) fn is_stuck(&self) -> bool {
        self.stuck.load(Ordering::Relaxed)
    }

    /// Brings the pipeline down; what can't be is taken out of it.
    pub(super) fn go(&self, pipeline: &gst::Pipeline) {
        if let Some(first) = &self.first {
            // The state of the pipeline does not bring it up again meanwhile: that takes a change of the pipeline's.
            let _down = first.set_state(gst::State::Null);
        }
        if pipeline.set_state(gst::State::Null).is_ok() {
            return;
        }
        self.source.set_locked_state(true);
        let _rest = pipeline.set_state(gst::State::Null);
        if self.stuck.swap(true, Ordering::Relaxed) {
            return;
        }
        let left: Vec<_> = self
            .source
            .children()
            .into_iter()
            .filter(stays_up)
            .collect();
        for element in &left {
            silence(element);
            // Out of the bin, which could not be freed with it.
            let _kept = self.source.remove(element);
        }
        self.source.set_locked_state(false);
        let _rest = pipeline.set_state(gst::State::Null);
        abandon(left);
    }
}

/// Tries an element by itself, whose bin had given up at another.
fn stays_up(element: &gst::Element) -> bool {
    element.set_state(gst::State::Null).is_err()
}

/// Ends its threads and gives back the frames that wait in it.
fn silence(element: &gst::Element) {
    for pad in element.src_pads() {
        // A pad that refuses has no thread.
        let _inactive = pad.set_active(false);
    }
}

/// GStreamer frees no element that is not down: what is left of it stays until the process ends.
fn abandon(elements: Vec<gst::Element>) {
    for element in elements {
        tracing::warn!(element = %element.name(), "an element could not be brought down and is left behind");
        std::mem::forget(element);
    }
}
