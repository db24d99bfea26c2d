//! Faults that travel as GStreamer messages: those of the gate and the bus sink, and those that a source bin posts itself.

use gst::prelude::*;
use mos_camera_core::{Fault, FaultKind};

/// Name of the details structure, shared with the elements of gst-plugin-mos.
const DETAILS: &str = gstmos::fault::DETAILS;

/// Kinds that a source bin posts, with their names there; others are internal.
const KINDS: [(&str, FaultKind); 10] = [
    ("absent", FaultKind::Absent),
    ("unreachable", FaultKind::Unreachable),
    ("unauthorized", FaultKind::Unauthorized),
    ("certificate", FaultKind::Certificate),
    ("disconnected", FaultKind::Disconnected),
    ("busy", FaultKind::Busy),
    ("not-found", FaultKind::NotFound),
    ("unsupported", FaultKind::Unsupported),
    ("missing", FaultKind::Missing),
    ("no-first-frame", FaultKind::NoFirstFrame),
];
const INTERNAL: &str = "internal";

/// Posts a fault as an error of the bin.
pub(crate) fn post(bin: &gst::Bin, fault: &Fault) {
    let known = KINDS.iter().find(|(_, kind)| *kind == fault.kind);
    let details = gst::Structure::builder(DETAILS)
        .field("kind", known.map_or(INTERNAL, |(name, _)| *name))
        .field("advice", &fault.hint)
        .build();
    let error = gst::message::Error::builder(gst::StreamError::Format, &fault.message)
        .details(details)
        .src(bin)
        .build();
    // Fails only if the bin is not in a pipeline (any more); then there is nobody to tell.
    let _orphan = bin.post_message(error);
}

/// Posts, as an error of the bin, that the camera gives something else than was asked for.
pub(crate) fn post_unsupported(bin: &gst::Bin, message: &str, hint: &str) {
    post(bin, &Fault::new(FaultKind::Unsupported, message, hint));
}

/// The fault that an error message carries in its details, if any.
pub(crate) fn read(error: &gst::message::Error) -> Option<Fault> {
    let details = error
        .details()
        .filter(|details| details.name() == DETAILS)?;
    let kind = kind(details.get("kind").ok()?)?;
    let advice: Option<&str> = details.get("advice").ok();
    Some(Fault::new(
        kind,
        error.error().message(),
        advice.unwrap_or_default(),
    ))
}

fn kind(text: &str) -> Option<FaultKind> {
    match text {
        "contract" => Some(FaultKind::Contract),
        "bus" => Some(FaultKind::Bus),
        INTERNAL => Some(FaultKind::Internal),
        text => KINDS
            .iter()
            .find(|(name, _)| *name == text)
            .map(|(_, kind)| *kind),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_posted_is_read_back() {
        gst::init().unwrap();
        for (_, kind) in KINDS {
            let pipeline = gst::Pipeline::new();
            let bin = gst::Bin::new();
            pipeline.add(&bin).unwrap();
            let fault = Fault::new(kind, "what", "hint");
            post(&bin, &fault);
            let bus = pipeline.bus().unwrap();
            let message = bus.pop_filtered(&[gst::MessageType::Error]).unwrap();
            let gst::MessageView::Error(error) = message.view() else {
                panic!("{message:?}");
            };
            assert_eq!(read(error), Some(fault));
        }
    }
}
