//! Looks at the machine that plans are made for, and keeps the rules that they are made by.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use gst::prelude::*;
use mos_camera_core::plan::{
    Build, ElementFacts, Explanation, Formats, Machine, Offer, PoolMemory, Profiles, Property,
    Registry, Request, Rules, Wish, explain, is_kind_of,
};
use mos_camera_core::platform::Family;

/// Which build this is.
const BUILD: Build = if cfg!(feature = "development") {
    Build::Development
} else {
    Build::Production
};

/// The rules that plans are made by. One set a process, as GStreamer's registry is.
static RULES: LazyLock<RwLock<Arc<Rules>>> = LazyLock::new(|| RwLock::new(Arc::new(built_in())));

/// What holds where nobody said on which machine this runs.
fn built_in() -> Rules {
    Profiles::built_in().map_or_else(
        |error| {
            tracing::error!(%error, "the profiles of this build can't be read: nothing can be decoded or converted");
            Rules::default()
        },
        |profiles| profiles.rules(Family::Generic, &[]),
    )
}

/// Makes plans by these rules from now on. Sources that are built already stay as they are.
pub fn follow(rules: Rules) {
    *RULES.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
}

fn rules() -> Arc<Rules> {
    Arc::clone(&RULES.read().unwrap_or_else(PoisonError::into_inner))
}

/// Explains what becomes of an offer on this machine, in this build.
pub(crate) fn explained(offer: &Offer, wish: Wish) -> Explanation {
    let rules = rules();
    let machine = look(&rules);
    explain(&Request {
        offer,
        wish,
        machine: &machine,
        build: BUILD,
        rules: &rules,
    })
}

/// Records what this machine has: of all that rules name, and of every other decoder and converter, so that a rule can be
/// written for one that no rule names yet. Makes each element once, so [`crate::init`] has to come first.
pub fn record() -> Registry {
    let rules = rules();
    let named = named(&rules);
    let mut machine = look(&rules);
    for factory in factories() {
        if !named.iter().any(|name| is_kind_of(&factory, name)) && !works_on_pictures(&factory) {
            continue;
        }
        if let Some(facts) = facts(&factory, |_| true) {
            machine.elements.insert(factory, facts);
        }
    }
    let nodes = machine.elements.values().filter_map(|f| f.device.clone());
    let nodes: Vec<_> = nodes.filter(|node| Path::new(node).exists()).collect();
    machine.devices.extend(nodes);
    let (major, minor, micro, _) = gst::version();
    Registry {
        gstreamer: format!("{major}.{minor}.{micro}"),
        machine,
    }
}

/// Whether an element decodes or converts pictures. Of libav, only the decoders that rules name are of interest.
fn works_on_pictures(factory: &str) -> bool {
    let class = gst::ElementFactory::find(factory)
        .and_then(|found| found.metadata("klass").map(str::to_owned))
        .unwrap_or_default();
    let has = |word: &str| class.split('/').any(|part| part == word);
    !factory.starts_with("avdec_")
        && (has("Video") || has("Image"))
        && (has("Decoder") || has("Converter"))
        && !has("Bin")
}

/// Elements that rules name.
fn named(rules: &Rules) -> BTreeSet<&str> {
    let steps = rules.ways.iter().flat_map(|rule| &rule.steps);
    steps.map(|step| step.factory.as_str()).collect()
}

/// The names of all elements in GStreamer's registry.
fn factories() -> Vec<String> {
    let all = gst::Registry::get().features(gst::ElementFactory::static_type());
    all.iter().map(|feature| feature.name().into()).collect()
}

/// What the machine has, of what the rules name.
fn look(rules: &Rules) -> Machine {
    let mut found: BTreeSet<String> = named(rules).into_iter().map(str::to_owned).collect();
    // A machine with several V4L2 nodes of one kind has an element for each.
    let of_nodes = factories().into_iter().filter(|f| f.starts_with("v4l2"));
    let kinds = found.clone();
    found.extend(of_nodes.filter(|f| kinds.iter().any(|kind| is_kind_of(f, kind))));
    let set = |factory: &str, property: &str| {
        let steps = rules.ways.iter().flat_map(|rule| &rule.steps);
        let mut steps = steps.filter(|step| is_kind_of(factory, &step.factory));
        steps.any(|step| step.properties.contains_key(property))
    };
    let elements: BTreeMap<_, _> = found
        .into_iter()
        .filter_map(|name| {
            let facts = facts(&name, |property| set(&name, property))?;
            Some((name, facts))
        })
        .collect();
    let of_elements = elements.values().filter_map(|facts| facts.device.clone());
    let devices = rules
        .ways
        .iter()
        .flat_map(|rule| rule.devices.iter().flatten().cloned())
        .chain(of_elements);
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
fn facts(factory: &str, of_interest: impl Fn(&str) -> bool) -> Option<ElementFacts> {
    let found = gst::ElementFactory::find(factory)?;
    let element = found.create().build().ok()?;
    let pads = |direction| formats(&found, direction);
    Some(ElementFacts {
        takes: pads(gst::PadDirection::Sink),
        gives: pads(gst::PadDirection::Src),
        device: device(&element),
        properties: Some(properties(&element, of_interest)),
    })
}

/// Properties that can be set, of those of interest.
fn properties(
    element: &gst::Element,
    of_interest: impl Fn(&str) -> bool,
) -> BTreeMap<String, Property> {
    let common = gst::Object::static_type();
    let properties = element.list_properties();
    properties
        .iter()
        .filter(|property| {
            property.flags().contains(gst::glib::ParamFlags::WRITABLE)
                && !common.is_a(property.owner_type())
                && of_interest(property.name())
        })
        .map(|property| (property.name().to_owned(), kind_of(property)))
        .collect()
}

fn kind_of(property: &gst::glib::ParamSpec) -> Property {
    use gst::glib::Type;
    let kind = property.value_type();
    if let Some(class) = gst::glib::EnumClass::with_type(kind) {
        // Some plugins put sentences there; those are no value of a step.
        let words = class.values().iter().map(gst::glib::EnumValue::nick);
        let words = words.filter(|word| !word.contains(char::is_whitespace));
        return Property::OneOf(words.map(str::to_owned).collect());
    }
    let numbers = [
        Type::I32,
        Type::U32,
        Type::I64,
        Type::U64,
        Type::I_LONG,
        Type::U_LONG,
        Type::F32,
        Type::F64,
    ];
    match kind {
        Type::BOOL => Property::Switch,
        kind if numbers.contains(&kind) => Property::Number,
        _ => Property::Other,
    }
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
        let facts = facts("jpegdec", |name| name.starts_with("idct"))
            .expect("gstreamer1.0-plugins-good is part of the set-up");
        assert_eq!(facts.takes, only(&["image/jpeg"]));
        assert!(facts.gives.contains("I420") && !facts.gives.contains("NV12"));
        let properties = facts.properties.unwrap();
        let [(name, Property::OneOf(methods))] = &properties.iter().collect::<Vec<_>>()[..] else {
            panic!("{properties:?}")
        };
        assert_eq!(*name, "idct-method");
        assert!(methods.contains("islow"), "{methods:?}");
        assert_eq!(super::facts("no-such-element", |_| true), None);
    }

    #[test]
    fn kinds_of_properties_are_told_apart() {
        gst::init().unwrap();
        let facts = facts("queue", |_| true).unwrap().properties.unwrap();
        for (name, kind) in [
            ("silent", Some(Property::Switch)),
            ("max-size-buffers", Some(Property::Number)),
            // Read only, and what every element has.
            ("current-level-buffers", None),
            ("name", None),
        ] {
            assert_eq!(facts.get(name), kind.as_ref(), "{name}");
        }
    }

    #[test]
    fn only_what_the_rules_name_is_looked_at() {
        gst::init().unwrap();
        let mut rules = built_in();
        rules.ways.retain(|rule| rule.name == "jpeg-libjpeg");
        let machine = look(&rules);
        let names: Vec<_> = machine.elements.keys().map(String::as_str).collect();
        assert_eq!(names, ["jpegdec", "videoconvert"]);
        let properties = machine.elements["jpegdec"].properties.as_ref().unwrap();
        assert_eq!(properties.keys().collect::<Vec<_>>(), ["max-errors"]);
        assert!(machine.devices.is_empty());
    }

    #[test]
    fn a_record_has_more_than_the_rules_name_and_survives_its_text() {
        gst::init().unwrap();
        let registry = record();
        // No rule names it, and it is in the same package.
        assert!(registry.machine.elements.contains_key("pngdec"));
        assert!(registry.machine.elements.contains_key("jpegdec"));
        assert!(!registry.machine.elements.contains_key("audioconvert"));
        assert_eq!(registry.to_string().parse(), Ok(registry));
    }
}
