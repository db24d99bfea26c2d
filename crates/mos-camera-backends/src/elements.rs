//! Making and linking elements, with faults that say what is missing.

use gst::prelude::*;
use mos_camera_core::plan::{Plan, Step};
use mos_camera_core::{DeviceId, Fault, FaultKind};

use crate::backend::Source;
use crate::built::Built;
use crate::intact::Corrupt;
use crate::session::{Late, Session};

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
        "rtspsrc" | "rtph264depay" | "rtph265depay" | "rtpjpegdepay" | "rtpvp8depay"
        | "v4l2src" | "jpegdec" => "gstreamer1.0-plugins-good",
        "nicesrc" => "gstreamer1.0-nice",
        "h264parse" | "h265parse" | "webrtcbin" => "gstreamer1.0-plugins-bad",
        "videotestsrc" | "videoconvert" => "gstreamer1.0-plugins-base",
        _ => return None,
    })
}

/// Makes the elements of a plan, with their properties.
pub(crate) fn make_steps(plan: &Plan) -> Result<Vec<gst::Element>, Fault> {
    plan.steps.iter().map(make_step).collect()
}

fn make_step(step: &Step) -> Result<gst::Element, Fault> {
    let element = make(&step.factory)?;
    for (name, setting) in &step.properties {
        match element.find_property(name) {
            Some(property) => {
                let value = gst::glib::Value::deserialize_with_pspec(&setting.value, &property)
                    .map_err(|_| no_such_value(step, name))?;
                element.set_property_from_value(name, &value);
            }
            None if setting.required => return Err(no_such_value(step, name)),
            // Elements of other versions may lack it.
            None => {}
        }
    }
    Ok(element)
}

fn no_such_value(step: &Step, property: &str) -> Fault {
    Fault::new(
        FaultKind::Missing,
        format!("`{step}`: the installed version has no property {property} with that value"),
        "install a newer version of the element",
    )
}

/// Puts linked elements into a bin whose ghost pad `src` is the last element's.
pub(crate) fn source_bin(
    device: &DeviceId,
    elements: &[gst::Element],
    plan: Plan,
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
    Ok(source(bin, elements, plan))
}

/// Puts the first element of a source into a bin whose ghost pad `src` has no target yet: what stands behind it is known and
/// linked later.
pub(crate) fn open_bin(
    device: &DeviceId,
    first: &gst::Element,
    plan: Plan,
) -> Result<Source, Fault> {
    let elements = std::slice::from_ref(first);
    let bin = gst::Bin::new();
    let ghost = gst::GhostPad::builder(gst::PadDirection::Src)
        .name("src")
        .build();
    bin.add(first)
        .and_then(|()| bin.add_pad(&ghost))
        .map_err(|_| cannot_link(device, elements))?;
    Ok(source(bin, elements, plan))
}

fn source(bin: gst::Bin, elements: &[gst::Element], plan: Plan) -> Source {
    let chain = elements.iter().filter_map(factory_name).collect();
    Source {
        bin,
        built: Built::new(chain, plan),
        corrupt: Corrupt::default(),
        late: Late::default(),
        session: Session::default(),
        origins: None,
        call: None,
        pool: None,
        lent: false,
        keep: None,
    }
}

fn link(elements: &[gst::Element]) -> Option<gst::Bin> {
    let bin = gst::Bin::new();
    bin.add_many(elements).ok()?;
    for pair in elements.windows(2) {
        // A source with dynamic pads (webrtcbin) has none yet; its backend links it when they appear.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_become_elements_with_their_properties() {
        gst::init().unwrap();
        let make = |text: &str| make_step(&text.parse().unwrap());
        let queue = make("queue max-size-buffers=3 leaky=downstream no-such-property=1").unwrap();
        assert_eq!(queue.property::<u32>("max-size-buffers"), 3);
        for (text, kind) in [
            ("queue leaky=sideways", FaultKind::Missing),
            ("queue no-such-property==1", FaultKind::Missing),
            ("no-such-element", FaultKind::Missing),
        ] {
            assert_eq!(make(text).unwrap_err().kind, kind, "{text}");
        }
    }
}
