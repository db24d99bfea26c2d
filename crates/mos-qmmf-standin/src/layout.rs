//! How NV12 lies in the service's buffers.

/// Planes of a picture in one block of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) stride: u32,
    pub(crate) offsets: [usize; 2],
    pub(crate) size: usize,
}

/// The usual alignment of linear NV12 on these chips: lines of 128 bytes, 32 and 16 of them, whole pages (`COLOR_FMT_NV12` in
/// `msm_media_info.h` of the vendor's kernels).
pub(crate) const fn nv12(width: u32, height: u32) -> Layout {
    let stride = width.next_multiple_of(128);
    let luma = stride as usize * height.next_multiple_of(32) as usize;
    let chroma = stride as usize * height.div_ceil(2).next_multiple_of(16) as usize;
    Layout {
        stride,
        offsets: [0, luma],
        size: (luma + chroma).next_multiple_of(4096),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_are_aligned_as_the_chips_want_it() {
        for ((width, height), stride, chroma, size) in [
            ((640, 480), 640, 307_200, 462_848),
            ((1920, 1080), 1920, 1920 * 1088, 3_133_440),
            ((322, 242), 384, 384 * 256, 147_456),
        ] {
            let layout = nv12(width, height);
            assert_eq!(
                (layout.stride, layout.offsets[1], layout.size),
                (stride, chroma, size),
                "{width}x{height}"
            );
        }
    }
}
