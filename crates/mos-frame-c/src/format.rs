//! What the frames of a stream look like.

use std::mem::size_of;

use ::mos_frame::{Format, MemoryKind};

use crate::boundary::Versioned;

/// `mos_format.fourcc` of NV12, as `DRM_FORMAT_NV12`: 8-bit luma, then a plane of Cb and Cr in turns at half the size each way.
pub const MOS_FOURCC_NV12: u32 = 0x3231_564e;

/// `mos_format.memory`: memory of the kernel (`memfd_create(2)`), in development builds.
pub const MOS_MEMORY_MEMFD: u32 = 1;
/// `mos_format.memory`: a dma-buf, which devices can import.
pub const MOS_MEMORY_DMABUF: u32 = 2;

/// Format of a frame.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct mos_format {
    /// Set it to `sizeof(mos_format)` before the call.
    pub struct_size: usize,
    /// DRM format modifier; 0 is linear.
    pub modifier: u64,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Pixel format as in `drm_fourcc.h`; `MOS_FOURCC_NV12` for all cameras of this service.
    pub fourcc: u32,
    /// Frames per second, numerator; 0 if it varies or is not known.
    pub framerate_num: u32,
    /// Frames per second, denominator; never 0.
    pub framerate_den: u32,
    /// `MOS_MEMORY_MEMFD` or `MOS_MEMORY_DMABUF`.
    pub memory: u32,
    /// 1 if the kernel keeps this process from writing to the pixels, else 0. Never write to them in any case.
    pub read_only: u32,
    /// Colorimetry as GStreamer writes it, such as "bt709"; empty if not known. With a NUL at its end.
    pub colorimetry: [u8; MOS_COLORIMETRY_SIZE],
}

/// Bytes of `mos_format.colorimetry`.
pub const MOS_COLORIMETRY_SIZE: usize = 68;

// SAFETY: repr(C); a size, eight bytes, seven words of 32 bits and 68 bytes are a multiple of eight without a gap; numbers only.
unsafe impl Versioned for mos_format {
    const FIRST: usize = size_of::<usize>() + 8 + 7 * 4 + MOS_COLORIMETRY_SIZE;
    const NAME: &'static str = "mos_format";
}

impl mos_format {
    pub(crate) fn new(format: &Format) -> Self {
        let mut colorimetry = [0; MOS_COLORIMETRY_SIZE];
        // The last byte stays NUL; the protocol allows 64.
        for (to, from) in colorimetry[..MOS_COLORIMETRY_SIZE - 1]
            .iter_mut()
            .zip(format.colorimetry.bytes())
        {
            *to = from;
        }
        Self {
            struct_size: size_of::<Self>(),
            modifier: format.modifier,
            width: format.width,
            height: format.height,
            fourcc: format.fourcc.0,
            framerate_num: format.framerate.0,
            framerate_den: format.framerate.1,
            memory: match format.memory {
                MemoryKind::Memfd => MOS_MEMORY_MEMFD,
                MemoryKind::DmaBuf => MOS_MEMORY_DMABUF,
            },
            read_only: u32::from(format.read_only),
            colorimetry,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_carried_over() {
        let mut format = Format::nv12_memfd(640, 480, (30, 1));
        format.colorimetry = "bt709".into();
        let ours = mos_format::new(&format);
        assert_eq!(
            (ours.width, ours.height, ours.fourcc),
            (640, 480, MOS_FOURCC_NV12)
        );
        assert_eq!((ours.framerate_num, ours.framerate_den), (30, 1));
        assert_eq!((ours.memory, ours.read_only), (MOS_MEMORY_MEMFD, 1));
        assert!(ours.colorimetry.starts_with(b"bt709\0"));
        assert_eq!(mos_format::FIRST, size_of::<mos_format>());
    }

    #[test]
    fn a_text_always_ends() {
        let mut format = Format::nv12_memfd(2, 2, (0, 1));
        format.colorimetry = "x".repeat(200);
        assert_eq!(mos_format::new(&format).colorimetry.last(), Some(&0));
    }
}
