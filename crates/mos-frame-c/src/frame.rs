//! Frames in the hands of a C program.

use std::mem::{ManuallyDrop, size_of};
use std::os::fd::AsRawFd;
use std::sync::Arc;

use ::mos_frame::Frame;

use crate::boundary::{Versioned, guard, is_null, write};
use crate::format::mos_format;
use crate::status::{Failure, MOS_OK, mos_status};

/// A frame of a camera. While you hold it nobody writes to its memory.
#[derive(Debug)]
pub struct mos_frame {
    // Never made: a handle is an `Arc<Frame>` turned into a pointer.
    _private: [u8; 0],
}

/// A time that is not known.
pub const MOS_TIME_NONE: u64 = u64::MAX;

/// `mos_frame_info.flags`: frames are missing at the source between this one and the one before it.
pub const MOS_FRAME_DISCONT: u32 = 1;
/// `mos_frame_info.flags`: the source said that the picture is damaged.
pub const MOS_FRAME_CORRUPTED: u32 = 2;
/// `mos_frame_info.flags`: its times and those of the frame before do not compare: another clock, a clock that was set, or a
/// `capture_ns` that was held so as not to run backward.
pub const MOS_FRAME_RETIMED: u32 = 4;

/// `mos_frame_info.clock_source`: it is not known what the capture time was taken from.
pub const MOS_CLOCK_UNKNOWN: u32 = 0;
/// `mos_frame_info.clock_source`: the frame's arrival in this machine.
pub const MOS_CLOCK_ARRIVAL: u32 = 1;
/// `mos_frame_info.clock_source`: the capture driver (V4L2's buffer time).
pub const MOS_CLOCK_DRIVER: u32 = 2;
/// `mos_frame_info.clock_source`: the pipeline's clock and the buffer's presentation time.
pub const MOS_CLOCK_PIPELINE: u32 = 3;
/// `mos_frame_info.clock_source`: NTP time that the camera sent.
pub const MOS_CLOCK_NTP: u32 = 4;
/// `mos_frame_info.clock_source`: PTP time that the camera sent.
pub const MOS_CLOCK_PTP: u32 = 5;
/// `mos_frame_info.clock_source`: NTP time that the camera sent, placed by the frames that took the shortest way here.
pub const MOS_CLOCK_NTP_RELATIVE: u32 = 6;
/// `mos_frame_info.clock_source`: PTP time that the camera sent, placed by the frames that took the shortest way here.
pub const MOS_CLOCK_PTP_RELATIVE: u32 = 7;

/// What a frame is. Times are in nanoseconds.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct mos_frame_info {
    /// Set it to `sizeof(mos_frame_info)` before the call.
    pub struct_size: usize,
    /// Number of the frame, from 1, rising by one per published frame of a session: a gap is a frame that you missed.
    pub seq: u64,
    /// Number of the producer's session. A restarted producer has another, and `seq` starts anew.
    pub session: u64,
    /// Time of capture on `CLOCK_MONOTONIC`.
    pub capture_ns: u64,
    /// Time of publishing on `CLOCK_MONOTONIC`.
    pub publish_ns: u64,
    /// Presentation time of the source, or `MOS_TIME_NONE`.
    pub pts_ns: u64,
    /// Time of day of the capture since 1970 UTC where the camera gave it, or `MOS_TIME_NONE`.
    pub wall_ns: u64,
    /// Bound of the error of `capture_ns`; 0 if none is known.
    pub clock_error_ns: u32,
    /// What `capture_ns` was taken from, one of `MOS_CLOCK_...`.
    pub clock_source: u32,
    /// Counts the format changes of the session, from 1.
    pub epoch: u32,
    /// Number of the buffer within the session: the same memory has the same number, so imports can be kept.
    pub buffer_id: u32,
    /// `MOS_FRAME_DISCONT`, `MOS_FRAME_CORRUPTED`, `MOS_FRAME_RETIMED`.
    pub flags: u32,
    /// Number of planes, 1 to 4.
    pub plane_count: u32,
}

// SAFETY: repr(C); a size, six words of 64 and six of 32 bits leave no gap; numbers only.
unsafe impl Versioned for mos_frame_info {
    const FIRST: usize = size_of::<usize>() + 6 * 8 + 6 * 4;
    const NAME: &'static str = "mos_frame_info";
}

/// Where a plane lies.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct mos_plane {
    /// Set it to `sizeof(mos_plane)` before the call.
    pub struct_size: usize,
    /// First byte, from the start of the descriptor's memory.
    pub offset: u64,
    /// Bytes that the plane covers.
    pub size: u64,
    /// Bytes from one row to the next.
    pub stride: u32,
    /// The memory: a dma-buf or a memfd. It belongs to the frame: don't close it; `dup(2)` it to keep it.
    pub fd: i32,
    /// Which of the frame's descriptors that is, from 0; planes may share one.
    pub fd_index: u32,
    /// Always 0.
    pub reserved: u32,
}

// SAFETY: repr(C); a size, two words of 64 and four of 32 bits leave no gap; numbers only.
unsafe impl Versioned for mos_plane {
    const FIRST: usize = size_of::<usize>() + 2 * 8 + 4 * 4;
    const NAME: &'static str = "mos_plane";
}

/// Handles go to other threads, and several may use one.
const fn is_shared<T: Send + Sync>() {}
const _: () = is_shared::<Frame>();

/// Hands a frame out.
pub(crate) fn into_handle(frame: Frame) -> *mut mos_frame {
    Arc::into_raw(Arc::new(frame)).cast_mut().cast()
}

/// The frame behind a handle, without taking it over.
///
/// # Safety
/// `frame` is NULL or a handle that is not let go during the use of the result.
pub(crate) unsafe fn shared(frame: *const mos_frame) -> Result<ManuallyDrop<Arc<Frame>>, Failure> {
    if frame.is_null() {
        return Err(is_null("frame"));
    }
    // SAFETY: a handle is what `into_handle` made; `ManuallyDrop` leaves its count alone.
    Ok(ManuallyDrop::new(unsafe {
        Arc::from_raw(frame.cast::<Frame>())
    }))
}

/// One more owner of a frame; each calls `mos_frame_unref`. Gives `frame` back; NULL for NULL.
///
/// # Safety
/// `frame` is NULL or a frame that this caller holds.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mos_frame_ref(frame: *mut mos_frame) -> *mut mos_frame {
    if !frame.is_null() {
        // SAFETY: a handle is an `Arc<Frame>`, alive since the caller holds it.
        unsafe { Arc::increment_strong_count(frame.cast_const().cast::<Frame>()) };
    }
    frame
}

/// Lets a frame go. When its last owner has, the memory is the camera's again; that takes no system call. NULL does nothing.
///
/// # Safety
/// `frame` is NULL or a frame that this caller holds, and does not use afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mos_frame_unref(frame: *mut mos_frame) {
    if frame.is_null() {
        return;
    }
    guard(|| {
        // SAFETY: a handle is an `Arc<Frame>`, and the caller gives its share of it up.
        drop(unsafe { Arc::from_raw(frame.cast_const().cast::<Frame>()) });
        Ok(MOS_OK)
    });
}

/// Number, times and flags of a frame.
///
/// # Safety
/// `frame` is NULL or a frame that the caller holds; `info` is NULL or has the size that its `struct_size` says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mos_frame_get_info(
    frame: *const mos_frame,
    info: *mut mos_frame_info,
) -> mos_status {
    guard(|| {
        // SAFETY: as the caller promises.
        let frame = unsafe { shared(frame) }?;
        // SAFETY: as the caller promises.
        unsafe { write(info, &info_of(&frame)) }?;
        Ok(MOS_OK)
    })
}

fn info_of(frame: &Frame) -> mos_frame_info {
    let meta = frame.meta();
    mos_frame_info {
        struct_size: size_of::<mos_frame_info>(),
        seq: frame.seq(),
        session: frame.session(),
        capture_ns: meta.capture_ns,
        publish_ns: frame.publish_ns(),
        pts_ns: meta.pts_ns.unwrap_or(MOS_TIME_NONE),
        wall_ns: meta.wall_ns.unwrap_or(MOS_TIME_NONE),
        clock_error_ns: meta.clock_error_ns,
        clock_source: meta.clock_source as u32,
        epoch: frame.epoch(),
        buffer_id: frame.buffer_id(),
        flags: meta.flags.0.into(),
        plane_count: frame.layout().planes.len() as u32,
    }
}

/// Format of a frame: size, pixel format, memory.
///
/// # Safety
/// `frame` is NULL or a frame that the caller holds; `format` is NULL or has the size that its `struct_size` says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mos_frame_get_format(
    frame: *const mos_frame,
    format: *mut mos_format,
) -> mos_status {
    guard(|| {
        // SAFETY: as the caller promises.
        let frame = unsafe { shared(frame) }?;
        // SAFETY: as the caller promises.
        unsafe { write(format, &mos_format::new(frame.format())) }?;
        Ok(MOS_OK)
    })
}

/// Where plane `index` of a frame lies: luma is 0, chroma 1.
///
/// # Safety
/// `frame` is NULL or a frame that the caller holds; `plane` is NULL or has the size that its `struct_size` says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mos_frame_get_plane(
    frame: *const mos_frame,
    index: u32,
    plane: *mut mos_plane,
) -> mos_status {
    guard(|| {
        // SAFETY: as the caller promises.
        let frame = unsafe { shared(frame) }?;
        // SAFETY: as the caller promises.
        unsafe { write(plane, &plane_of(&frame, index)?) }?;
        Ok(MOS_OK)
    })
}

fn plane_of(frame: &Frame, index: u32) -> Result<mos_plane, Failure> {
    let planes = &frame.layout().planes;
    let (Some(plane), Some(fd)) = (planes.get(index as usize), frame.fd(index as usize)) else {
        return Err(no_plane(frame, index));
    };
    Ok(mos_plane {
        struct_size: size_of::<mos_plane>(),
        offset: plane.offset,
        size: plane.size,
        stride: plane.stride,
        fd: fd.as_raw_fd(),
        fd_index: plane.fd.into(),
        reserved: 0,
    })
}

pub(crate) fn no_plane(frame: &Frame, index: u32) -> Failure {
    let count = frame.layout().planes.len();
    Failure::argument(format!("there is no plane {index}: the frame has {count}"))
}

/// Whether the frame is still yours. False once the producer took it back: by the window if you subscribed with
/// `MOS_HOLD_NONE`, or because it cut this subscriber off. What was read before is good if this is true afterwards.
/// False for NULL.
///
/// # Safety
/// `frame` is NULL or a frame that the caller holds.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mos_frame_is_valid(frame: *const mos_frame) -> bool {
    let mut valid = false;
    guard(|| {
        // SAFETY: as the caller promises.
        valid = unsafe { shared(frame) }?.is_valid();
        Ok(MOS_OK)
    });
    valid
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_versions_are_these() {
        assert_eq!(mos_frame_info::FIRST, size_of::<mos_frame_info>());
        assert_eq!(mos_plane::FIRST, size_of::<mos_plane>());
    }

    #[test]
    fn numbers_are_the_buses() {
        use ::mos_frame::{ClockSource, FrameFlags};
        let clocks = [
            (ClockSource::Unknown, MOS_CLOCK_UNKNOWN),
            (ClockSource::Arrival, MOS_CLOCK_ARRIVAL),
            (ClockSource::Driver, MOS_CLOCK_DRIVER),
            (ClockSource::PipelineClock, MOS_CLOCK_PIPELINE),
            (ClockSource::Ntp, MOS_CLOCK_NTP),
            (ClockSource::Ptp, MOS_CLOCK_PTP),
            (ClockSource::NtpRelative, MOS_CLOCK_NTP_RELATIVE),
            (ClockSource::PtpRelative, MOS_CLOCK_PTP_RELATIVE),
        ];
        for (clock, number) in clocks {
            assert_eq!(clock as u32, number, "{clock:?}");
        }
        assert_eq!(u32::from(FrameFlags::DISCONT.0), MOS_FRAME_DISCONT);
        assert_eq!(u32::from(FrameFlags::CORRUPTED.0), MOS_FRAME_CORRUPTED);
        assert_eq!(u32::from(FrameFlags::RETIMED.0), MOS_FRAME_RETIMED);
    }
}
