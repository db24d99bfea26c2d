//! What a device node is, asked of its driver.
//!
//! By the ioctls of the kernel's Documentation/userspace-api/media/v4l: `VIDIOC_QUERYCAP`, `VIDIOC_ENUM_FMT`,
//! `VIDIOC_ENUM_FRAMESIZES`, `VIDIOC_ENUM_FRAMEINTERVALS`. They ask the driver, not the camera: `uvcvideo` answers from the
//! descriptors that it read once. Only the ranges of controls it fetches from the camera, once for each plugging in.

use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;

use linuxvideo::format::{FrameIntervals, FrameSizes, PixFormat, PixelFormat};
use linuxvideo::{BufType, CapabilityFlags, Device, Fract};
use mos_camera_core::plan::MAX_SIDE;
use mos_camera_core::{
    Capability, Control, DeviceId, Fault, FaultKind, Framerate, Range, Rates, Sizes,
};

use super::{controls, faults};
use crate::capabilities;

/// The major number of V4L2 nodes (Documentation/admin-guide/devices.txt).
const VIDEO_MAJOR: u32 = 81;

/// What a node turned out to be.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Look {
    /// It captures pictures.
    Camera(Found),
    /// It is a V4L2 node that captures none.
    Other(Other),
    /// It can't be told.
    Fault(Fault),
}

/// A capture node.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Found {
    /// Formats, sizes, rates.
    pub(super) capabilities: Vec<Capability>,
    /// What can be set.
    pub(super) controls: Vec<Control>,
    /// Which of the two capture interfaces it has.
    pub(super) planes: Planes,
}

/// The two interfaces of V4L2 for capturing pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Planes {
    /// `V4L2_BUF_TYPE_VIDEO_CAPTURE`.
    Single,
    /// `V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE`.
    Multi,
}

/// V4L2 nodes that are no cameras.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Other {
    /// It shows pictures that it is given.
    Output,
    /// It turns pictures into others: a codec, a scaler.
    MemoryToMemory,
    /// It gives data about pictures, as every UVC camera's second node.
    Metadata,
    /// Radio, teletext and the like.
    NoPictures,
}

impl Other {
    /// For messages: what the node is.
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Output => "is an output: it shows pictures and captures none",
            Self::MemoryToMemory => "is a codec or converter: it captures nothing by itself",
            Self::Metadata => "gives metadata, not pictures",
            Self::NoPictures => "captures no pictures",
        }
    }
}

/// Opens a node, asks and closes it again.
pub(super) fn look(device: &DeviceId, path: &Path) -> Look {
    match guarded(device, path, || examine(device, path)) {
        Ok(look) => look,
        Err(fault) => Look::Fault(fault),
    }
}

/// Does something with a node. `linuxvideo` takes a driver that answers against the rules for a bug and panics: here that is
/// a fault of this one device.
pub(super) fn guarded<T>(
    device: &DeviceId,
    path: &Path,
    doing: impl FnOnce() -> Result<T, Fault>,
) -> Result<T, Fault> {
    // What is left of a panic is the node's descriptor, which was closed, and nothing that anybody else has.
    panic::catch_unwind(AssertUnwindSafe(doing)).unwrap_or_else(|_| {
        Err(Fault::new(
            FaultKind::Unsupported,
            format!(
                "{device}: the driver of {} gives answers that V4L2 does not know",
                path.display()
            ),
            "the service's log has what it was; report it to the driver's maintainers (`v4l2-compliance` shows more)",
        ))
    })
}

fn examine(device: &DeviceId, path: &Path) -> Result<Look, Fault> {
    let node = open(device, path)?;
    let asked = |error| faults::of_system(device, path, &error);
    let about = node.capabilities().map_err(asked)?;
    let planes = match kind(about.device_capabilities()) {
        Ok(planes) => planes,
        Err(other) => return Ok(Look::Other(other)),
    };
    Ok(Look::Camera(Found {
        capabilities: formats(&node, planes).map_err(asked)?,
        controls: controls::list(&node).map_err(asked)?,
        planes,
    }))
}

/// Opens a node, after making sure that it is one: opening a pipe would wait for whoever writes to it.
pub(super) fn open(device: &DeviceId, path: &Path) -> Result<Device, Fault> {
    let failed = |error| faults::of_system(device, path, &error);
    if let Some(what) = not_video(path).map_err(failed)? {
        return Err(Fault::new(
            FaultKind::Unsupported,
            format!("{device}: {} is {what}, not a V4L2 node", path.display()),
            "name the camera's node, such as /dev/video0 or a link in /dev/v4l/by-id",
        ));
    }
    Device::open(path).map_err(failed)
}

/// What a path is, if it is no video node.
fn not_video(path: &Path) -> io::Result<Option<&'static str>> {
    let about = std::fs::metadata(path)?;
    let kind = about.file_type();
    Ok(if kind.is_char_device() {
        let major = rustix::fs::major(about.rdev());
        (major != VIDEO_MAJOR).then_some("a device of another kind")
    } else if kind.is_dir() {
        Some("a directory")
    } else if kind.is_fifo() {
        Some("a pipe")
    } else if kind.is_socket() {
        Some("a socket")
    } else {
        Some("a file")
    })
}

fn kind(flags: CapabilityFlags) -> Result<Planes, Other> {
    use CapabilityFlags as Flags;
    if flags.intersects(Flags::VIDEO_M2M | Flags::VIDEO_M2M_MPLANE) {
        return Err(Other::MemoryToMemory);
    }
    if flags.contains(Flags::VIDEO_CAPTURE_MPLANE) {
        return Ok(Planes::Multi);
    }
    if flags.contains(Flags::VIDEO_CAPTURE) {
        return Ok(Planes::Single);
    }
    if flags.intersects(Flags::VIDEO_OUTPUT | Flags::VIDEO_OUTPUT_MPLANE) {
        return Err(Other::Output);
    }
    if flags.contains(Flags::META_CAPTURE) {
        return Err(Other::Metadata);
    }
    Err(Other::NoPictures)
}

impl Planes {
    const fn buffers(self) -> BufType {
        match self {
            Self::Single => BufType::VIDEO_CAPTURE,
            Self::Multi => BufType::VIDEO_CAPTURE_MPLANE,
        }
    }
}

fn formats(node: &Device, planes: Planes) -> io::Result<Vec<Capability>> {
    let mut found = Vec::new();
    for format in node.formats(planes.buffers()) {
        let format = format?.pixel_format();
        let name = format_name(format);
        match node.frame_sizes(format) {
            Ok(FrameSizes::Discrete(sizes)) => {
                for size in &sizes {
                    let (width, height) = (size.width(), size.height());
                    if capabilities::is_sane(width) && capabilities::is_sane(height) {
                        let (sizes, rates) = (
                            Sizes::Discrete(vec![(width, height)]),
                            rates(node, format, width, height),
                        );
                        capabilities::add(
                            &mut found,
                            Capability {
                                format: name.clone(),
                                sizes,
                                rates,
                            },
                        );
                    }
                }
            }
            Ok(FrameSizes::Stepwise(range) | FrameSizes::Continuous(range))
                if capabilities::is_sane(range.min_width())
                    && capabilities::is_sane(range.min_height())
                    && range.max_width() >= range.min_width()
                    && range.max_height() >= range.min_height() =>
            {
                let side = |min: u32, max: u32, step: u32| Range {
                    min,
                    max: max.min(MAX_SIDE),
                    step: step.max(1),
                };
                let sizes = Sizes::Stepwise {
                    width: side(range.min_width(), range.max_width(), range.step_width()),
                    height: side(range.min_height(), range.max_height(), range.step_height()),
                };
                let rates = rates(node, format, range.min_width(), range.min_height());
                capabilities::add(
                    &mut found,
                    Capability {
                        format: name,
                        sizes,
                        rates,
                    },
                );
            }
            Ok(FrameSizes::Stepwise(_) | FrameSizes::Continuous(_)) => {}
            // The driver does not enumerate sizes of this format; `v4l2src` may still find some by trying.
            Err(error) if is_refusal(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// The rates of a size; none if the driver does not say.
fn rates(node: &Device, format: PixelFormat, width: u32, height: u32) -> Rates {
    match node.frame_intervals(format, width, height) {
        Ok(FrameIntervals::Discrete(intervals)) => Rates::Discrete(
            intervals
                .iter()
                .filter_map(|interval| rate_of(*interval.fract()))
                .collect(),
        ),
        Ok(FrameIntervals::Stepwise(range) | FrameIntervals::Continuous(range)) => {
            match (rate_of(*range.max()), rate_of(*range.min())) {
                (Some(slowest), Some(fastest)) => Rates::Continuous(slowest, fastest),
                _ => Rates::Discrete(Vec::new()),
            }
        }
        Err(_) => Rates::Discrete(Vec::new()),
    }
}

/// A frame interval in seconds as a rate; none of an interval of nothing or of for ever.
fn rate_of(interval: Fract) -> Option<Framerate> {
    Framerate::new(interval.denominator(), interval.numerator())
}

/// `EINVAL` or `ENOTTY`: the driver does not know the question, or has no answer.
pub(super) fn is_refusal(error: &io::Error) -> bool {
    use rustix::io::Errno;
    [Errno::INVAL, Errno::NOTTY]
        .map(|errno| Some(errno.raw_os_error()))
        .contains(&error.raw_os_error())
}

/// V4L2 fourccs and GStreamer's names (gst-plugins-good, sys/v4l2; linux/videodev2.h). A format with its planes in buffers
/// of their own has a fourcc of its own in V4L2, and the same name in GStreamer.
const FORMATS: [(&[u8; 4], &str); 22] = [
    (b"NV12", "NV12"),
    (b"NM12", "NV12"),
    (b"NV21", "NV21"),
    (b"NM21", "NV21"),
    (b"NV16", "NV16"),
    (b"NM16", "NV16"),
    (b"YU12", "I420"),
    (b"YM12", "I420"),
    (b"YV12", "YV12"),
    (b"YM21", "YV12"),
    (b"YUYV", "YUY2"),
    (b"UYVY", "UYVY"),
    (b"YVYU", "YVYU"),
    (b"VYUY", "VYUY"),
    (b"RGB3", "RGB"),
    (b"BGR3", "BGR"),
    (b"XR24", "BGRx"),
    (b"GREY", "GRAY8"),
    (b"MJPG", "image/jpeg"),
    (b"JPEG", "image/jpeg"),
    (b"H264", "video/x-h264"),
    (b"HEVC", "video/x-h265"),
];

/// GStreamer's name of a format, else `v4l2:` and the fourcc.
fn format_name(format: PixelFormat) -> String {
    let fourcc = format.as_fourcc();
    let known = FORMATS.iter().find(|(known, _)| **known == fourcc);
    known.map_or_else(
        || {
            let text: String = fourcc
                .iter()
                .map(|byte| char::from(*byte))
                .map(|c| if c.is_ascii_graphic() { c } else { '_' })
                .collect();
            format!("v4l2:{text}")
        },
        |(_, name)| (*name).to_owned(),
    )
}

/// Whether another process holds the node's stream, found out by asking for the format that it has anyway: the driver
/// answers `EBUSY` to whoever is not the owner (`VIDIOC_S_FMT`). Can't be asked of nodes with the multi-planar interface.
pub(super) fn is_held(device: &DeviceId, path: &Path, planes: Planes) -> bool {
    let Ok(node) = open(device, path) else {
        return false;
    };
    let current = match (planes, node.format(planes.buffers())) {
        (Planes::Single, Ok(linuxvideo::format::Format::VideoCapture(format))) => {
            PixFormat::new(format.width(), format.height(), format.pixel_format())
        }
        (Planes::Multi, _) => return true,
        (Planes::Single, _) => return false,
    };
    let busy = Some(rustix::io::Errno::BUSY.raw_os_error());
    node.video_capture(current)
        .is_err_and(|error| error.raw_os_error() == busy)
}

#[cfg(test)]
mod tests {
    use mos_camera_core::Transport;

    use super::*;

    #[test]
    fn nodes_are_told_apart_by_their_capabilities() {
        use CapabilityFlags as Flags;
        let uvc = Flags::VIDEO_CAPTURE | Flags::STREAMING | Flags::EXT_PIX_FORMAT;
        for (flags, expected) in [
            (uvc, Ok(Planes::Single)),
            (
                Flags::VIDEO_CAPTURE_MPLANE | Flags::STREAMING,
                Ok(Planes::Multi),
            ),
            (
                Flags::VIDEO_CAPTURE | Flags::VIDEO_OUTPUT,
                Ok(Planes::Single),
            ),
            (Flags::VIDEO_OUTPUT | Flags::STREAMING, Err(Other::Output)),
            (Flags::VIDEO_OUTPUT_MPLANE, Err(Other::Output)),
            (Flags::VIDEO_M2M_MPLANE, Err(Other::MemoryToMemory)),
            (Flags::VIDEO_M2M, Err(Other::MemoryToMemory)),
            (Flags::META_CAPTURE | Flags::STREAMING, Err(Other::Metadata)),
            (Flags::RADIO | Flags::TUNER, Err(Other::NoPictures)),
        ] {
            assert_eq!(kind(flags), expected, "{flags:?}");
        }
    }

    #[test]
    fn formats_have_gstreamer_s_names() {
        for (fourcc, name) in [
            (b"NM12", "NV12"),
            (b"YUYV", "YUY2"),
            (b"MJPG", "image/jpeg"),
            (b"Z16 ", "v4l2:Z16_"),
        ] {
            assert_eq!(format_name(PixelFormat::from_fourcc(*fourcc)), name);
        }
    }

    #[test]
    fn intervals_that_are_none_are_no_rates() {
        for (interval, rate) in [
            (Fract::new(1, 30), Framerate::new(30, 1)),
            (Fract::new(1001, 30_000), Framerate::new(30_000, 1001)),
            (Fract::new(0, 30), None),
        ] {
            assert_eq!(rate_of(interval), rate, "{interval}");
        }
    }

    #[test]
    fn what_is_no_video_node_is_refused_by_name_and_never_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("folder")).unwrap();
        std::fs::write(at("file"), "x").unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            at("pipe"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        )
        .unwrap();
        std::os::unix::fs::symlink(at("nowhere"), at("dead")).unwrap();
        let device = DeviceId::new(Transport::V4l2, "gate");
        for (path, kind, text) in [
            (at("folder"), FaultKind::Unsupported, "is a directory"),
            (at("pipe"), FaultKind::Unsupported, "is a pipe"),
            (at("file"), FaultKind::Unsupported, "is a file"),
            (
                "/dev/null".into(),
                FaultKind::Unsupported,
                "is a device of another kind",
            ),
            (at("dead"), FaultKind::Absent, "dead"),
        ] {
            let Look::Fault(fault) = look(&device, &path) else {
                panic!("{}", path.display());
            };
            assert_eq!(fault.kind, kind, "{fault}");
            assert!(fault.message.contains(text), "{fault}");
            assert!(!fault.hint.is_empty());
        }
    }
}
