//! The element's properties: those of plain types that the public source lists. Its enumerations, arrays and pointers are left
//! out; setting one is refused as any property that is not there is.

use std::collections::BTreeMap;

use gst::glib;
use gst::prelude::*;

/// A property's type, with range and default.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Bool,
    UInt(u32, u32, u32),
    Int(i32, i32, i32),
    Int64(i64, i64, i64),
    Text,
}

/// A property.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Property {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// Whether it can be set in any state; else only in `NULL`.
    pub(crate) while_playing: bool,
}

const fn fixed(name: &'static str, kind: Kind) -> Property {
    Property {
        name,
        kind,
        while_playing: false,
    }
}

const fn live(name: &'static str, kind: Kind) -> Property {
    Property {
        name,
        kind,
        while_playing: true,
    }
}

/// All of them (`camera_source.c`, `qmmfsrc_class_init`).
pub(crate) const TABLE: [Property; 22] = [
    fixed("camera", Kind::UInt(0, 32, 0)),
    fixed("slave", Kind::Bool),
    fixed("ldc", Kind::Bool),
    fixed("lcac", Kind::Bool),
    live("shdr", Kind::Bool),
    live("adrc", Kind::Bool),
    live("sharpness", Kind::Int(0, 6, 2)),
    live("contrast", Kind::Int(1, 10, 5)),
    live("saturation", Kind::Int(0, 10, 5)),
    live("manual-iso-value", Kind::Int(100, 3200, 800)),
    live("exposure-lock", Kind::Bool),
    live("exposure-compensation", Kind::Int(-12, 12, 0)),
    live("manual-exposure-time", Kind::Int64(0, i64::MAX, 33_333_333)),
    live("custom-exposure-table", Kind::Text),
    live("white-balance-lock", Kind::Bool),
    live("manual-wb-settings", Kind::Text),
    live("noise-reduction-tuning", Kind::Text),
    live("defog-table", Kind::Text),
    live("ltm-data", Kind::Text),
    fixed("sensor-mode", Kind::Int(-1, 15, -1)),
    fixed("ife-direct-stream", Kind::Bool),
    fixed("input-roi-enable", Kind::Bool),
];

impl Property {
    pub(crate) fn spec(&self) -> glib::ParamSpec {
        let name = self.name;
        let live = self.while_playing;
        match self.kind {
            Kind::Bool => flagged(glib::ParamSpecBoolean::builder(name), live).build(),
            Kind::Text => flagged(glib::ParamSpecString::builder(name), live).build(),
            Kind::UInt(min, max, default) => {
                let range = glib::ParamSpecUInt::builder(name).minimum(min).maximum(max);
                flagged(range.default_value(default), live).build()
            }
            Kind::Int(min, max, default) => {
                let range = glib::ParamSpecInt::builder(name).minimum(min).maximum(max);
                flagged(range.default_value(default), live).build()
            }
            Kind::Int64(min, max, default) => {
                let range = glib::ParamSpecInt64::builder(name)
                    .minimum(min)
                    .maximum(max);
                flagged(range.default_value(default), live).build()
            }
        }
    }
}

/// Says in which states a property can be set, by GStreamer's own flag.
fn flagged<'a, B: GstParamSpecBuilderExt<'a>>(builder: B, live: bool) -> B {
    if live {
        builder.mutable_playing()
    } else {
        builder
    }
}

/// The values that were set.
#[derive(Debug, Default)]
pub(crate) struct Settings(BTreeMap<String, glib::SendValue>);

impl Settings {
    pub(crate) fn set(&mut self, name: &str, value: &glib::Value) {
        let kind = TABLE.iter().find(|p| p.name == name).map(|p| p.kind);
        let value = match kind {
            Some(Kind::Bool) => value.get::<bool>().ok().map(|v| v.to_send_value()),
            Some(Kind::UInt(..)) => value.get::<u32>().ok().map(|v| v.to_send_value()),
            Some(Kind::Int(..)) => value.get::<i32>().ok().map(|v| v.to_send_value()),
            Some(Kind::Int64(..)) => value.get::<i64>().ok().map(|v| v.to_send_value()),
            Some(Kind::Text) => value
                .get::<Option<String>>()
                .ok()
                .map(|v| v.to_send_value()),
            None => None,
        };
        if let Some(value) = value {
            self.0.insert(name.to_owned(), value);
        }
    }

    pub(crate) fn get(&self, name: &str) -> glib::Value {
        if let Some(value) = self.0.get(name) {
            return (**value).clone();
        }
        match TABLE.iter().find(|p| p.name == name).map(|p| p.kind) {
            Some(Kind::UInt(_, _, default)) => default.to_value(),
            Some(Kind::Int(_, _, default)) => default.to_value(),
            Some(Kind::Int64(_, _, default)) => default.to_value(),
            Some(Kind::Text) => None::<String>.to_value(),
            Some(Kind::Bool) | None => false.to_value(),
        }
    }

    /// The camera, and whether it is opened as a slave.
    pub(crate) fn camera(&self) -> (u32, bool) {
        let slave = self.get("slave").get().unwrap_or_default();
        (self.get("camera").get().unwrap_or_default(), slave)
    }
}
