//! Reading pixels with the CPU; development builds only. Each item says so, for cbindgen to say it in the header.

use std::mem::size_of;
use std::ptr;

use ::mos_frame::MappedFrame;

use crate::boundary::{borrow, guard, out};
use crate::frame::{mos_frame, no_plane, shared};
use crate::status::{Failure, MOS_OK, mos_status};

/// A frame that is mapped into this process for reading. It holds the frame by itself.
#[cfg(feature = "development")]
#[derive(Debug)]
pub struct mos_mapping {
    mapped: MappedFrame<'static>,
}

const _: () = assert!(size_of::<mos_mapping>() > 0, "a handle needs an address");

/// Maps a frame for the CPU to read; development builds only (`mos_has_cpu_access`).
///
/// Each call maps anew, which takes two system calls or more: read what you need through one mapping. `MOS_ERR_UNSUPPORTED`
/// for a subscription with `MOS_HOLD_NONE`: its frames can change while they are read.
///
/// # Safety
/// `frame` is NULL or a frame that the caller holds; `mapping` is NULL or has room for a pointer.
#[cfg(feature = "development")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mos_frame_map(
    frame: *mut mos_frame,
    mapping: *mut *mut mos_mapping,
) -> mos_status {
    guard(|| {
        // SAFETY: as the caller promises.
        let result = unsafe { out(mapping, "mapping") }?.write(ptr::null_mut());
        // SAFETY: as the caller promises.
        let frame = unsafe { shared(frame) }?;
        let mapped = frame.map_shared();
        let mapped = mapped.map_err(|e| Failure::io("the frame can't be mapped", &e))?;
        *result = Box::into_raw(Box::new(mos_mapping { mapped }));
        Ok(MOS_OK)
    })
}

/// Bytes of plane `index`: `stride` bytes a row, `size` bytes altogether. Never write to them: that ends the process.
///
/// # Safety
/// `mapping` is NULL or a mapping that was not unmapped; `data` and `size` are NULL or have room for their result.
#[cfg(feature = "development")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mos_mapping_get_plane(
    mapping: *const mos_mapping,
    index: u32,
    data: *mut *const u8,
    size: *mut usize,
) -> mos_status {
    guard(|| {
        // SAFETY: as the caller promises.
        let mapped = unsafe { &borrow(mapping, "mapping")?.mapped };
        // SAFETY: as the caller promises.
        let (data, size) = unsafe { (out(data, "data")?, out(size, "size")?) };
        let bytes = mapped.plane(index as usize);
        let bytes = bytes.ok_or_else(|| no_plane(mapped.frame(), index))?;
        data.write(bytes.as_ptr());
        size.write(bytes.len());
        Ok(MOS_OK)
    })
}

/// Ends a mapping, and its hold on the frame. NULL does nothing.
///
/// # Safety
/// `mapping` is NULL or a mapping that is not used afterwards.
#[cfg(feature = "development")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mos_mapping_unmap(mapping: *mut mos_mapping) {
    if mapping.is_null() {
        return;
    }
    guard(|| {
        // SAFETY: `mos_frame_map` made it from a box, and the caller gives it up.
        drop(unsafe { Box::from_raw(mapping) });
        Ok(MOS_OK)
    });
}
