//! For tests: `qticamsrc` and `qtiqmmfsrc` as Qualcomm's public source describes them, for machines without their camera service.
//!
//! They refuse whatever that source does not list: the error is posted, and counted by [`Service::take_violations`]. What each
//! rule rests on, and what only a board can settle, is in the crate's `README.md`. The camera service is played too, in the
//! same process: [`service`] gives its strings to a test.
//!
//! A test links the crate and calls [`register`] before it looks for the elements. Programs load it as a plugin, by
//! `GST_PLUGIN_PATH`; then `MOS_QMMF_STANDIN=gbm` adds caps with GBM memory, `older` plays an older release (`gbm,older` both), and
//! the service is whoever listens at its socket.

mod caps;
mod element;
mod event;
mod layout;
mod link;
mod memory;
mod pad;
mod pool;
mod service;
mod settings;
mod track;

use std::sync::OnceLock;

use gst::glib;
use gst::prelude::*;

pub use pad::StreamType;
pub use service::{Borrowed, CAMERAS, Report, Service, service};

/// Which release on which machine is played. One for each process, as on a board.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Build {
    /// Whether the machine's GBM is the vendor's, so that there are caps with `memory:GBM` too.
    pub gbm: bool,
    /// A release before November 2025: the old name alone, and no word when a camera comes or goes.
    pub older: bool,
}

static BUILD: OnceLock<Build> = OnceLock::new();

/// What is played; decided at the first question.
fn build() -> Build {
    *BUILD.get_or_init(|| {
        let words = std::env::var("MOS_QMMF_STANDIN").unwrap_or_default();
        let says = |wanted: &str| words.split(',').any(|word| word == wanted);
        Build {
            gbm: says("gbm"),
            older: says("older"),
        }
    })
}

/// Makes the elements known in this process. The second call of a process has to ask for the same.
pub fn register(wanted: Build) -> Result<(), glib::BoolError> {
    static REGISTERED: OnceLock<Result<(), glib::BoolError>> = OnceLock::new();
    if *BUILD.get_or_init(|| wanted) != wanted {
        return Err(glib::bool_error!(
            "this process plays another build already"
        ));
    }
    REGISTERED.get_or_init(|| elements(None)).clone()
}

/// The new name comes first; the old one is never chosen by itself.
fn elements(plugin: Option<&gst::Plugin>) -> Result<(), glib::BoolError> {
    let kind = element::CamSrc::static_type();
    if !build().older {
        gst::Element::register(plugin, "qticamsrc", gst::Rank::PRIMARY, kind)?;
    }
    gst::Element::register(plugin, "qtiqmmfsrc", gst::Rank::NONE, kind)
}

fn plugin_init(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    link::follow();
    elements(Some(plugin))
}

#[allow(
    missing_docs,
    missing_debug_implementations,
    reason = "the macro's code"
)]
mod plugin {
    use super::plugin_init;

    gst::plugin_define!(
        qmmfstandin,
        env!("CARGO_PKG_DESCRIPTION"),
        plugin_init,
        env!("CARGO_PKG_VERSION"),
        "MIT/X11",
        env!("CARGO_PKG_NAME"),
        env!("CARGO_PKG_NAME"),
        "mos-camera",
        "2026-11-29"
    );
}
