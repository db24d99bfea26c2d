//! Where the planes of a buffer lie in the memory behind it.

use gst_video::{VideoInfo, VideoMeta};
use mos_frame::{Layout, Plane};

/// The planes of a buffer and the blocks of memory that hold them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Planes {
    /// Index in the buffer of the memory that [`Plane::fd`] number i names.
    pub(crate) memories: Vec<usize>,
    /// The planes, with offsets from the start of their descriptor.
    pub(crate) layout: Layout,
}

/// One plane as GStreamer describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wanted {
    /// From the start of the buffer.
    offset: usize,
    stride: usize,
    rows: usize,
    row_bytes: usize,
}

impl Wanted {
    /// The last row need not be padded to a full stride.
    const fn least(&self) -> usize {
        self.stride * (self.rows - 1) + self.row_bytes
    }
}

/// Finds the planes of an NV12 buffer: by its [`VideoMeta`], or as `info` lays them out where there is none.
///
/// Fails with a description if a plane doesn't lie in one block of memory or is smaller than its rows.
pub(crate) fn of(buffer: &gst::BufferRef, info: &VideoInfo) -> Result<Planes, String> {
    let mut planes = Planes {
        memories: Vec::new(),
        layout: Layout { planes: Vec::new() },
    };
    for (number, wanted) in wanted(buffer, info)?.iter().enumerate() {
        let plane = locate(buffer, wanted, &mut planes.memories)
            .map_err(|why| format!("plane {number} {why}"))?;
        planes.layout.planes.push(plane);
    }
    Ok(planes)
}

fn wanted(buffer: &gst::BufferRef, info: &VideoInfo) -> Result<[Wanted; 2], String> {
    let meta = buffer.meta::<VideoMeta>();
    let (offsets, strides) = meta
        .as_ref()
        .map_or((info.offset(), info.stride()), |m| (m.offset(), m.stride()));
    let (width, height) = (info.width() as usize, info.height() as usize);
    if let Some(meta) = &meta
        && (meta.width() as usize, meta.height() as usize) != (width, height)
    {
        return Err(format!(
            "the caps say {width}x{height}, the buffer's GstVideoMeta {}x{}",
            meta.width(),
            meta.height()
        ));
    }
    let plane = |i: usize, rows: usize, row_bytes: usize| {
        let (Some(&offset), Some(&stride)) = (offsets.get(i), strides.get(i)) else {
            return Err(format!("plane {i} is missing"));
        };
        let stride = usize::try_from(stride).unwrap_or(0);
        let fits = rows > 0 && row_bytes > 0 && stride >= row_bytes;
        fits.then_some(Wanted {
            offset,
            stride,
            rows,
            row_bytes,
        })
        .ok_or_else(|| format!("plane {i} has a stride of {stride} bytes for rows of {row_bytes}"))
    };
    Ok([
        plane(0, height, width)?,
        plane(1, height.div_ceil(2), width.next_multiple_of(2))?,
    ])
}

fn locate(
    buffer: &gst::BufferRef,
    wanted: &Wanted,
    memories: &mut Vec<usize>,
) -> Result<Plane, String> {
    let end = wanted
        .offset
        .checked_add(wanted.least())
        .ok_or("ends beyond any address")?;
    let (blocks, skip) = buffer
        .find_memory(wanted.offset..end)
        .ok_or_else(|| format!("ends at byte {end} of a buffer of {} bytes", buffer.size()))?;
    if blocks.len() != 1 {
        return Err(format!("is spread over {} blocks of memory", blocks.len()));
    }
    let memory = buffer.peek_memory(blocks.start);
    let fd = number_of(blocks.start, buffer, memories);
    let offset = memory.offset() + skip;
    // `maxsize` is what the descriptor holds; a padded last row is part of the plane where there is room for it.
    let size = (wanted.stride * wanted.rows)
        .min(memory.maxsize().saturating_sub(offset))
        .max(wanted.least());
    Ok(Plane {
        fd: fd as u8,
        offset: offset as u64,
        stride: wanted.stride as u32,
        size: size as u64,
    })
}

/// Number of a block's descriptor; blocks that are parts of one descriptor share a number.
fn number_of(block: usize, buffer: &gst::BufferRef, memories: &mut Vec<usize>) -> usize {
    let raw = |i: usize| {
        crate::memory::fd_of(buffer.peek_memory(i)).map(|fd| std::os::fd::AsRawFd::as_raw_fd(&fd))
    };
    let same =
        |&known: &usize| known == block || (raw(known).is_some() && raw(known) == raw(block));
    memories.iter().position(same).unwrap_or_else(|| {
        memories.push(block);
        memories.len() - 1
    })
}

#[cfg(test)]
mod tests {
    use gst_video::{VideoFormat, VideoFrameFlags};

    use super::*;
    use crate::memory::tests::fd_memory_of;

    fn info(width: u32, height: u32) -> VideoInfo {
        gst::init().unwrap();
        VideoInfo::builder(VideoFormat::Nv12, width, height)
            .build()
            .unwrap()
    }

    fn fd_memory(size: usize) -> gst::Memory {
        fd_memory_of(
            mos_frame::memory::memfd("planes", size as u64).unwrap(),
            size,
        )
    }

    fn buffer(
        memories: impl IntoIterator<Item = gst::Memory>,
        meta: Option<(u32, u32, [usize; 2], [i32; 2])>,
    ) -> gst::Buffer {
        let mut buffer: gst::Buffer = memories.into_iter().collect();
        if let Some((width, height, offset, stride)) = meta {
            let none = VideoFrameFlags::empty();
            VideoMeta::add_full(
                buffer.get_mut().unwrap(),
                none,
                VideoFormat::Nv12,
                width,
                height,
                &offset,
                &stride,
            )
            .unwrap();
        }
        buffer
    }

    fn plane(fd: u8, offset: u64, stride: u32, size: u64) -> Plane {
        Plane {
            fd,
            offset,
            stride,
            size,
        }
    }

    #[test]
    fn without_meta_the_caps_say_where_planes_lie() {
        let planes = of(
            &buffer([fd_memory(320 * 240 * 3 / 2)], None),
            &info(320, 240),
        )
        .unwrap();
        assert_eq!(planes.memories, [0]);
        assert_eq!(
            planes.layout.planes,
            [
                plane(0, 0, 320, 320 * 240),
                plane(0, 320 * 240, 320, 320 * 120)
            ]
        );
    }

    #[test]
    fn the_meta_wins_over_the_caps() {
        let buffer = buffer(
            [fd_memory(0x10000)],
            Some((64, 32, [0x1000, 0x8000], [128, 256])),
        );
        let planes = of(&buffer, &info(64, 32)).unwrap();
        assert_eq!(
            planes.layout.planes,
            [
                plane(0, 0x1000, 128, 128 * 32),
                plane(0, 0x8000, 256, 256 * 16)
            ]
        );
    }

    #[test]
    fn a_plane_for_each_descriptor() {
        let buffer = buffer(
            [fd_memory(4096), fd_memory(4096)],
            Some((64, 32, [0, 4096 + 512], [64, 64])),
        );
        let planes = of(&buffer, &info(64, 32)).unwrap();
        assert_eq!(planes.memories, [0, 1]);
        assert_eq!(
            planes.layout.planes,
            [plane(0, 0, 64, 2048), plane(1, 512, 64, 1024)]
        );
    }

    #[test]
    fn parts_of_one_descriptor_are_one() {
        let whole = fd_memory(8192);
        let parts = [whole.share(0..4096), whole.share(4096..8192)];
        let planes = of(
            &buffer(parts, Some((64, 32, [0, 4096], [64, 64]))),
            &info(64, 32),
        )
        .unwrap();
        assert_eq!(planes.memories, [0]);
        assert_eq!(planes.layout.planes[1], plane(0, 4096, 64, 1024));
    }

    #[test]
    fn an_unpadded_last_row_is_enough() {
        let size = 128 * 47 + 64;
        let buffer = buffer([fd_memory(size)], Some((64, 32, [0, 128 * 32], [128, 128])));
        assert_eq!(
            of(&buffer, &info(64, 32)).unwrap().layout.planes[1].size,
            (128 * 15 + 64) as u64
        );
    }

    #[test]
    fn planes_that_do_not_fit_are_refused() {
        let one = || vec![fd_memory(4096)];
        let two = || vec![fd_memory(2000), fd_memory(2000)];
        let cases = [
            (
                "too small",
                one(),
                Some((64, 64, [0, 4096], [64, 64])),
                "plane 1 ends at byte 6144",
            ),
            (
                "across blocks",
                two(),
                Some((64, 32, [0, 2048], [64, 64])),
                "spread over 2 blocks",
            ),
            (
                "short stride",
                one(),
                Some((64, 32, [0, 2048], [32, 64])),
                "stride of 32 bytes",
            ),
            (
                "upside down",
                one(),
                Some((64, 32, [0, 2048], [-64, 64])),
                "stride of 0 bytes",
            ),
            (
                "no memory",
                vec![],
                None,
                "ends at byte 4096 of a buffer of 0",
            ),
            (
                "other size",
                one(),
                Some((32, 32, [0, 2048], [64, 64])),
                "GstVideoMeta 32x32",
            ),
        ];
        for (name, memories, meta, expected) in cases {
            let (width, height) = if name == "short stride" || meta.is_some_and(|m| m.1 == 32) {
                (64, 32)
            } else {
                (64, 64)
            };
            let why = of(&buffer(memories, meta), &info(width, height)).unwrap_err();
            assert!(why.contains(expected), "{name}: {why}");
        }
    }
}
