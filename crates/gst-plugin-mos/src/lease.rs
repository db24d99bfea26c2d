//! Ties a lease to the memory that it protects.

use std::sync::LazyLock;

use gst::glib;
use gst::glib::translate::IntoGlib;

static LEASE: LazyLock<glib::Quark> = LazyLock::new(|| glib::Quark::from_str("mos-frame-lease"));

/// Keeps `lease` until the last user of `memory` lets go.
///
/// On the memory and not on the buffer: an element may copy a buffer and share its memory, or move the memory into
/// another buffer. A part of the memory (`gst_memory_share`) keeps the whole alive, and so its lease.
pub(crate) fn attach<T: Send + 'static>(memory: &mut gst::MemoryRef, lease: T) {
    let lease = Box::into_raw(Box::new(lease));
    // SAFETY: `&mut` makes us the only user of a live memory. The box is handed over and comes back exactly once, to
    // `end`, which knows its type; `T: Send` since any thread may drop the last reference.
    unsafe {
        gst::ffi::gst_mini_object_set_qdata(
            memory.as_mut_ptr().cast(),
            LEASE.into_glib(),
            lease.cast(),
            Some(end::<T>),
        );
    }
}

/// Called by GStreamer when the memory is freed.
unsafe extern "C" fn end<T>(lease: glib::ffi::gpointer) {
    // SAFETY: the pointer is the box of `attach::<T>`, and GStreamer calls this once.
    drop(unsafe { Box::from_raw(lease.cast::<T>()) });
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn leased() -> (gst::Buffer, Arc<()>) {
        gst::init().unwrap();
        let lease = Arc::new(());
        let mut memory = gst::Memory::with_size(64);
        attach(memory.get_mut().unwrap(), Arc::clone(&lease));
        (gst::Buffer::from(memory), lease)
    }

    #[test]
    fn ends_with_the_buffer() {
        let (buffer, lease) = leased();
        assert_eq!(Arc::strong_count(&lease), 2);
        drop(buffer);
        assert_eq!(Arc::strong_count(&lease), 1);
    }

    #[test]
    fn outlives_the_buffer_if_the_memory_does() {
        let (buffer, lease) = leased();
        let shallow = buffer.copy();
        let part = buffer.peek_memory(0).share(0..16);
        drop(buffer);
        assert_eq!(Arc::strong_count(&lease), 2);
        drop(shallow);
        assert_eq!(Arc::strong_count(&lease), 2);
        drop(part);
        assert_eq!(Arc::strong_count(&lease), 1);
    }
}
