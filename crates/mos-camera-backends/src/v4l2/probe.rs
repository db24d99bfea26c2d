//! Asks a node what it offers, by opening it with `v4l2src` and reading the caps of its pad.

use std::path::Path;

use gst::prelude::*;
use mos_camera_core::{DeviceId, Fault};

use super::{faults, node};
use crate::elements::make;

/// What became of opening a node.
#[derive(Debug)]
pub(super) enum Probe {
    /// Its caps.
    Caps(gst::Caps),
    /// It captures no pictures: an output, a codec or a metadata node.
    NoCapture,
    /// It can't be opened.
    Fault(Fault),
}

/// Opens a node, reads its caps and closes it again.
pub(super) fn probe(device: &DeviceId, path: &Path) -> Result<Probe, Fault> {
    // `v4l2src` tells less well what is wrong with a path.
    match node::open(device, path) {
        Ok(node) => drop(node),
        Err(fault) => return Ok(Probe::Fault(fault)),
    }
    let element = make("v4l2src")?;
    element.set_property("device", path.to_string_lossy().as_ref());
    let bus = gst::Bus::new();
    element.set_bus(Some(&bus));
    let opened = element.set_state(gst::State::Ready);
    let probe = if opened.is_ok() {
        Probe::Caps(pad_caps(&element))
    } else {
        refused(device, &bus)
    };
    // Going down to NULL can't fail (GstElement's documentation).
    let _down = element.set_state(gst::State::Null);
    element.set_bus(None);
    Ok(probe)
}

fn pad_caps(element: &gst::Element) -> gst::Caps {
    let pad = element.static_pad("src");
    pad.map_or_else(gst::Caps::new_empty, |pad| pad.query_caps(None))
}

fn refused(device: &DeviceId, bus: &gst::Bus) -> Probe {
    let message = bus.pop_filtered(&[gst::MessageType::Error]);
    match message.as_ref().map(|message| message.view()) {
        Some(gst::MessageView::Error(error)) if faults::is_no_capture(error) => Probe::NoCapture,
        Some(gst::MessageView::Error(error)) => Probe::Fault(faults::classify(device, error)),
        _ => Probe::Fault(faults::unexplained(device)),
    }
}
