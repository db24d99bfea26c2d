//! GStreamer elements of mos-camera: the gate of the NV12 dma-buf contract and both ends of the frame bus.
//!
//! | Element | What it does |
//! |---|---|
//! | [`mosnv12contract`] | lets only linear NV12 in shareable memory pass, and labels it truthfully |
//! | [`mosframesink`] | publishes upstream's own buffers on the frame bus, without a copy |
//! | [`mosframesrc`] | receives a stream of the frame bus as a live source |
//! | `mostestcounter` | burns a frame counter into test pictures (development builds) |
//!
//! A program links the crate and calls [`plugin_register_static`]; GStreamer's own tools find `libgstmos.so` where
//! `GST_PLUGIN_PATH` points.

use std::sync::{Mutex, PoisonError};

mod address;
mod budget;
mod build;
mod clock;
#[cfg(feature = "development")]
pub mod counter;
pub mod fault;
mod lease;
#[cfg(feature = "lend")]
pub mod lend;
mod memory;
pub mod mosframesink;
pub mod mosframesrc;
pub mod mosnv12contract;
#[cfg(feature = "development")]
pub mod mostestcounter;
pub mod origins;
mod planes;
#[cfg(feature = "development")]
pub mod pool;
mod seal;
pub mod tls;
pub mod v4l2;

fn plugin_init(plugin: &gst::Plugin) -> Result<(), gst::glib::BoolError> {
    mosnv12contract::register(plugin)?;
    mosframesink::register(plugin)?;
    mosframesrc::register(plugin)?;
    #[cfg(feature = "development")]
    mostestcounter::register(plugin)?;
    Ok(())
}

#[allow(
    missing_docs,
    missing_debug_implementations,
    reason = "the macro's code"
)]
mod plugin {
    use super::plugin_init;

    gst::plugin_define!(
        mos,
        env!("CARGO_PKG_DESCRIPTION"),
        plugin_init,
        concat!(env!("CARGO_PKG_VERSION"), "-", env!("COMMIT_ID")),
        "MIT/X11",
        env!("CARGO_PKG_NAME"),
        env!("CARGO_PKG_NAME"),
        "mos-camera",
        env!("BUILD_REL_DATE")
    );
}

/// Makes the elements known to GStreamer in this process. Call it after `gst::init`; calling it again does no harm.
///
/// Fails if GStreamer refuses the registration.
pub fn plugin_register_static() -> Result<(), gst::glib::BoolError> {
    static REGISTERED: Mutex<bool> = Mutex::new(false);
    let mut registered = REGISTERED.lock().unwrap_or_else(PoisonError::into_inner);
    if !*registered {
        // Not a second time: GStreamer frees the factories of the first, which its element classes still point to.
        plugin::plugin_register_static()?;
        *registered = true;
    }
    Ok(())
}
