//! How a frame of the bus is described to GStreamer.

use std::time::Duration;

use mos_frame::{Format, FourCc, FrameFlags, Layout, MemoryKind};

use crate::wire::{Memory, NO_TIME, NewBuffer, Picture, PlaneAt};

/// `GST_VIDEO_FORMAT_NV12`.
const NV12: i32 = 23;
/// `GST_BUFFER_FLAG_DISCONT` and `GST_BUFFER_FLAG_CORRUPTED`.
const DISCONT: u32 = 1 << 6;
const CORRUPTED: u32 = 1 << 8;
/// What is assumed to pass between capture and display where the stream has no fixed rate.
const VARIABLE_RATE_LATENCY: Duration = Duration::from_millis(40);

/// How dma-bufs are called in the caps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DmabufCaps {
    /// `video/x-raw(memory:DMABuf), format=DMA_DRM, drm-format=NV12`: for elements that import dma-bufs.
    #[default]
    Drm,
    /// `video/x-raw, format=NV12`: also for elements that map frames, which not every driver's memory allows.
    Plain,
}

/// A format that the protocol's clients can't be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the stream's format is {fourcc} with modifier {modifier:#x} and {width}x{height}; only linear NV12 is passed on"
)]
pub struct Unsupported {
    fourcc: FourCc,
    modifier: u64,
    width: u32,
    height: u32,
}

/// The caps of a format as text.
pub(crate) fn caps(format: &Format, dmabuf: DmabufCaps) -> Result<String, Unsupported> {
    let unsupported = Unsupported {
        fourcc: format.fourcc,
        modifier: format.modifier,
        width: format.width,
        height: format.height,
    };
    let fits = |size: u32| size > 0 && i32::try_from(size).is_ok();
    if format.fourcc != FourCc::NV12
        || format.modifier != 0
        || !fits(format.width)
        || !fits(format.height)
    {
        return Err(unsupported);
    }
    let (kind, pixels) = match (format.memory, dmabuf) {
        (MemoryKind::DmaBuf, DmabufCaps::Drm) => (
            "video/x-raw(memory:DMABuf)",
            "format=(string)DMA_DRM, drm-format=(string)NV12",
        ),
        _ => ("video/x-raw", "format=(string)NV12"),
    };
    let (numer, denom) = framerate(format);
    let (width, height) = (format.width, format.height);
    let mut text = format!(
        "{kind}, {pixels}, width=(int){width}, height=(int){height}, framerate=(fraction){numer}/{denom}, \
         pixel-aspect-ratio=(fraction)1/1, interlace-mode=(string)progressive"
    );
    if is_plain_word(&format.colorimetry) {
        text += ", colorimetry=(string)";
        text += &format.colorimetry;
    }
    Ok(text)
}

/// Colorimetry becomes a part of the caps' text, and must not become anything else there.
fn is_plain_word(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b":.-_".contains(&byte))
}

fn framerate(format: &Format) -> (u32, u32) {
    let fits = |part: u32| i32::try_from(part).is_ok();
    match format.framerate {
        (numer, denom) if denom > 0 && fits(numer) && fits(denom) => (numer, denom),
        _ => (0, 1),
    }
}

/// Time from frame to frame; `None` if it varies.
fn frame_time(format: &Format) -> Option<Duration> {
    let (numer, denom) = framerate(format);
    let nanos = 1_000_000_000 * u64::from(denom);
    (numer > 0).then(|| Duration::from_nanos(nanos / u64::from(numer)))
}

/// What is known of a frame besides its format and layout.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) seq: u64,
    /// Nanoseconds of `CLOCK_MONOTONIC`.
    pub(crate) capture_ns: u64,
    pub(crate) flags: FrameFlags,
    /// Frames are missing before it.
    pub(crate) gap: bool,
}

/// A frame as a buffer. It is to be shown `latency` after its capture, by default the time of one frame: the protocol's
/// time is that of display, and a sink that keeps time drops what comes after it.
pub(crate) fn buffer(
    id: u64,
    format: &Format,
    layout: &Layout,
    moment: Moment,
    latency: Option<Duration>,
) -> NewBuffer {
    let frame_time = frame_time(format);
    let latency = latency.or(frame_time).unwrap_or(VARIABLE_RATE_LATENCY);
    let discont = moment.gap || moment.flags.contains(FrameFlags::DISCONT);
    let corrupted = moment.flags.contains(FrameFlags::CORRUPTED);
    NewBuffer {
        id,
        pts: moment.capture_ns.saturating_add(nanos(latency)),
        duration: frame_time.map_or(NO_TIME, nanos),
        seq: moment.seq,
        flags: (u32::from(discont) * DISCONT) | (u32::from(corrupted) * CORRUPTED),
        memory: match format.memory {
            MemoryKind::DmaBuf => Memory::DmaBuf,
            MemoryKind::Memfd => Memory::Default,
        },
        sizes: (0..layout.fd_count())
            .map(|fd| layout.bytes_of(fd as u8))
            .collect(),
        picture: Picture {
            format: NV12,
            width: format.width,
            height: format.height,
            planes: planes(layout),
        },
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(NO_TIME)
}

fn planes(layout: &Layout) -> Vec<PlaneAt> {
    let start_of = |fd: u8| (0..fd).map(|before| layout.bytes_of(before)).sum::<u64>();
    let place = |plane: &mos_frame::Plane| PlaneAt {
        offset: start_of(plane.fd) + plane.offset,
        stride: plane.stride as i32,
    };
    layout.planes.iter().map(place).collect()
}

#[cfg(test)]
mod tests {
    use mos_frame::Plane;

    use super::*;

    fn vga() -> Format {
        Format {
            colorimetry: "bt709".into(),
            ..Format::nv12_memfd(640, 480, (30000, 1001))
        }
    }

    #[test]
    fn caps_name_the_memory_truthfully() {
        let rest = ", width=(int)640, height=(int)480, framerate=(fraction)30000/1001, \
            pixel-aspect-ratio=(fraction)1/1, interlace-mode=(string)progressive, colorimetry=(string)bt709";
        let dmabuf = Format {
            memory: MemoryKind::DmaBuf,
            ..vga()
        };
        let plain = "video/x-raw, format=(string)NV12";
        let drm = "video/x-raw(memory:DMABuf), format=(string)DMA_DRM, drm-format=(string)NV12";
        let cases = [
            (vga(), DmabufCaps::Drm, plain),
            (vga(), DmabufCaps::Plain, plain),
            (dmabuf.clone(), DmabufCaps::Drm, drm),
            (dmabuf, DmabufCaps::Plain, plain),
        ];
        for (format, how, start) in cases {
            assert_eq!(caps(&format, how), Ok(format!("{start}{rest}")), "{how:?}");
        }
    }

    #[test]
    fn a_producer_can_put_nothing_else_into_the_caps() {
        for colorimetry in ["", "bt709, width=1", "a;b", "a\"b", "a\0b"] {
            let format = Format {
                colorimetry: colorimetry.into(),
                ..vga()
            };
            let text = caps(&format, DmabufCaps::Drm).unwrap();
            assert!(!text.contains("colorimetry"), "{text}");
        }
        assert!(is_plain_word("1:4:5:1"));
    }

    #[test]
    fn what_is_not_linear_nv12_is_refused() {
        let tiled = Format {
            modifier: 1,
            ..vga()
        };
        let other = Format {
            fourcc: FourCc::new(*b"YUYV"),
            ..vga()
        };
        let empty = Format { width: 0, ..vga() };
        let huge = Format {
            height: 1 << 31,
            ..vga()
        };
        for format in [tiled, other, empty, huge] {
            assert!(caps(&format, DmabufCaps::Drm).is_err(), "{format:?}");
        }
    }

    fn moment(flags: FrameFlags, gap: bool) -> Moment {
        Moment {
            seq: 9,
            capture_ns: 1_000_000_000,
            flags,
            gap,
        }
    }

    #[test]
    fn times_and_flags() {
        let variable = Format {
            framerate: (0, 1),
            ..vga()
        };
        let (none, both) = (
            FrameFlags::default(),
            FrameFlags::DISCONT.with(FrameFlags::CORRUPTED),
        );
        let exact = Some(Duration::ZERO);
        let cases = [
            (vga(), none, false, None, 1_033_366_666, 33_366_666, 0),
            (vga(), none, true, exact, 1_000_000_000, 33_366_666, 64),
            (
                vga(),
                both,
                false,
                exact,
                1_000_000_000,
                33_366_666,
                64 + 256,
            ),
            (variable, none, false, None, 1_040_000_000, NO_TIME, 0),
        ];
        for (format, flags, gap, latency, pts, duration, expected) in cases {
            let layout = Layout::nv12(640, 480);
            let buffer = buffer(3, &format, &layout, moment(flags, gap), latency);
            assert_eq!((buffer.id, buffer.seq), (3, 9));
            assert_eq!(
                (buffer.pts, buffer.duration, buffer.flags),
                (pts, duration, expected),
                "{format:?}"
            );
        }
    }

    #[test]
    fn planes_are_counted_through_all_descriptors() {
        let plane = |fd, offset, size| Plane {
            fd,
            offset,
            stride: 64,
            size,
        };
        let layout = Layout {
            planes: vec![plane(0, 4096, 2048), plane(1, 512, 1024)],
        };
        let none = FrameFlags::default();
        let buffer = buffer(1, &vga(), &layout, moment(none, false), None);
        assert_eq!(buffer.sizes, [4096 + 2048, 512 + 1024]);
        let offsets: Vec<_> = buffer.picture.planes.iter().map(|p| p.offset).collect();
        assert_eq!(offsets, [4096, 4096 + 2048 + 512]);
    }
}
