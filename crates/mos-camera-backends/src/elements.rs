//! Making and linking elements, with faults that say what is missing.

use gst::prelude::*;
use mos_camera_core::plan::{Chain, MissingElements};
use mos_camera_core::{DeviceId, Fault, FaultKind};

use crate::backend::Source;

/// Whether this build may let the CPU touch pixels.
pub(crate) const DEVELOPMENT: bool = cfg!(feature = "development");

/// Whether GStreamer's registry has an element.
///
/// The registry is asked, not `gst-inspect-1.0 --exists`, which fails on plugins of another version.
pub(crate) fn present(factory: &str) -> bool {
    gst::ElementFactory::find(factory).is_some()
}

/// Makes an element.
pub(crate) fn make(factory: &str) -> Result<gst::Element, Fault> {
    gst::ElementFactory::make(factory)
        .build()
        .map_err(|_| missing(factory))
}

/// An element that the product can't do without is not there.
fn missing(factory: &str) -> Fault {
    Fault::new(
        FaultKind::Missing,
        format!("GStreamer has no element `{factory}`"),
        match package(factory) {
            Some(package) => format!("apt install {package}"),
            None => "see `gst-inspect-1.0` for what is installed".to_owned(),
        },
    )
}

/// The Debian package of an element.
fn package(factory: &str) -> Option<&'static str> {
    Some(match factory {
        "rtspsrc" | "rtph264depay" | "v4l2src" | "jpegdec" => "gstreamer1.0-plugins-good",
        "h264parse" => "gstreamer1.0-plugins-bad",
        "videotestsrc" | "videoconvert" => "gstreamer1.0-plugins-base",
        _ => return None,
    })
}

/// The fault of a plan that could not be made.
pub(crate) fn no_plan(error: &MissingElements) -> Fault {
    let hint = match error.refused {
        Some(_) => "",
        None => "install the elements named, then start the stream again",
    };
    Fault::new(FaultKind::Missing, error.to_string(), hint)
}

/// Makes the elements of a planned chain, set up to pass dma-bufs where they can.
pub(crate) fn make_chain(chain: &Chain) -> Result<Vec<gst::Element>, Fault> {
    chain
        .elements
        .iter()
        .map(|factory| {
            let element = make(factory)?;
            // V4L2 memory-to-memory elements give dma-bufs only when asked to.
            if element.find_property("capture-io-mode").is_some() {
                element.set_property_from_str("capture-io-mode", "dmabuf");
            }
            Ok(element)
        })
        .collect()
}

/// Puts linked elements into a bin whose ghost pad `src` is the last element's; the first may get its pads later.
pub(crate) fn source_bin(
    device: &DeviceId,
    elements: &[gst::Element],
    software: bool,
) -> Result<Source, Fault> {
    let built = link(elements).and_then(|bin| {
        let last = elements.last()?.static_pad("src")?;
        let ghost = gst::GhostPad::builder_with_target(&last)
            .ok()?
            .name("src")
            .build();
        bin.add_pad(&ghost).ok()?;
        Some(bin)
    });
    let bin = built.ok_or_else(|| cannot_link(device, elements))?;
    Ok(Source {
        bin,
        chain: elements.iter().filter_map(factory_name).collect(),
        software,
    })
}

fn link(elements: &[gst::Element]) -> Option<gst::Bin> {
    let bin = gst::Bin::new();
    bin.add_many(elements).ok()?;
    for pair in elements.windows(2) {
        // A source with dynamic pads has none yet; its backend links it when they appear.
        if pair[0].static_pad("src").is_some() {
            pair[0].link(&pair[1]).ok()?;
        }
    }
    Some(bin)
}

fn cannot_link(device: &DeviceId, elements: &[gst::Element]) -> Fault {
    let chain: Vec<_> = elements.iter().filter_map(factory_name).collect();
    Fault::new(
        FaultKind::Internal,
        format!("{device}: can't link {}", chain.join(" ! ")),
        "the versions of the installed GStreamer plugins may not fit together",
    )
}

/// The factory of an element; what it is, never what it is called.
pub(crate) fn factory_name(element: &gst::Element) -> Option<String> {
    element.factory().map(|factory| factory.name().to_string())
}
