//! A buffer pool in shareable memory, for sources and decoders that have none of their own.
//!
//! Each buffer is one memfd with an NV12 picture. It is mapped once for writing and then sealed, so that upstream can
//! go on writing through that mapping while nobody who receives the descriptor can map it for writing.
//! Development builds only: a production pipeline brings dma-bufs with it.

mod imp;

use gst::prelude::*;

use crate::budget::MAX_BUFFERS;

gst::glib::wrapper! {
    /// `GstBufferPool` of sealed memfds.
    pub struct BusPool(ObjectSubclass<imp::BusPool>) @extends gst::BufferPool, gst::Object;
}

impl BusPool {
    /// Buffers beyond the minimum that a pool may grow to if nobody says otherwise.
    pub const HEADROOM: u32 = 16;

    /// An inactive pool, to be configured by whoever uses it.
    pub fn new() -> Self {
        gst::glib::Object::new()
    }

    /// A pool that is configured for `caps` but not active.
    pub fn configured(
        caps: &gst::Caps,
        size: u32,
        min: u32,
        max: u32,
    ) -> Result<Self, gst::glib::BoolError> {
        let pool = Self::new();
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
