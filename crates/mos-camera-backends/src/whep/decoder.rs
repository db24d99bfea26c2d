//! What stands behind `webrtcbin`: a depayloader and a decoder for the codec that the server sends, exchanged where it sends
//! another one.

use std::sync::{Arc, Mutex, PoisonError};

use gst::prelude::*;
use mos_camera_core::plan::Plan;
use mos_camera_core::{Fault, FaultKind};

use super::Camera;
use super::codecs::{Codec, by_encoding};
use crate::backend::Source;
use crate::built::Built;
use crate::elements::{factory_name, make, make_steps};
use crate::posted::post;
use crate::session::Session;

/// The part of a source that depends on the codec.
#[derive(Debug)]
pub(super) struct Decoder {
    bin: gst::glib::WeakRef<gst::Bin>,
    camera: Camera,
    decodable: Vec<(Codec, Plan)>,
    now: Mutex<Now>,
    built: Built,
    session: Session,
}

#[derive(Debug)]
struct Now {
    codec: Codec,
    elements: Vec<gst::Element>,
}

/// A depayloader that asks for a key frame and waits for it, at first and after each loss, instead of showing smeared
/// pictures.
pub(super) fn front(codec: Codec) -> Result<gst::Element, Fault> {
    let depay = make(codec.depayloader)?;
    for property in ["wait-for-keyframe", "request-keyframe"] {
        // Not every version of every depayloader has them.
        if depay.find_property(property).is_some() {
            depay.set_property(property, true);
        }
    }
    Ok(depay)
}

impl Decoder {
    /// The decoder of a source that was built for `codec`, of these elements.
    pub(super) fn new(
        source: &Source,
        camera: Camera,
        codec: Codec,
        decodable: Vec<(Codec, Plan)>,
        elements: &[gst::Element],
        session: &Session,
    ) -> Arc<Self> {
        Arc::new(Self {
            bin: source.bin.downgrade(),
            camera,
            decodable,
            now: Mutex::new(Now {
                codec,
                elements: elements.to_vec(),
            }),
            built: source.built.clone(),
            session: session.clone(),
        })
    }

    /// Takes what comes out of a pad of `webrtcbin`, whatever codec it turns out to be, now and later.
    ///
    /// Each payload type that is sent gets a pad (1.22). A server that goes back to one that it sent before goes on at that
    /// one's pad, which lost its decoder meanwhile and says nothing new.
    pub(super) fn take(self: &Arc<Self>, pad: &gst::Pad) {
        let what = gst::PadProbeType::EVENT_DOWNSTREAM
            | gst::PadProbeType::BUFFER
            | gst::PadProbeType::BUFFER_LIST;
        let decoder = Arc::downgrade(self);
        pad.add_probe(what, move |pad, info| {
            let told = match info.event().map(|event| event.view()) {
                Some(gst::EventView::Caps(caps)) => Some(caps.caps_owned()),
                Some(_) => None,
                None if pad.is_linked() => None,
                None => pad.current_caps(),
            };
            if let Some((caps, decoder)) = told.zip(decoder.upgrade()) {
                decoder.follow(pad, &caps);
            }
            gst::PadProbeReturn::Ok
        });
        if let Some(caps) = pad.current_caps() {
            self.follow(pad, &caps);
        }
    }

    fn follow(&self, pad: &gst::Pad, caps: &gst::CapsRef) {
        let encoding = caps
            .structure(0)
            .and_then(|s| s.get::<String>("encoding-name").ok())
            .unwrap_or_default();
        let result = by_encoding(&encoding)
            .ok_or_else(|| unexpected(&encoding))
            .and_then(|codec| self.link(pad, codec));
        if let (Err(fault), Some(bin)) = (result, self.bin.upgrade()) {
            post(&bin, &fault);
        }
    }

    /// Links a pad to the decoder of its codec. Called by the thread that the pad's packets come from, so none is under way.
    fn link(&self, pad: &gst::Pad, codec: Codec) -> Result<(), Fault> {
        let Some(bin) = self.bin.upgrade() else {
            return Ok(());
        };
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        if now.codec != codec {
            self.exchange(&bin, &mut now, codec)?;
        }
        *self.camera.codec() = Some(codec);
        self.session
            .update(|facts| codec.name.clone_into(&mut facts.codec));
        let sink = now
            .elements
            .first()
            .and_then(|depay| depay.static_pad("sink"))
            .ok_or_else(|| cannot("the depayloader has no sink pad"))?;
        match sink.peer() {
            Some(peer) if peer == *pad => return Ok(()),
            Some(peer) => {
                // Fails only if they are not linked (any more).
                let _unlinked = peer.unlink(&sink);
            }
            None => {}
        }
        pad.link(&sink)
            .map_err(|error| cannot(&error.to_string()))?;
        Ok(())
    }

    fn exchange(&self, bin: &gst::Bin, now: &mut Now, codec: Codec) -> Result<(), Fault> {
        let (_, plan) = self
            .decodable
            .iter()
            .find(|(known, _)| *known == codec)
            .ok_or_else(|| unexpected(codec.encoding))?;
        let mut elements = vec![front(codec)?];
        elements.extend(make_steps(plan)?);
        for old in now.elements.drain(..) {
            // What is taken out is gone, whether it likes it or not.
            let _down = old.set_state(gst::State::Null);
            let _out = bin.remove(&old);
        }
        now.elements = elements;
        now.codec = codec;
        put_in(bin, &now.elements).map_err(|error| cannot(&error))?;
        let webrtc = ["webrtcbin".to_owned()];
        let chain = now.elements.iter().filter_map(factory_name);
        self.built
            .replace(webrtc.into_iter().chain(chain).collect(), plan.clone());
        Ok(())
    }
}

/// Adds elements to a bin, behind its ghost pad, and lets them run as it does.
fn put_in(bin: &gst::Bin, elements: &[gst::Element]) -> Result<(), String> {
    let words = |error: gst::glib::BoolError| error.to_string();
    bin.add_many(elements).map_err(words)?;
    gst::Element::link_many(elements).map_err(words)?;
    let ghost = bin
        .static_pad("src")
        .and_then(|pad| pad.downcast::<gst::GhostPad>().ok())
        .ok_or("the source has no pad")?;
    let last = elements.last().and_then(|last| last.static_pad("src"));
    ghost.set_target(last.as_ref()).map_err(words)?;
    for element in elements.iter().rev() {
        element.sync_state_with_parent().map_err(words)?;
    }
    Ok(())
}

fn unexpected(encoding: &str) -> Fault {
    Fault::new(
        FaultKind::Unsupported,
        format!("the server sends `{encoding}`, which was not offered"),
        "look at the server: it has to keep to its own answer",
    )
}

fn cannot(why: &str) -> Fault {
    Fault::new(
        FaultKind::Internal,
        format!("can't take the server's video: {why}"),
        "the log of the service has the details",
    )
}
