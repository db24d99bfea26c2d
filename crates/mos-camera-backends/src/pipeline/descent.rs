//! Brings a pipeline down, also when its source can't be brought down.
//!
//! GStreamer's documentation says that going down can't fail, but elements whose service is gone do fail there: Qualcomm's camera
//! source asks a dead service to stop the stream (`qmmfsrc_change_state` in `qualcomm/gst-plugins-imsdk`). A bin gives up at such an
//! element, and would leave all others running, with the stream's socket.

use std::sync::atomic::{AtomicBool, Ordering};

use gst::prelude::*;
use mos_camera_core::{Fault, FaultKind};

use crate::kept::Kept;

/// The way down of one pipeline.
#[derive(Debug)]
pub(super) struct Descent {
    source: gst::Bin,
    /// What has to let go of frames before the source closes their memory. A sink does so last of all by itself: when it goes from
    /// READY to NULL, while a source may end its stream between PAUSED and READY.
    first: Option<gst::Element>,
    keep: Option<Kept>,
    /// Whether the pipeline has the element that is kept.
    taken: AtomicBool,
    stuck: AtomicBool,
}

impl Descent {
    pub(super) fn new(source: &gst::Bin, first: Option<gst::Element>, keep: Option<Kept>) -> Self {
        Self {
            source: source.clone(),
            first,
            keep,
            taken: AtomicBool::new(false),
            stuck: AtomicBool::new(false),
        }
    }

    /// Whether the source could not be brought down: it is of no use any more.
    pub(super) fn is_stuck(&self) -> bool {
        self.stuck.load(Ordering::Relaxed)
    }

    /// Before the pipeline starts: has it own the element that is kept, if any.
    pub(super) fn take_kept(&self) -> Result<(), Fault> {
        let Some(kept) = &self.keep else {
            return Ok(());
        };
        if self.taken.load(Ordering::Relaxed) {
            return Ok(());
        }
        kept.keeper.take(&kept.element)?;
        // From here on its keeper gives it to nobody else; it may have done so before.
        let here = Some(self.source.upcast_ref::<gst::Object>());
        if kept.element.parent().as_ref() != here {
            kept.keeper.landed(&kept.element, true);
            return Err(given_away());
        }
        kept.element.set_locked_state(false);
        self.taken.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Brings the pipeline down; what can't be is taken out of it.
    pub(super) fn go(&self, pipeline: &gst::Pipeline) {
        let taken = self.taken.swap(false, Ordering::Relaxed);
        let Some(kept) = self.keep.as_ref().filter(|_| taken) else {
            return self.fall(pipeline);
        };
        kept.keeper.falls(&kept.element);
        // It comes last: none of its frames waits in an element that is still up.
        kept.element.set_locked_state(true);
        self.fall(pipeline);
        let down = land(&kept.element);
        if !down {
            self.stuck.store(true, Ordering::Relaxed);
            silence(&kept.element);
            let _kept = self.source.remove(&kept.element);
        }
        kept.keeper.landed(&kept.element, down);
        if !down {
            abandon(vec![kept.element.clone()]);
        }
    }

    fn fall(&self, pipeline: &gst::Pipeline) {
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
            .filter(|element| !self.keeps(element) && stays_up(element))
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

    fn keeps(&self, element: &gst::Element) -> bool {
        self.keep
            .as_ref()
            .is_some_and(|kept| kept.element == *element)
    }
}

/// Brings an element down that is kept. One that was not opened stays closed.
fn land(element: &gst::Element) -> bool {
    element.current_state() <= gst::State::Ready || element.set_state(gst::State::Ready).is_ok()
}

fn given_away() -> Fault {
    Fault::new(
        FaultKind::Busy,
        "the camera's element is in the pipeline of a newer stream",
        "stop the other stream of the camera",
    )
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
