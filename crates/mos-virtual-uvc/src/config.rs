//! What a camera is.

use std::fmt;
use std::str::FromStr;

use crate::control::{ControlId, ControlSpec};
use crate::error::Error;
use crate::fault::Fault;

/// Frame intervals are in units of 100 ns.
const SECOND: u32 = 10_000_000;
/// Largest width and height in pixels.
const MOST_PIXELS: u16 = 8192;

/// How frames are coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FormatKind {
    /// Motion JPEG: baseline, 4:2:0, with a restart marker after each 16x16 pixels.
    Mjpeg,
    /// Luma plane, then interleaved chroma of half width and height.
    Nv12,
    /// Y0 U Y1 V.
    Yuyv,
}

impl FormatKind {
    /// Bits a pixel of raw kinds; `None` for JPEG.
    pub(crate) const fn bits(self) -> Option<u8> {
        match self {
            Self::Mjpeg => None,
            Self::Nv12 => Some(12),
            Self::Yuyv => Some(16),
        }
    }

    /// Most bytes that a frame takes.
    pub(crate) fn frame_size(self, (width, height): (u16, u16)) -> u32 {
        // A JPEG of our pictures is far smaller than raw 4:2:2.
        let bits = u32::from(self.bits().unwrap_or(16));
        u32::from(width) * u32::from(height) * bits / 8
    }
}

impl fmt::Display for FormatKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mjpeg => "mjpeg",
            Self::Nv12 => "nv12",
            Self::Yuyv => "yuyv",
        })
    }
}

impl FromStr for FormatKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Mjpeg, Self::Nv12, Self::Yuyv]
            .into_iter()
            .find(|kind| kind.to_string() == text)
            .ok_or_else(|| format!("there is no format {text:?}; there are: mjpeg, nv12, yuyv"))
    }
}

/// A format with its sizes and rates. Its text form is `KIND:WxH[,WxH...][@RATE[,RATE...]]`, as in `mjpeg:640x480,320x240@30,15`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormatSpec {
    /// How frames are coded.
    pub kind: FormatKind,
    /// Width and height in pixels; even, the first is the default.
    pub sizes: Vec<(u16, u16)>,
    /// Times between frames in units of 100 ns, the first is the default.
    pub intervals: Vec<u32>,
}

impl FormatSpec {
    /// A format with sizes in pixels and rates in frames a second.
    pub fn new(kind: FormatKind, sizes: &[(u16, u16)], rates: &[u32]) -> Self {
        Self {
            kind,
            sizes: sizes.to_vec(),
            intervals: rates.iter().map(|rate| SECOND / rate.max(&1)).collect(),
        }
    }
}

impl FromStr for FormatSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, rest) = text
            .split_once(':')
            .ok_or("a format is KIND:WxH@RATE, as in mjpeg:640x480@30")?;
        let (sizes, rates) = rest.split_once('@').unwrap_or((rest, "30"));
        let sizes: Result<Vec<_>, _> = sizes.split(',').map(size).collect();
        let rates: Result<Vec<_>, _> = rates.split(',').map(rate).collect();
        Ok(Self::new(kind.parse()?, &sizes?, &rates?))
    }
}

fn size(text: &str) -> Result<(u16, u16), String> {
    text.split_once('x')
        .and_then(|(width, height)| Some((width.parse().ok()?, height.parse().ok()?)))
        .ok_or_else(|| format!("a size is WIDTHxHEIGHT, as in 640x480, not {text:?}"))
}

fn rate(text: &str) -> Result<u32, String> {
    text.parse()
        .ok()
        .filter(|rate| (1..=SECOND).contains(rate))
        .ok_or_else(|| format!("a rate is a number of frames a second, as in 30, not {text:?}"))
}

/// A camera to be plugged in.
///
/// ```
/// use mos_virtual_uvc::{CameraConfig, FormatKind, FormatSpec};
///
/// let config = CameraConfig {
///     serial: Some("CAM0".to_owned()),
///     formats: vec![FormatSpec::new(FormatKind::Nv12, &[(640, 480), (320, 240)], &[30, 15])],
///     ..CameraConfig::default()
/// };
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CameraConfig {
    /// Port of `vhci_hcd.0` to plug into; by default the first that is free.
    pub port: Option<u8>,
    /// Vendor of the device; default 0x1d6b, the Linux Foundation.
    pub vendor: u16,
    /// Product of the vendor; default 0x0102.
    pub product: u16,
    /// Name of the maker.
    pub maker: String,
    /// Name of the product, which V4L2 shows as the card.
    pub name: String,
    /// Serial number; without one the device has no such string.
    pub serial: Option<String>,
    /// What it offers; default MJPEG, NV12 and YUYV at 320x240 and 160x120, 30 and 15 fps.
    pub formats: Vec<FormatSpec>,
    /// Its controls; default all, with ranges like those of common cameras.
    pub controls: Vec<ControlSpec>,
    /// V of every pixel, so that pictures of like cameras can be told apart; default 128, no colour.
    pub tint: u8,
    /// What goes wrong from the start.
    pub faults: Vec<Fault>,
}

impl Default for CameraConfig {
    fn default() -> Self {
        let formats = [FormatKind::Mjpeg, FormatKind::Nv12, FormatKind::Yuyv];
        Self {
            port: None,
            vendor: 0x1d6b,
            product: 0x0102,
            maker: "mos".to_owned(),
            name: "mos virtual camera".to_owned(),
            serial: None,
            formats: formats
                .map(|kind| FormatSpec::new(kind, &[(320, 240), (160, 120)], &[30, 15]))
                .to_vec(),
            controls: ControlId::all().map(ControlSpec::usual).collect(),
            tint: 128,
            faults: Vec::new(),
        }
    }
}

impl CameraConfig {
    /// Whether there can be such a camera.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let wrong = |what: &str| Err(Error::Config(what.to_owned()));
        let strings = [Some(&self.maker), Some(&self.name), self.serial.as_ref()];
        if self.formats.is_empty() || self.formats.len() > 16 {
            return wrong("a camera has 1 to 16 formats");
        }
        // A descriptor's length is one byte; a string's takes two more.
        if strings
            .into_iter()
            .flatten()
            .any(|text| text.encode_utf16().count() > 126)
        {
            return wrong("maker, name and serial have at most 126 characters each");
        }
        if let Some(fault) = self.controls.iter().find_map(ControlSpec::fault) {
            return wrong(&fault);
        }
        self.formats.iter().try_for_each(check_format)
    }
}

fn check_format(format: &FormatSpec) -> Result<(), Error> {
    let side = |pixels: u16| pixels > 0 && pixels.is_multiple_of(2) && pixels <= MOST_PIXELS;
    let sizes = &format.sizes;
    let intervals = &format.intervals;
    // A frame descriptor has 26 bytes and 4 for each interval, its length is one byte.
    let why = if sizes.is_empty() || sizes.len() > 32 {
        "1 to 32 sizes".to_owned()
    } else if !sizes
        .iter()
        .all(|(width, height)| side(*width) && side(*height))
    {
        format!("even widths and heights up to {MOST_PIXELS}")
    } else if intervals.is_empty() || intervals.len() > 57 || intervals.contains(&0) {
        "1 to 57 frame intervals, none of them 0".to_owned()
    } else {
        return Ok(());
    };
    Err(Error::Config(format!("{} needs {why}", format.kind)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_read_from_text() {
        let full = FormatSpec::new(FormatKind::Mjpeg, &[(640, 480), (320, 240)], &[30, 15]);
        assert_eq!("mjpeg:640x480,320x240@30,15".parse(), Ok(full.clone()));
        assert_eq!(full.intervals, [333_333, 666_666]);
        let short = FormatSpec::new(FormatKind::Yuyv, &[(64, 48)], &[30]);
        assert_eq!("yuyv:64x48".parse(), Ok(short));
        for text in [
            "mjpeg",
            "h264:1x1",
            "nv12:640",
            "nv12:2x2@0",
            "nv12:2x2@",
            "nv12:",
        ] {
            assert!(text.parse::<FormatSpec>().is_err(), "{text}");
        }
    }

    #[test]
    fn impossible_cameras_are_refused() {
        let usual = CameraConfig::default();
        assert!(usual.check().is_ok());
        let format = |sizes: &[(u16, u16)], intervals: &[u32]| CameraConfig {
            formats: vec![FormatSpec {
                kind: FormatKind::Nv12,
                sizes: sizes.to_vec(),
                intervals: intervals.to_vec(),
            }],
            ..CameraConfig::default()
        };
        let cases = [
            CameraConfig {
                formats: Vec::new(),
                ..usual.clone()
            },
            CameraConfig {
                serial: Some("x".repeat(127)),
                ..usual.clone()
            },
            CameraConfig {
                controls: vec![ControlSpec {
                    step: 0,
                    ..ControlSpec::usual(ControlId::Zoom)
                }],
                ..usual.clone()
            },
            format(&[], &[1]),
            format(&[(321, 240)], &[1]),
            format(&[(0, 240)], &[1]),
            format(&[(320, 9000)], &[1]),
            format(&[(320, 240)], &[]),
            format(&[(320, 240)], &[0]),
            format(&[(320, 240)], &[1; 58]),
        ];
        for config in cases {
            assert!(config.check().is_err(), "{config:?}");
        }
    }
}
