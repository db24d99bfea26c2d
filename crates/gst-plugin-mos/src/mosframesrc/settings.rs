//! What the source is told by its properties.

use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use gst::glib;
use gst::prelude::*;
use mos_frame::SubscriberOptions;

use crate::address::Address;

/// Longest time for the producer's answer at the start.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// Name of the property that the element answers by itself.
pub(super) const STATS: &str = "stats";
/// Default of `connect-timeout`, nanoseconds: a producer that is started together with its consumers is there by then.
const CONNECT_TIMEOUT: u64 = 10_000_000_000;

/// Whether to wait for a stream that is not there at the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Awaiting {
    /// Fail at once.
    Not,
    /// This long; `None` for ever.
    For(Option<Duration>),
}

/// Values of the properties.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    address: Address,
    window: u32,
    hold: u32,
    pub(super) latest: bool,
    timeout: u64,
    connect_timeout: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            address: Address::default(),
            window: 2,
            hold: 4,
            latest: false,
            timeout: 0,
            connect_timeout: CONNECT_TIMEOUT,
        }
    }
}

impl Settings {
    pub(super) fn set(&mut self, name: &str, value: &glib::Value) {
        if self.address.set(name, value) {
            return;
        }
        match name {
            "window" => self.window = value.get().unwrap_or(self.window),
            "hold" => self.hold = value.get().unwrap_or(self.hold),
            "latest" => self.latest = value.get().unwrap_or(self.latest),
            "timeout" => self.timeout = value.get().unwrap_or(self.timeout),
            "connect-timeout" => {
                self.connect_timeout = value.get().unwrap_or(self.connect_timeout);
            }
            name => unreachable!("GObject sets only installed properties, not {name}"),
        }
    }

    pub(super) fn get(&self, name: &str) -> glib::Value {
        match name {
            "window" => self.window.to_value(),
            "hold" => self.hold.to_value(),
            "latest" => self.latest.to_value(),
            "timeout" => self.timeout.to_value(),
            "connect-timeout" => self.connect_timeout.to_value(),
            name => self.address.get(name),
        }
    }

    /// The stream's socket; `None` if no stream was named.
    pub(super) fn path(&self) -> Option<PathBuf> {
        self.address.path()
    }

    /// Longest wait for a frame; `None` waits for ever.
    pub(super) fn patience(&self) -> Option<Duration> {
        (self.timeout > 0).then(|| Duration::from_nanos(self.timeout))
    }

    /// How long a stream that nobody publishes at the start may take to appear.
    pub(super) fn awaiting(&self) -> Awaiting {
        match self.connect_timeout {
            0 => Awaiting::Not,
            u64::MAX => Awaiting::For(None),
            nanos => Awaiting::For(Some(Duration::from_nanos(nanos))),
        }
    }

    pub(super) fn options(&self, name: String) -> SubscriberOptions {
        SubscriberOptions {
            name,
            window: self.window,
            hold: self.hold,
            reconnect: true,
            timeout: HANDSHAKE,
        }
    }
}

pub(super) fn properties() -> &'static [glib::ParamSpec] {
    static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(|| {
        let mut all = Address::properties();
        all.extend([
            glib::ParamSpecUInt::builder("window")
                .blurb("N: newest frames that are kept on offer")
                .minimum(1)
                .maximum(64)
                .default_value(2)
                .mutable_ready()
                .build(),
            glib::ParamSpecUInt::builder("hold")
                .blurb("Frames that may be in use downstream at once")
                .minimum(1)
                .maximum(64)
                .default_value(4)
                .mutable_ready()
                .build(),
            glib::ParamSpecBoolean::builder("latest")
                .blurb("Skip to the newest frame each time")
                .mutable_ready()
                .build(),
            glib::ParamSpecUInt64::builder("timeout")
                .blurb("Longest wait for a frame in nanoseconds, also while a producer that was there is away; 0 waits for ever")
                .mutable_ready()
                .build(),
            glib::ParamSpecUInt64::builder("connect-timeout")
                .blurb("Longest wait in nanoseconds for a stream that nobody publishes at the start; 0 fails at once, the largest value waits for ever")
                .default_value(CONNECT_TIMEOUT)
                .mutable_ready()
                .build(),
            glib::ParamSpecBoxed::builder::<gst::Structure>(STATS)
                .nick("Statistics")
                .blurb("What was received since the start")
                .read_only()
                .build(),
        ]);
        all
    });
    PROPERTIES.as_slice()
}
