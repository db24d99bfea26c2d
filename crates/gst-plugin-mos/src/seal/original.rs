//! The buffer that a sealed block of memory was made of.

use std::sync::LazyLock;

use gst::glib;
use gst::glib::translate::{IntoGlib, IntoGlibPtr};

static ORIGINAL: LazyLock<glib::Quark> =
    LazyLock::new(|| glib::Quark::from_str("mos-sealed-original"));

/// Keeps `original` until the last user of `block`, or of a part of it, lets go.
pub(super) fn keep(block: &mut gst::MemoryRef, original: gst::Buffer) {
    // SAFETY: `&mut` makes us the only user of a live memory. Our reference to the buffer is handed over and given back
    // exactly once, when the memory is freed. Any thread may do that, as with any buffer.
    unsafe {
        gst::ffi::gst_mini_object_set_qdata(
            block.as_mut_ptr().cast(),
            ORIGINAL.into_glib(),
            original.into_glib_ptr().cast(),
            Some(release),
        );
    }
}

/// Called by GStreamer when the block is freed.
unsafe extern "C" fn release(original: glib::ffi::gpointer) {
    // SAFETY: the pointer is the reference of `keep`, and GStreamer calls this once.
    unsafe { gst::ffi::gst_mini_object_unref(original.cast()) };
}

/// The buffer that `buffer` is the sealed view of; `None` if it isn't sealed.
pub(crate) fn original(buffer: &gst::BufferRef) -> Option<&gst::BufferRef> {
    let block = buffer.iter_memories().next()?;
    let block = block.parent().unwrap_or(block);
    // SAFETY: a live block is asked for data that only `keep` sets, once and before it is shared: a buffer that lives as
    // long as the block, which the result borrows by way of `buffer`.
    unsafe {
        let block = block.as_ptr().cast_mut().cast();
        let original = gst::ffi::gst_mini_object_get_qdata(block, ORIGINAL.into_glib());
        (!original.is_null()).then(|| gst::BufferRef::from_ptr(original.cast()))
    }
}
