//! The elements of a camera: `qticamsrc ! capsfilter`, and a converter where the chip gives no NV12.

use gst::prelude::*;
use mos_camera_core::plan::{Explanation, Handover, Offer, Wish, is_compressed, validate};
use mos_camera_core::seat::Wired;
use mos_camera_core::{Capability, Fault, FaultKind, FixedPool, StreamConfig};

use super::events;
use super::registry::Registry;
use crate::backend::Source;
use crate::elements::{make, make_steps, source_bin};
use crate::{capabilities, capture, intact, machine};

use crate::pipeline::subscribers_buffers;

/// Caps feature of the vendor's GBM buffers.
const GBM: &str = "memory:GBM";
/// The pads of streams.
const PADS: &str = "video_%u";

/// What the element's pads offer: the chip's limits, not a sensor's, which only opening the camera tells.
#[derive(Debug, Clone)]
pub(super) struct Offered {
    plain: Vec<Capability>,
    gbm: Vec<Capability>,
}

impl Offered {
    /// Looks at the pad template of an element that is made for it: which caps there are depends on release and machine.
    pub(super) fn of(element: &str) -> Result<Self, Fault> {
        let caps = make(element)?
            .pad_template(PADS)
            .map(|template| template.caps().clone())
            .ok_or_else(|| no_pads(element))?;
        Ok(Self::read(&caps))
    }

    fn read(caps: &gst::CapsRef) -> Self {
        let with = |gbm: bool| {
            let wanted = caps
                .iter_with_features()
                .filter(|(_, f)| f.contains(GBM) == gbm);
            let mut some = gst::Caps::new_empty();
            for (structure, features) in wanted {
                let all = some.make_mut();
                all.append_structure_full(structure.to_owned(), Some(features.to_owned()));
            }
            let mut found = capabilities::read(&some);
            // Raw sensor data needs a processor that is behind the service.
            found.retain(|capability| capability.format != "video/x-bayer");
            found
        };
        Self {
            plain: with(false),
            gbm: with(true),
        }
    }

    /// As they are listed; a format that is offered in both ways once.
    pub(super) fn capabilities(&self) -> Vec<Capability> {
        let more = self.gbm.iter().filter(|c| !self.plain.contains(c));
        self.plain.iter().chain(more).cloned().collect()
    }

    fn offer(&self) -> Offer {
        Offer::new(&self.capabilities(), |format| self.handovers(format))
    }

    /// GBM caps say more than plain ones, which by themselves may be anything.
    fn handovers(&self, format: &str) -> Vec<Handover> {
        if is_compressed(format) {
            return vec![Handover::Process];
        }
        let has = |all: &[Capability]| all.iter().any(|c| c.format == format);
        let gbm = has(&self.gbm).then_some(Handover::Gbm);
        let plain = has(&self.plain).then_some(Handover::Exported);
        gbm.into_iter().chain(plain).collect()
    }
}

fn no_pads(element: &str) -> Fault {
    Fault::new(
        FaultKind::Missing,
        format!("the element {element} has no pads {PADS}"),
        "install a release of Qualcomm's GStreamer plugins that has them",
    )
}

/// Explains how the camera's pictures become NV12.
pub(super) fn explain(offered: &Offered, config: &StreamConfig) -> Explanation {
    machine::explained(&offered.offer(), Wish::from(config))
}

/// Builds the source.
pub(super) fn build(
    registry: &Registry,
    wired: &Wired,
    config: &StreamConfig,
) -> Result<Source, Fault> {
    let offered = registry.offer()?;
    validate(config, &offered.capabilities()).map_err(|error| {
        Fault::new(
            FaultKind::Unsupported,
            error.to_string(),
            "change the stream's configuration",
        )
    })?;
    let plan = explain(&offered, config).into_plan(&wired.id)?;
    // A new one each time: it connects to the service when it is made.
    let camera = make(registry.element()?)?;
    camera.set_property("camera", wired.camera);
    let filter = make("capsfilter")?;
    filter.set_property("caps", capture::caps(&plan.capture));
    let elements: Vec<_> = [camera.clone(), filter.clone()]
        .into_iter()
        .chain(make_steps(&plan)?)
        .collect();
    let source = source_bin(&wired.id, &elements, plan)?;
    let extra = subscribers_buffers(config);
    stream_pad(&camera, &filter, extra).ok_or_else(|| no_stream(wired))?;
    if let Some(pad) = filter.static_pad("src") {
        intact::guard(&pad, &wired.id, &source.corrupt);
    }
    registry.remember(wired.camera, &camera);
    events::end_when_it_goes(&wired.id, wired.camera, &camera, &source.bin);
    Ok(Source {
        // A converter has a pool of its own.
        pool: (elements.len() == 2).then_some(FixedPool {
            buffers: SERVICES + extra,
            in_flight: SERVICES,
        }),
        lent: true,
        ..source
    })
}

/// Most buffers that the service keeps for itself beside the extra ones: 12, and by the rate up to 12 more
/// (`STREAM_BUFFER_COUNT` and `GetExtraBufferCount` of `qualcomm/camera-service`; older releases have 11).
///
/// Subscribers may hold the extra ones alone. So the camera goes on as it would without any, however many of these there really are.
const SERVICES: u32 = 24;

/// Asks for a stream with `extra` buffers for subscribers, and links it.
fn stream_pad(camera: &gst::Element, filter: &gst::Element, extra: u32) -> Option<gst::Pad> {
    let pad = camera.request_pad_simple(PADS)?;
    pad.find_property("extra-buffers")?;
    pad.set_property("extra-buffers", extra);
    // Releases before it had a type gave what is its default.
    if pad.find_property("type").is_some() {
        pad.set_property_from_str("type", "video");
    }
    pad.link(&filter.static_pad("sink")?).ok()?;
    Some(pad)
}

fn no_stream(wired: &Wired) -> Fault {
    Fault::new(
        FaultKind::Internal,
        format!("{}: the camera source gives no pad for a stream", wired.id),
        "look at the log of the service: lines of the target `gstreamer` before this one may say more",
    )
}
