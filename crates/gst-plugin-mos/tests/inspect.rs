//! GStreamer's own tool finds the plugin as a file and lists what there is to know: elements, properties, pad templates.
#![cfg(feature = "development")]
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod common;

use std::process::{Command, Output};

use common::init;
use gst::prelude::*;
use mos_testkit::TempBus;

const ELEMENTS: [&str; 4] = [
    "mosframesink",
    "mosframesrc",
    "mosnv12contract",
    "mostestcounter",
];

/// Runs `gst-inspect-1.0` with a registry of its own, in which there is no other plugin path.
fn inspect(bus: &TempBus, what: &str) -> Output {
    let plugins = bus.dir().join("plugins");
    if std::fs::create_dir(&plugins).is_ok() {
        let plugin = mos_testkit::paths::plugin().unwrap();
        std::os::unix::fs::symlink(plugin, plugins.join("libgstmos.so")).unwrap();
    }
    Command::new("gst-inspect-1.0")
        .arg(what)
        .env("GST_PLUGIN_PATH", &plugins)
        .env("GST_REGISTRY", bus.dir().join("registry"))
        .env("LC_ALL", "C.UTF-8")
        .output()
        .unwrap()
}

fn text(bus: &TempBus, what: &str) -> String {
    let output = inspect(bus, what);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{what}: {text}");
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(!complaints.contains("CRITICAL"), "{what}: {complaints}");
    text
}

#[test]
fn the_plugin_lists_its_elements() {
    let bus = TempBus::new().unwrap();
    let text = text(&bus, "mos");
    for element in ELEMENTS {
        assert!(
            text.contains(&format!("  {element}: ")),
            "{element}: {text}"
        );
    }
    assert!(text.contains("4 features"), "{text}");
    for field in ["libgstmos.so", "Version", "License", "Source module"] {
        assert!(text.contains(field), "{field}: {text}");
    }
}

#[test]
fn each_element_shows_its_properties_and_pads() {
    init();
    let bus = TempBus::new().unwrap();
    for element in ELEMENTS {
        let text = text(&bus, element);
        let factory = gst::ElementFactory::find(element).unwrap();
        for field in ["Long-name", "Klass", "Description", "Pad Templates:"] {
            assert!(text.contains(field), "{element}: no {field}");
        }
        for template in factory.static_pad_templates() {
            let line = format!("template: '{}'", template.name_template());
            assert!(text.contains(&line), "{element}: no {line}");
        }
        for property in factory.create().build().unwrap().list_properties() {
            let blurb = property.blurb().unwrap_or_default();
            assert!(
                !blurb.is_empty(),
                "{element}: {} has no words",
                property.name()
            );
            let line = text
                .lines()
                .find(|line| line.trim_start().split([' ', ':']).next() == Some(property.name()));
            let line = line.unwrap_or_else(|| panic!("{element}: no {}", property.name()));
            assert!(line.contains(blurb), "{line}");
        }
    }
}

#[test]
fn the_pads_say_what_they_take_and_give() {
    let bus = TempBus::new().unwrap();
    for (element, caps) in [
        ("mosframesink", "NV12"),
        ("mosframesrc", "video/x-raw(memory:DMABuf)"),
        ("mosframesrc", "DMA_DRM"),
        ("mosnv12contract", "video/x-raw"),
    ] {
        assert!(text(&bus, element).contains(caps), "{element}: {caps}");
    }
}

#[test]
fn an_element_that_is_not_there_is_told_from_one_that_is() {
    let bus = TempBus::new().unwrap();
    assert!(!inspect(&bus, "mosnosuchelement").status.success());
}
