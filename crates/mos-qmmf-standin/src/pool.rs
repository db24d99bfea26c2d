//! `GstBuffer`s around the service's buffers, which go back when GStreamer is done with them.

use std::sync::{PoisonError, Weak};

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;

use crate::track::Track;

glib::wrapper! {
    /// A pool of buffers without memory of their own.
    pub(crate) struct LentPool(ObjectSubclass<imp::LentPool>) @extends gst::BufferPool, gst::Object;
}

impl LentPool {
    /// A pool that gives back to `track`.
    pub(crate) fn new(track: Weak<Track>) -> Result<Self, glib::BoolError> {
        let pool: Self = glib::Object::new();
        pool.imp()
            .lent
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .track = track;
        let mut config = pool.config();
        config.set_params(None, 0, 0, 0);
        pool.set_config(config)?;
        pool.set_active(true)?;
        Ok(pool)
    }

    /// An empty buffer; when its last user lets go, the service's buffer `slot` is given back.
    pub(crate) fn acquire(&self, slot: usize) -> Result<gst::Buffer, gst::FlowError> {
        let buffer = self.acquire_buffer(None)?;
        let mut lent = self
            .imp()
            .lent
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        lent.slots.insert(address(&buffer), slot);
        Ok(buffer)
    }
}

/// What tells one buffer from another while both live.
fn address(buffer: &gst::BufferRef) -> usize {
    std::ptr::from_ref(buffer).addr()
}

mod imp {
    use std::collections::HashMap;
    use std::sync::{Arc, Mutex, PoisonError, Weak};

    use gst::glib;
    use gst::subclass::prelude::*;

    use super::address;
    use crate::track::Track;

    #[derive(Debug, Default)]
    pub(super) struct Lent {
        pub(super) track: Weak<Track>,
        pub(super) slots: HashMap<usize, usize>,
    }

    #[derive(Debug, Default)]
    pub(crate) struct LentPool {
        pub(super) lent: Mutex<Lent>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for LentPool {
        const NAME: &'static str = "MosQmmfStandinPool";
        type Type = super::LentPool;
        type ParentType = gst::BufferPool;
    }

    impl ObjectImpl for LentPool {}
    impl GstObjectImpl for LentPool {}

    impl BufferPoolImpl for LentPool {
        fn alloc_buffer(
            &self,
            _params: Option<&gst::BufferPoolAcquireParams>,
        ) -> Result<gst::Buffer, gst::FlowError> {
            Ok(gst::Buffer::new())
        }

        fn release_buffer(&self, mut buffer: gst::Buffer) {
            let (track, slot): (Option<Arc<Track>>, _) = {
                let mut lent = self.lent.lock().unwrap_or_else(PoisonError::into_inner);
                (lent.track.upgrade(), lent.slots.remove(&address(&buffer)))
            };
            buffer.make_mut().remove_all_memory();
            self.parent_release_buffer(buffer);
            if let (Some(track), Some(slot)) = (track, slot) {
                track.give_back(slot);
            }
        }
    }
}
