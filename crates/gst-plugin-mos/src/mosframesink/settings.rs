//! What the sink is told by its properties.

use std::path::PathBuf;
use std::sync::LazyLock;

use gst::glib;
use gst::prelude::*;

use super::outlet::Demand;
use crate::address::Address;
use crate::budget::{self, MAX_BUFFERS};

/// Values of the properties.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) address: Address,
    slots: u32,
    in_flight: u32,
    window: u32,
    expected_subscribers: u32,
    hold: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            address: Address::default(),
            slots: 0,
            in_flight: 4,
            window: 2,
            expected_subscribers: 8,
            hold: 1,
        }
    }
}

impl Settings {
    /// What the stream needs.
    pub(super) fn demand(&self) -> Demand {
        let needed = budget::needed(
            self.in_flight,
            self.window,
            self.expected_subscribers,
            self.hold,
        );
        Demand {
            slots: self.slots,
            in_flight: self.in_flight,
            needed,
        }
    }

    pub(super) fn set(&mut self, name: &str, value: &glib::Value) {
        if self.address.set(name, value) {
            return;
        }
        let field = match name {
            "slots" => &mut self.slots,
            "in-flight" => &mut self.in_flight,
            "window" => &mut self.window,
            "expected-subscribers" => &mut self.expected_subscribers,
            "hold" => &mut self.hold,
            name => unreachable!("GObject sets only installed properties, not {name}"),
        };
        if let Ok(value) = value.get() {
            *field = value;
        }
    }

    pub(super) fn get(&self, name: &str) -> glib::Value {
        match name {
            "slots" => self.slots.to_value(),
            "in-flight" => self.in_flight.to_value(),
            "window" => self.window.to_value(),
            "expected-subscribers" => self.expected_subscribers.to_value(),
            "hold" => self.hold.to_value(),
            name => self.address.get(name),
        }
    }

    /// Where the stream's socket is to be; `None` if no stream was named.
    pub(super) fn path(&self) -> Option<PathBuf> {
        self.address.path()
    }
}

pub(super) fn properties() -> &'static [glib::ParamSpec] {
    static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(|| {
        let mut all = Address::properties();
        all.extend([
            number(
                "slots",
                "Buffers that the stream can have; 0 asks upstream's pool",
                MAX_BUFFERS,
                0,
            ),
            number(
                "in-flight",
                "Buffers that the camera, decoder or converter needs for itself",
                MAX_BUFFERS,
                4,
            ),
            number(
                "window",
                "Newest frames on offer that the buffers are counted for",
                64,
                2,
            ),
            number(
                "expected-subscribers",
                "Subscribers that the buffers are counted for",
                MAX_BUFFERS,
                8,
            ),
            number(
                "hold",
                "Frames that each expected subscriber may hold",
                64,
                1,
            ),
            glib::ParamSpecBoxed::builder::<gst::Structure>("stats")
                .nick("Statistics")
                .blurb("What was published so far and to whom")
                .read_only()
                .build(),
        ]);
        all
    });
    PROPERTIES.as_slice()
}

fn number(name: &str, blurb: &str, maximum: u32, default: u32) -> glib::ParamSpec {
    glib::ParamSpecUInt::builder(name)
        .blurb(blurb)
        .maximum(maximum)
        .default_value(default)
        .mutable_ready()
        .build()
}
