//! Whether frames of an element are still out.

use std::sync::{Arc, Mutex, PoisonError};

use gst::glib::WeakRef;
use gst::prelude::*;

/// The allocators that an element's frames came from. One lives for as long as a frame of it does, and keeps libcamera and the camera alive
/// (`gstlibcameraallocator.cpp`); the element itself lets go of it when it leaves PAUSED.
#[derive(Debug, Clone, Default)]
pub(super) struct Frames(Arc<Mutex<Vec<WeakRef<gst::Allocator>>>>);

impl Frames {
    /// Watches an element.
    pub(super) fn of(element: &gst::Element) -> Self {
        let frames = Self::default();
        if let Some(pad) = element.static_pad("src") {
            let seen = frames.clone();
            pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
                let memory = info.buffer().filter(|buffer| buffer.n_memory() > 0);
                if let Some(allocator) = memory.and_then(|b| b.peek_memory(0).allocator()) {
                    seen.note(allocator);
                }
                gst::PadProbeReturn::Ok
            });
        }
        frames
    }

    fn note(&self, allocator: &gst::Allocator) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.last().and_then(WeakRef::upgrade).as_ref() == Some(allocator) {
            return;
        }
        seen.retain(|seen| seen.upgrade().is_some());
        seen.push(allocator.downgrade());
    }

    /// Whether any is still out, of an element that is in READY.
    pub(super) fn any_out(&self) -> bool {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.iter().any(|allocator| allocator.upgrade().is_some())
    }
}

#[cfg(test)]
mod tests {
    use gst_allocators::FdAllocator;

    use super::*;

    #[test]
    fn a_frame_is_out_as_long_as_its_allocator_lives() {
        gst::init().unwrap();
        let frames = Frames::default();
        assert!(!frames.any_out());
        let [first, second] = [(); 2].map(|()| FdAllocator::new().upcast::<gst::Allocator>());
        for allocator in [&first, &first, &second, &second] {
            frames.note(allocator);
        }
        assert_eq!(frames.0.lock().unwrap().len(), 2);
        assert!(frames.any_out());
        drop(second);
        assert!(frames.any_out());
        drop(first);
        assert!(!frames.any_out());
    }
}
