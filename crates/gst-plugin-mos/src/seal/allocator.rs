//! An allocator of dma-buf memory that can't be mapped.

use std::cell::Cell;
use std::ptr;
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::Instant;

use gst::glib;
use gst::prelude::*;
use gst_allocators::subclass::prelude::*;

use super::refusals::{Access, Attempt, Refusals};

static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new(
        "mosseal",
        gst::DebugColorFlags::empty(),
        Some("frames that can't be mapped"),
    )
});

glib::wrapper! {
    /// A `GstDmaBufAllocator` whose memory refuses to be mapped or copied, and counts.
    ///
    /// Everything else is the parent's: its memory is dma-buf memory to GStreamer, hands out its descriptor, and its parts
    /// (`gst_memory_share`) are of this allocator too.
    pub struct SealedAllocator(ObjectSubclass<Sealed>)
        @extends gst_allocators::DmaBufAllocator, gst_allocators::FdAllocator, gst::Allocator, gst::Object;
}

impl SealedAllocator {
    /// An allocator that writes its refusals into a book, and its lines about them in the name of `owner`.
    pub(crate) fn new(refusals: Arc<Refusals>, owner: &gst::Object) -> Self {
        let allocator: Self = glib::Object::new();
        // A new object has no book yet.
        let _ = allocator.imp().book.set((refusals, owner.downgrade()));
        allocator
    }
}

#[derive(Debug, Default)]
pub struct Sealed {
    book: OnceLock<(Arc<Refusals>, glib::WeakRef<gst::Object>)>,
}

#[glib::object_subclass]
impl ObjectSubclass for Sealed {
    const NAME: &'static str = "MosSealedAllocator";
    // A process may have the code twice, linked and as a plugin.
    const ALLOW_NAME_CONFLICT: bool = true;
    type Type = SealedAllocator;
    type ParentType = gst_allocators::DmaBufAllocator;

    fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
        let allocator = object.as_ptr().cast::<gst::ffi::GstAllocator>();
        // SAFETY: the object is a GstAllocator in the making, whose parents have set their functions already, and nobody
        // else knows it. The functions have the types that GStreamer calls them by.
        unsafe {
            (*allocator).mem_map = Some(map);
            (*allocator).mem_map_full = Some(map_full);
            (*allocator).mem_copy = Some(copy);
        }
    }
}

impl ObjectImpl for Sealed {}
impl GstObjectImpl for Sealed {}
// SAFETY: nothing is overridden; allocating and freeing are the parent's.
unsafe impl AllocatorImpl for Sealed {}
impl FdAllocatorImpl for Sealed {}
impl DmaBufAllocatorImpl for Sealed {}

unsafe extern "C" fn map_full(
    memory: *mut gst::ffi::GstMemory,
    info: *mut gst::ffi::GstMapInfo,
    _maxsize: usize,
) -> glib::ffi::gpointer {
    // SAFETY: GStreamer gives a live memory of this allocator and the info that it fills in.
    unsafe { refuse_map(memory, (*info).flags) }
}

unsafe extern "C" fn map(
    memory: *mut gst::ffi::GstMemory,
    _maxsize: usize,
    flags: gst::ffi::GstMapFlags,
) -> glib::ffi::gpointer {
    // SAFETY: GStreamer gives a live memory of this allocator.
    unsafe { refuse_map(memory, flags) }
}

unsafe extern "C" fn copy(
    memory: *mut gst::ffi::GstMemory,
    _offset: isize,
    _size: isize,
) -> *mut gst::ffi::GstMemory {
    // `gst_memory_make_mapped` (and so `gst_buffer_map`) tries a copy after a refused mapping: that is one attempt. An
    // element that does the same in two calls of its own can't be told from it.
    if JUST_REFUSED.take() != memory.addr() {
        // SAFETY: GStreamer gives a live memory of this allocator.
        unsafe { record(memory, Access::Copy) };
    }
    ptr::null_mut()
}

thread_local! {
    /// Address of the memory that this thread was refused to map last; 0 is none.
    static JUST_REFUSED: Cell<usize> = const { Cell::new(0) };
}

/// # Safety
/// `memory` is a live memory of a [`SealedAllocator`].
unsafe fn refuse_map(
    memory: *mut gst::ffi::GstMemory,
    flags: gst::ffi::GstMapFlags,
) -> glib::ffi::gpointer {
    let asked = |flag| flags & flag != 0;
    let access = Access::Map {
        read: asked(gst::ffi::GST_MAP_READ),
        write: asked(gst::ffi::GST_MAP_WRITE),
    };
    JUST_REFUSED.set(memory.addr());
    // SAFETY: as the caller promises.
    unsafe { record(memory, access) };
    ptr::null_mut()
}

/// # Safety
/// `memory` is a live memory of a [`SealedAllocator`].
unsafe fn record(memory: *mut gst::ffi::GstMemory, access: Access) {
    // SAFETY: a live memory keeps its allocator, which has the instance struct of this type.
    let allocator = unsafe {
        &*(*memory)
            .allocator
            .cast::<<Sealed as ObjectSubclass>::Instance>()
    };
    let Some((refusals, owner)) = allocator.imp().book.get() else {
        return;
    };
    let thread = rustix::thread::name().unwrap_or_default();
    let attempt = Attempt {
        thread: thread.to_string_lossy().into_owned(),
        access,
    };
    if let Some(number) = refusals.record(attempt.clone(), Instant::now()) {
        let name = owner.upgrade().map(|owner| owner.name());
        let name = name.as_deref().unwrap_or("a gate that is gone");
        gst::warning!(
            CAT,
            "{name}: {number} refused, last {attempt}: a sealed frame can't be reached with the CPU; put that element \
             before the gate, or use one that imports dma-bufs"
        );
    }
}
