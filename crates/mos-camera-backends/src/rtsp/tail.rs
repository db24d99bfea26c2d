//! What stands behind the session once it is known what the camera sends: `depayloader ! queue ! <decoder to NV12>`.

use std::sync::{Arc, Mutex, PoisonError};

use gst::prelude::*;
use mos_camera_core::sdp::Codec;
use mos_camera_core::{DeviceId, Fault, FaultKind};

use super::choice::Choice;
use crate::backend::Source;
use crate::elements::{factory_name, make, make_steps};
use crate::{intact, spare};

/// The tail of a source: none before its first session, another one when the camera changes its codec.
#[derive(Debug, Clone)]
pub(super) struct Tail {
    device: DeviceId,
    source: Parts,
    built: Arc<Mutex<Option<Chain>>>,
}

/// Of the source, without keeping it alive.
#[derive(Debug, Clone)]
struct Parts {
    bin: gst::glib::WeakRef<gst::Bin>,
    built: crate::built::Built,
    corrupt: intact::Corrupt,
    late: crate::session::Late,
}

/// A tail that was built.
#[derive(Debug)]
struct Chain {
    rule: (Codec, String),
    elements: Vec<gst::Element>,
}

impl Tail {
    pub(super) fn new(device: &DeviceId, source: &Source) -> Self {
        Self {
            device: device.clone(),
            source: Parts {
                bin: source.bin.downgrade(),
                built: source.built.clone(),
                corrupt: source.corrupt.clone(),
                late: source.late.clone(),
            },
            built: Arc::default(),
        }
    }

    /// Links the session's new pad to a tail for what was chosen; the tail of another codec makes way.
    pub(super) fn attach(&self, pad: &gst::Pad, choice: &Choice) -> Result<(), Fault> {
        let Some(bin) = self.source.bin.upgrade() else {
            return Ok(());
        };
        let mut built = self.built.lock().unwrap_or_else(PoisonError::into_inner);
        let rule = (choice.codec, choice.plan.rule.clone());
        if built.as_ref().is_none_or(|chain| chain.rule != rule) {
            if let Some(old) = built.take() {
                remove(&bin, &old.elements);
            }
            let elements = self.build(&bin, choice)?;
            *built = Some(Chain { rule, elements });
        }
        let first = built.as_ref().and_then(|chain| chain.elements.first());
        let sink = first.and_then(|depay| depay.static_pad("sink"));
        match sink {
            // A camera that announces its track twice gets no second one.
            Some(sink) if sink.is_linked() => Ok(()),
            Some(sink) => pad
                .link(&sink)
                .map(drop)
                .map_err(|error| self.unfit(&error)),
            None => Err(self.unfit(&"no depayloader")),
        }
    }

    fn build(&self, bin: &gst::Bin, choice: &Choice) -> Result<Vec<gst::Element>, Fault> {
        let (depay, queue) = (make(depayloader(choice.codec))?, make("queue")?);
        if depay.find_property("wait-for-keyframe").is_some() {
            // Wait for a key frame after loss instead of showing smeared pictures.
            depay.set_property("wait-for-keyframe", true);
        }
        if depay.find_property("request-keyframe").is_some() {
            depay.set_property("request-keyframe", true);
        }
        spare::install(&queue, &self.source.late);
        if choice.codec == Codec::Jpeg {
            self.drop_broken(&depay);
        }
        let elements: Vec<_> = [depay, queue]
            .into_iter()
            .chain(make_steps(&choice.plan)?)
            .collect();
        self.count_lost(&elements);
        add(bin, &elements).map_err(|error| self.unfit(&error))?;
        let chain = ["rtspsrc".to_owned()]
            .into_iter()
            .chain(elements.iter().filter_map(factory_name));
        self.source
            .built
            .replace(chain.collect(), choice.plan.clone());
        Ok(elements)
    }

    /// A picture that lost packets is not decoded.
    fn drop_broken(&self, depay: &gst::Element) {
        if let Some(pad) = depay.static_pad("src") {
            intact::guard(&pad, &self.device, &self.source.corrupt);
        }
    }

    fn count_lost(&self, elements: &[gst::Element]) {
        let is_jpegdec =
            |element: &&gst::Element| factory_name(element).as_deref() == Some("jpegdec");
        if let Some(decoder) = elements.iter().find(is_jpegdec) {
            intact::count_lost(decoder, &self.device, &self.source.corrupt);
        }
    }

    fn unfit(&self, error: &dyn std::fmt::Display) -> Fault {
        Fault::new(
            FaultKind::Internal,
            format!("{}: can't take the camera's stream: {error}", self.device),
            "the versions of the installed GStreamer plugins may not fit together",
        )
    }
}

const fn depayloader(codec: Codec) -> &'static str {
    match codec {
        Codec::H264 => "rtph264depay",
        Codec::H265 => "rtph265depay",
        Codec::Vp8 => "rtpvp8depay",
        Codec::Jpeg => "rtpjpegdepay",
    }
}

/// Puts a linked tail behind the bin's pad, and starts it from its end on.
fn add(bin: &gst::Bin, elements: &[gst::Element]) -> Result<(), gst::glib::BoolError> {
    bin.add_many(elements)?;
    gst::Element::link_many(elements)?;
    let end = elements.last().and_then(|last| last.static_pad("src"));
    let ghost = bin.static_pad("src").and_downcast::<gst::GhostPad>();
    if let Some(ghost) = ghost {
        ghost.set_target(end.as_ref())?;
    }
    elements
        .iter()
        .rev()
        .try_for_each(gst::Element::sync_state_with_parent)
}

/// Takes a tail out. Nothing flows in it: the session's pad, which was linked to it, is gone.
fn remove(bin: &gst::Bin, elements: &[gst::Element]) {
    for element in elements {
        // Going down to NULL can't fail, and it is in this bin (GstElement's and GstBin's documentation).
        let _down = element.set_state(gst::State::Null);
        let _removed = bin.remove(element);
    }
}
