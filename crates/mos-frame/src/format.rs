//! What a frame looks like: pixel format, planes, times.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A pixel format code as in `drm_fourcc.h`: four characters, the first in the lowest byte.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct FourCc(pub u32);

impl FourCc {
    /// 8-bit luma plane followed by a half-size plane of interleaved Cb and Cr (`DRM_FORMAT_NV12`).
    pub const NV12: Self = Self::new(*b"NV12");

    /// The code of four characters.
    pub const fn new(code: [u8; 4]) -> Self {
        Self(u32::from_le_bytes(code))
    }
}

impl fmt::Display for FourCc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0.to_le_bytes() {
            write!(f, "{}", byte.escape_ascii())?;
        }
        Ok(())
    }
}

impl fmt::Debug for FourCc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FourCc({self})")
    }
}

/// As its four characters where they can be printed (`"NV12"`), else as a number.
impl Serialize for FourCc {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.to_le_bytes().iter().all(u8::is_ascii_alphanumeric) {
            serializer.collect_str(self)
        } else {
            serializer.serialize_u32(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for FourCc {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Code {
            Number(u32),
            Text(String),
        }
        match Code::deserialize(deserializer)? {
            Code::Number(code) => Ok(Self(code)),
            Code::Text(text) => {
                let code = text.as_bytes().try_into();
                code.map(Self::new)
                    .map_err(|_| serde::de::Error::custom("a pixel format has four characters"))
            }
        }
    }
}

/// What the frames of an epoch live in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum MemoryKind {
    /// Anonymous memory of the kernel (`memfd_create(2)`); a development fallback.
    Memfd = 1,
    /// A dma-buf: memory of a driver that devices can import.
    DmaBuf = 2,
}

impl MemoryKind {
    pub(crate) const fn from_wire(value: u8) -> Option<Self> {
        match value {
            1 => Some(Self::Memfd),
            2 => Some(Self::DmaBuf),
            _ => None,
        }
    }
}

/// Format of all frames of one epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Format {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Pixel format; NV12 everywhere behind the contract gate.
    pub fourcc: FourCc,
    /// DRM format modifier; 0 is linear.
    pub modifier: u64,
    /// Frames per second as (numerator, denominator); (0, 1) if it varies or is not known.
    pub framerate: (u32, u32),
    /// What the frames live in.
    pub memory: MemoryKind,
    /// Whether a subscriber is unable to write to the pixels. Only claimed where the kernel enforces it.
    pub read_only: bool,
    /// Colorimetry as GStreamer writes it (`bt709`, `bt601`, `1:4:5:1`); empty if not known. At most 64 bytes.
    pub colorimetry: String,
}

impl Format {
    /// Linear NV12 in memfds that subscribers can't write to.
    pub fn nv12_memfd(width: u32, height: u32, framerate: (u32, u32)) -> Self {
        Self {
            width,
            height,
            fourcc: FourCc::NV12,
            modifier: 0,
            framerate,
            memory: MemoryKind::Memfd,
            read_only: true,
            colorimetry: String::new(),
        }
    }
}

/// Where one plane lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Plane {
    /// Index of its descriptor among the buffer's.
    pub fd: u8,
    /// First byte, from the start of the descriptor's memory.
    pub offset: u64,
    /// Bytes from one row to the next.
    pub stride: u32,
    /// Bytes that the plane covers.
    pub size: u64,
}

/// Planes of a buffer: 1 to [`Layout::MAX_PLANES`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Layout {
    /// In the order of the pixel format: luma, then chroma.
    pub planes: Vec<Plane>,
}

impl Layout {
    /// Most planes, and most descriptors, of one buffer.
    pub const MAX_PLANES: usize = 4;

    /// NV12 packed into one descriptor: rows of `width` bytes, chroma right behind luma. Odd sizes are rounded up for chroma.
    pub fn nv12(width: u32, height: u32) -> Self {
        let stride = width.next_multiple_of(2);
        let luma = u64::from(stride) * u64::from(height);
        let chroma = u64::from(stride) * u64::from(height.div_ceil(2));
        Self {
            planes: vec![
                Plane {
                    fd: 0,
                    offset: 0,
                    stride,
                    size: luma,
                },
                Plane {
                    fd: 0,
                    offset: luma,
                    stride,
                    size: chroma,
                },
            ],
        }
    }

    /// Number of descriptors that the planes name.
    pub fn fd_count(&self) -> usize {
        self.planes
            .iter()
            .map(|p| usize::from(p.fd) + 1)
            .max()
            .unwrap_or(0)
    }

    /// Bytes of descriptor `fd` that the planes need.
    pub fn bytes_of(&self, fd: u8) -> u64 {
        self.planes
            .iter()
            .filter(|p| p.fd == fd)
            .map(|p| p.offset.saturating_add(p.size))
            .max()
            .unwrap_or(0)
    }

    /// Whether a buffer may be laid out so: 1 to 4 planes, each with rows that fit in it, every descriptor used.
    pub fn is_valid(&self) -> bool {
        let fds = self.fd_count();
        (1..=Self::MAX_PLANES).contains(&self.planes.len())
            && fds <= Self::MAX_PLANES
            && (0..fds).all(|fd| self.planes.iter().any(|p| usize::from(p.fd) == fd))
            && self.planes.iter().all(|p| {
                p.size > 0
                    && u64::from(p.stride) <= p.size
                    && p.offset.checked_add(p.size).is_some()
            })
    }
}

/// Which clock gave a frame's capture time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum ClockSource {
    /// Not known.
    #[default]
    Unknown = 0,
    /// The frame's arrival in this machine.
    Arrival = 1,
    /// The capture driver, at the start or end of exposure or transfer (V4L2 buffer timestamp).
    Driver = 2,
    /// The pipeline's clock and the buffer's PTS.
    PipelineClock = 3,
    /// NTP time that the camera sent (RTCP sender reports), carried over by this machine's own synchronised clock.
    Ntp = 4,
    /// PTP time that the camera sent (RFC 7273), carried over in the same way.
    Ptp = 5,
    /// NTP time that the camera sent, where its clock and this machine's have no known relation: frames are as far apart as
    /// the camera says, and placed by those that took the shortest way here.
    NtpRelative = 6,
    /// PTP time that the camera sent, placed in the same way.
    PtpRelative = 7,
}

impl ClockSource {
    pub(crate) const fn from_wire(value: u8) -> Self {
        match value {
            1 => Self::Arrival,
            2 => Self::Driver,
            3 => Self::PipelineClock,
            4 => Self::Ntp,
            5 => Self::Ptp,
            6 => Self::NtpRelative,
            7 => Self::PtpRelative,
            _ => Self::Unknown,
        }
    }

    /// Its name, as the protocol's document has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Arrival => "arrival",
            Self::Driver => "driver",
            Self::PipelineClock => "pipeline-clock",
            Self::Ntp => "ntp",
            Self::Ptp => "ptp",
            Self::NtpRelative => "ntp-relative",
            Self::PtpRelative => "ptp-relative",
        }
    }
}

/// Properties of one frame, a set of bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct FrameFlags(pub u16);

impl FrameFlags {
    /// Frames are missing between this one and the one before it, at the source.
    pub const DISCONT: Self = Self(1);
    /// The source said that the picture is damaged.
    pub const CORRUPTED: Self = Self(2);
    /// Its times and those of the frame before do not compare: they come from another clock, that clock was set in between,
    /// or `capture_ns` would have run backward and was held.
    pub const RETIMED: Self = Self(4);

    /// Whether all bits of `other` are set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both sets together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// What the producer says about one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FrameMeta {
    /// Time of capture in nanoseconds of `CLOCK_MONOTONIC`; see [`monotonic_ns`].
    pub capture_ns: u64,
    /// What `capture_ns` was taken from.
    pub clock_source: ClockSource,
    /// Bound of the error of `capture_ns` in nanoseconds; 0 if none is known.
    pub clock_error_ns: u32,
    /// Presentation time of the source in nanoseconds.
    pub pts_ns: Option<u64>,
    /// Time of day of the capture, nanoseconds since 1970 UTC, where the camera gave it.
    pub wall_ns: Option<u64>,
    /// Properties of the frame.
    pub flags: FrameFlags,
}

/// Now, in nanoseconds of `CLOCK_MONOTONIC`.
pub fn monotonic_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec.cast_unsigned() * 1_000_000_000 + now.tv_nsec.cast_unsigned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_nv12_is_one_and_a_half_bytes_a_pixel() {
        let layout = Layout::nv12(640, 480);
        assert_eq!(layout.bytes_of(0), 640 * 480 * 3 / 2);
        assert_eq!(layout.fd_count(), 1);
        assert!(layout.is_valid());
    }

    #[test]
    fn odd_sizes_round_chroma_up() {
        let layout = Layout::nv12(641, 481);
        assert_eq!(layout.planes[0].stride, 642);
        assert_eq!(layout.planes[1].size, 642 * 241);
    }

    #[test]
    fn broken_layouts_are_refused() {
        let plane = Plane {
            fd: 0,
            offset: 0,
            stride: 16,
            size: 64,
        };
        let cases = [
            ("no plane", vec![]),
            ("five planes", vec![plane; 5]),
            ("descriptor 0 unused", vec![Plane { fd: 1, ..plane }]),
            ("empty plane", vec![Plane { size: 0, ..plane }]),
            (
                "row longer than the plane",
                vec![Plane {
                    stride: 65,
                    ..plane
                }],
            ),
            (
                "end overflows",
                vec![Plane {
                    offset: u64::MAX,
                    ..plane
                }],
            ),
            ("fifth descriptor", vec![plane, Plane { fd: 4, ..plane }]),
        ];
        for (name, planes) in cases {
            assert!(!Layout { planes }.is_valid(), "{name}");
        }
    }

    #[test]
    fn a_fourcc_reads_as_its_characters() {
        assert_eq!(FourCc::NV12.to_string(), "NV12");
        assert_eq!(FourCc::NV12.0, 0x3231_564e);
    }
}
