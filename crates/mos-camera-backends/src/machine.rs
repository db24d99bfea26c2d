//! Looks at the machine that plans are made for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use gst::prelude::*;
use mos_camera_core::plan::{
    Build, ElementFacts, Explanation, Formats, Machine, Offer, PoolMemory, Request, Rule, Wish,
    built_in, explain,
};

/// Which build this is.
const BUILD: Build = if cfg!(feature = "development") {
    Build::Development
} else {
    Build::Production
};

/// Explains what becomes of an offer on this machine, in this build.
pub(crate) fn explained(offer: &Offer, wish: Wish) -> Explanation {
    let rules = built_in();
    let machine = look(&rules);
    explain(&Request {
        offer,
        wish,
        machine: &machine,
        build: BUILD,
        rules: &rules,
    })
}

/// What the machine has, of what the rules name.
fn look(rules: &[Rule]) -> Machine {
    let factories: BTreeSet<&str> = rules
        .iter()
        .flat_map(|rule| &rule.steps)
        .map(|step| step.factory.as_str())
        .collect();
    let elements: BTreeMap<_, _> = factories
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), facts(name)?)))
        .collect();
    let named = elements.values().filter_map(|facts| facts.device.clone());
    let devices = rules
        .iter()
        .flat_map(|rule| rule.devices.iter().flatten().cloned())
        .chain(named);
    let devices = devices.filter(|node| Path::new(node).exists()).collect();
    Machine {
        elements,
        devices,
        pools: pools(),
    }
}

/// What the gate's pool is made of: the best that the machine gives it, in a development build.
#[cfg(feature = "development")]
fn pools() -> BTreeSet<PoolMemory> {
    use gstmos::pool::{FallbackKind, best_memory};
    BTreeSet::from([match best_memory() {
        FallbackKind::DmaHeap => PoolMemory::DmaHeap,
        FallbackKind::Udmabuf => PoolMemory::Udmabuf,
        FallbackKind::Memfd => PoolMemory::Memfd,
    }])
}

/// A production build has no such pool.
#[cfg(not(feature = "development"))]
fn pools() -> BTreeSet<PoolMemory> {
    BTreeSet::new()
}

/// What an element is like; none if it is not there or can't be made.
///
/// The registry is asked, not `gst-inspect-1.0 --exists`, which fails on plugins of another version. It may remember an
/// element whose library has lost one of its own libraries since: only making it tells.
fn facts(factory: &str) -> Option<ElementFacts> {
    let found = gst::ElementFactory::find(factory)?;
    let element = found.create().build().ok()?;
    let pads = |direction| formats(&found, direction);
    Some(ElementFacts {
        takes: pads(gst::PadDirection::Sink),
        gives: pads(gst::PadDirection::Src),
        device: device(&element),
    })
}

/// The node that a V4L2 memory-to-memory element was registered for.
fn device(element: &gst::Element) -> Option<String> {
    element
        .find_property("device")
        .filter(|property| property.value_type() == String::static_type())?;
    element
        .property::<Option<String>>("device")
        .filter(|device| device.starts_with("/dev/"))
}

/// The formats of an element's pads of one direction, as its templates say. The V4L2 plugins make them from what the driver says.
fn formats(factory: &gst::ElementFactory, direction: gst::PadDirection) -> Formats {
    let templates = factory.static_pad_templates();
    let mut all = BTreeSet::new();
    for template in templates
        .iter()
        .filter(|template| template.direction() == direction)
    {
        match formats_of(&template.caps()) {
            Formats::Any => return Formats::Any,
            Formats::Only(formats) => all.extend(formats),
        }
    }
    Formats::Only(all)
}

fn formats_of(caps: &gst::CapsRef) -> Formats {
    if caps.is_any() {
        return Formats::Any;
    }
    let mut all = BTreeSet::new();
    for structure in caps.iter() {
        if structure.name() == "video/x-raw" {
            let formats = texts(structure, "format");
            // No format means every one, and DMA_DRM stands for layouts that only an open device tells.
            if formats.is_empty() || formats.iter().any(|format| format == "DMA_DRM") {
                return Formats::Any;
            }
            all.extend(formats);
        } else {
            all.insert(structure.name().to_string());
        }
    }
    Formats::Only(all)
}

/// The strings of a field, whether it is one or a list.
pub(crate) fn texts(structure: &gst::StructureRef, field: &str) -> Vec<String> {
    if let Ok(list) = structure.get::<gst::List>(field) {
        return list
            .iter()
            .filter_map(|value| value.get::<String>().ok())
            .collect();
    }
    structure.get::<String>(field).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(formats: &[&str]) -> Formats {
        Formats::Only(formats.iter().map(|&format| format.to_owned()).collect())
    }

    #[test]
    fn templates_tell_formats() {
        gst::init().unwrap();
        for (caps, expected) in [
            ("ANY", Formats::Any),
            (
                "video/x-h264,stream-format=avc;image/jpeg",
                only(&["image/jpeg", "video/x-h264"]),
            ),
            (
                "video/x-raw,format={NV12,I420};video/x-raw(memory:DMABuf),format=YUY2",
                only(&["I420", "NV12", "YUY2"]),
            ),
            ("video/x-raw(memory:DMABuf),format=DMA_DRM", Formats::Any),
            ("video/x-raw,width=640", Formats::Any),
        ] {
            assert_eq!(
                formats_of(&caps.parse::<gst::Caps>().unwrap()),
                expected,
                "{caps}"
            );
        }
    }

    #[test]
    fn what_is_there_is_seen_with_what_it_takes_and_gives() {
        gst::init().unwrap();
        let facts = facts("jpegdec").expect("gstreamer1.0-plugins-good is part of the set-up");
        assert_eq!(facts.takes, only(&["image/jpeg"]));
        assert!(facts.gives.contains("I420") && !facts.gives.contains("NV12"));
        assert_eq!(super::facts("no-such-element"), None);
    }

    #[test]
    fn only_what_the_rules_name_is_looked_at() {
        gst::init().unwrap();
        let rules: Vec<Rule> = built_in()
            .into_iter()
            .filter(|rule| rule.name == "jpeg-libjpeg")
            .collect();
        let machine = look(&rules);
        let names: Vec<_> = machine.elements.keys().map(String::as_str).collect();
        assert_eq!(names, ["jpegdec", "videoconvert"]);
        assert!(machine.devices.is_empty());
    }
}
