//! A buffer pool in shareable memory, for sources and decoders that have none of their own.
//!
//! Each buffer is one NV12 picture in one block of memory. Either it is a dma-buf, from a dma-heap or udmabuf; GStreamer
//! tells the kernel when the CPU begins and ends to access one. Whoever receives its descriptor can write to it. Or it is
//! a memfd, which is mapped once for writing and then sealed, so that upstream can go on writing through that mapping while
//! nobody who receives the descriptor can map it for writing.
//! Development builds only: a production pipeline brings dma-bufs with it.

mod fallback;
mod imp;

use std::sync::Arc;

use gst::prelude::*;
use gst::subclass::prelude::*;

use crate::budget::MAX_BUFFERS;
pub use fallback::FallbackKind;
pub(crate) use fallback::{Source, Wish};

gst::glib::wrapper! {
    /// `GstBufferPool` of dma-bufs or sealed memfds.
    pub struct BusPool(ObjectSubclass<imp::BusPool>) @extends gst::BufferPool, gst::Object;
}

/// The best memory that this machine gives the gate's pool now; found out by asking for some.
pub fn best_memory() -> FallbackKind {
    /// One page: what is asked for says whether, not how much.
    const LITTLE: u64 = 4096;
    Source::find(Wish::Auto, LITTLE).kind()
}

impl BusPool {
    /// Buffers beyond the minimum that a pool may grow to if nobody says otherwise.
    pub const HEADROOM: u32 = 16;

    /// An inactive pool, to be configured by whoever uses it.
    pub fn new() -> Self {
        gst::glib::Object::new()
    }

    /// A pool of memfds that is configured for `caps` but not active.
    pub fn configured(
        caps: &gst::Caps,
        size: u32,
        min: u32,
        max: u32,
    ) -> Result<Self, gst::glib::BoolError> {
        Self::configured_from(None, caps, size, min, max)
    }

    /// The same with dma-bufs from this source; `None` is memfds.
    pub(crate) fn configured_from(
        source: Option<Source>,
        caps: &gst::Caps,
        size: u32,
        min: u32,
        max: u32,
    ) -> Result<Self, gst::glib::BoolError> {
        let pool = Self::new();
        pool.imp().set_source(source.map(Arc::new));
        let mut config = pool.config();
        config.set_params(Some(caps), size, min, max);
        config.add_option(gst_video::BUFFER_POOL_OPTION_VIDEO_META.as_ref());
        pool.set_config(config)?;
        Ok(pool)
    }
}

impl Default for BusPool {
    fn default() -> Self {
        Self::new()
    }
}

/// Upper bound of a pool: `asked`, or the minimum and some headroom if that is 0; never more than the bus has slots.
fn upper_bound(min: u32, asked: u32) -> u32 {
    let bound = if asked == 0 {
        min.saturating_add(BusPool::HEADROOM)
    } else {
        asked
    };
    bound.min(MAX_BUFFERS)
}

#[cfg(test)]
mod tests;
