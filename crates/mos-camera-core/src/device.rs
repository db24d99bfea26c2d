//! Devices: stable identity, capabilities, health.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::control::Control;
use crate::profile::Profile;
use crate::stream::Framerate;

/// How a camera is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// Generated picture; development builds only.
    Test,
    /// MIPI CSI-2 sensor behind the chip's own receiver.
    MipiCsi,
    /// GMSL2 serial link behind a deserializer.
    Gmsl2,
    /// USB Video Class camera.
    UsbUvc,
    /// Any other V4L2 capture node.
    V4l2,
    /// RTSP or RTSPS network camera, also when it was found by ONVIF.
    Rtsp,
    /// WebRTC by WHEP.
    Whep,
}

impl Transport {
    /// The scheme that starts a [`DeviceId`] of this transport.
    pub const fn scheme(self) -> &'static str {
        match self {
            Self::Test => "test",
            Self::MipiCsi => "csi",
            Self::Gmsl2 => "gmsl",
            Self::UsbUvc => "usb",
            Self::V4l2 => "v4l2",
            Self::Rtsp => "rtsp",
            Self::Whep => "whep",
        }
    }

    /// Every transport, in the order in which listings show them.
    pub const ALL: [Self; 7] = [
        Self::Test,
        Self::MipiCsi,
        Self::Gmsl2,
        Self::UsbUvc,
        Self::V4l2,
        Self::Rtsp,
        Self::Whep,
    ];

    /// The transport of a scheme, if there is one.
    pub fn from_scheme(scheme: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|t| t.scheme() == scheme)
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.scheme())
    }
}

/// Stable identity of a physical camera, whatever its node or address is today: `<scheme>:<rest>`.
///
/// Examples: `test:front`, `usb:046d:0825:4F2A11`, `v4l2:platform-vivid.0`, `rtsp:door`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DeviceId(String);

impl DeviceId {
    /// Longest id in bytes.
    pub const MAX_LEN: usize = 255;

    /// Builds the id of a device of `transport`; characters that an id may not hold are replaced by `_`.
    pub fn new(transport: Transport, rest: &str) -> Self {
        let mut id = format!("{}:", transport.scheme());
        id.extend(rest.chars().map(|c| if is_id_char(c) { c } else { '_' }));
        if rest.is_empty() {
            id.push('_');
        }
        id.truncate(Self::MAX_LEN);
        Self(id)
    }

    /// The transport that the scheme names.
    pub fn transport(&self) -> Transport {
        let scheme = self.0.split(':').next().unwrap_or_default();
        // Both constructors admit known schemes only.
        Transport::from_scheme(scheme).unwrap_or(Transport::V4l2)
    }

    /// The part after the scheme.
    pub fn rest(&self) -> &str {
        self.0.split_once(':').map_or("", |(_, rest)| rest)
    }

    /// The whole id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_id_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, ':' | '.' | '-' | '_' | '@' | '/')
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for DeviceId {
    type Err = InvalidDeviceId;

    fn from_str(s: &str) -> Result<Self, InvalidDeviceId> {
        let valid = s.len() <= Self::MAX_LEN
            && s.chars().all(is_id_char)
            && s.split_once(':').is_some_and(|(scheme, rest)| {
                !rest.is_empty() && Transport::from_scheme(scheme).is_some()
            });
        if valid {
            Ok(Self(s.to_owned()))
        } else {
            Err(InvalidDeviceId(s.to_owned()))
        }
    }
}

impl TryFrom<String> for DeviceId {
    type Error = InvalidDeviceId;

    fn try_from(s: String) -> Result<Self, InvalidDeviceId> {
        s.parse()
    }
}

impl From<DeviceId> for String {
    fn from(id: DeviceId) -> Self {
        id.0
    }
}

/// The text is no device id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a device id: expected <transport>:<identity>, for example `test:front` or `usb:046d:0825:4F2A11`; list the devices to see theirs"
)]
pub struct InvalidDeviceId(pub String);

/// A camera as it was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Device {
    /// Stable identity.
    pub id: DeviceId,
    /// How it is attached.
    pub transport: Transport,
    /// Model or name, as the device gives it.
    pub model: String,
    /// Where it is today: a device node or an address, never with credentials.
    pub location: String,
    /// What it offers; empty where that is only known once a session is open.
    pub capabilities: Vec<Capability>,
    /// What can be set on it; empty where it has no controls or they are not known.
    pub controls: Vec<Control>,
    /// The streams that it offers side by side, where it does (network cameras found by ONVIF).
    pub profiles: Vec<Profile>,
    /// Whether it can be used now.
    pub health: Health,
}

/// One format that a device offers.
#[derive(Debug, Clone, PartialEq)]
pub struct Capability {
    /// The format in GStreamer's terms: a raw format such as `NV12` or `YUY2`, or a media type such as `image/jpeg` or `video/x-h264`.
    pub format: String,
    /// Frame sizes in pixels.
    pub sizes: Sizes,
    /// Frame rates.
    pub rates: Rates,
}

/// An inclusive range of pixels with a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// Smallest value.
    pub min: u32,
    /// Largest value.
    pub max: u32,
    /// Distance between values, at least 1.
    pub step: u32,
}

impl Range {
    /// Whether `value` is one of the range's values.
    pub fn contains(&self, value: u32) -> bool {
        (self.min..=self.max).contains(&value)
            && (value - self.min).is_multiple_of(self.step.max(1))
    }
}

/// Frame sizes that a format comes in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sizes {
    /// These (width, height) pairs.
    Discrete(Vec<(u32, u32)>),
    /// Any width and height of two ranges.
    Stepwise {
        /// Widths.
        width: Range,
        /// Heights.
        height: Range,
    },
}

impl Sizes {
    /// Whether the size is offered.
    pub fn contains(&self, width: u32, height: u32) -> bool {
        match self {
            Self::Discrete(sizes) => sizes.contains(&(width, height)),
            Self::Stepwise {
                width: w,
                height: h,
            } => w.contains(width) && h.contains(height),
        }
    }
}

/// Frame rates that a format comes in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rates {
    /// These rates; an empty list if the device does not say, so that any may do.
    Discrete(Vec<Framerate>),
    /// Any rate from the first to the second, both included.
    Continuous(Framerate, Framerate),
}

impl Rates {
    /// Whether the rate is offered.
    pub fn contains(&self, rate: Framerate) -> bool {
        match self {
            Self::Discrete(rates) => rates.is_empty() || rates.contains(&rate),
            Self::Continuous(low, high) => *low <= rate && rate <= *high,
        }
    }
}

impl fmt::Display for Capability {
    /// As `NV12 640x480, 1280x720 at 15, 30 fps`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.format, self.sizes)?;
        let unknown = matches!(&self.rates, Rates::Discrete(rates) if rates.is_empty());
        if unknown {
            Ok(())
        } else {
            write!(f, " at {} fps", self.rates)
        }
    }
}

impl fmt::Display for Sizes {
    /// As `640x480, 1280x720` or `64x64 to 1920x1080 in steps of 16x2`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Discrete(sizes) => write_list(f, sizes.iter().map(|(w, h)| format!("{w}x{h}"))),
            Self::Stepwise {
                width: w,
                height: h,
            } => {
                write!(f, "{}x{} to {}x{}", w.min, h.min, w.max, h.max)?;
                if w.step > 1 || h.step > 1 {
                    write!(f, " in steps of {}x{}", w.step, h.step)
                } else {
                    Ok(())
                }
            }
        }
    }
}

impl fmt::Display for Rates {
    /// As `15, 30` or `1 to 60`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Discrete(rates) => write_list(f, rates.iter().map(Framerate::to_string)),
            Self::Continuous(low, high) => write!(f, "{low} to {high}"),
        }
    }
}

fn write_list(f: &mut fmt::Formatter<'_>, items: impl Iterator<Item = String>) -> fmt::Result {
    f.write_str(&items.collect::<Vec<_>>().join(", "))
}

/// Whether a device can be used now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// It was seen and can be opened, as far as that is known without opening it.
    Ready,
    /// Not known until a session is opened (network cameras).
    Unknown,
    /// Nothing answers at its address; the text says what was tried.
    Unreachable(String),
    /// Something answers at its address, but not as a camera should; the text says how.
    Reachable(String),
    /// It answers, but not without another log-in; the text says which were refused.
    Unauthorized(String),
    /// Another process holds it.
    Busy(String),
    /// It is there but may not be opened; the text says what is missing.
    NoPermission(String),
    /// It can't be used; the text says why.
    Unusable(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fps(num: u32) -> Framerate {
        Framerate::new(num, 1).unwrap()
    }

    #[test]
    fn device_ids_need_a_known_scheme_and_an_identity() {
        for (text, transport) in [
            ("test:front", Some(Transport::Test)),
            ("usb:046d:0825:4F2A11", Some(Transport::UsbUvc)),
            ("v4l2:platform-vivid.0", Some(Transport::V4l2)),
            ("rtsp:door@2/a_b", Some(Transport::Rtsp)),
            ("csi:imx219/0", Some(Transport::MipiCsi)),
            ("gmsl:0", Some(Transport::Gmsl2)),
            ("whep:x", Some(Transport::Whep)),
            ("", None),
            ("test", None),
            ("test:", None),
            (":front", None),
            ("Test:front", None),
            ("nvme:front", None),
            ("test:a b", None),
            ("test:ä", None),
        ] {
            assert_eq!(
                text.parse::<DeviceId>().ok().map(|id| id.transport()),
                transport,
                "{text}"
            );
        }
        assert!(
            format!("test:{}", "a".repeat(250))
                .parse::<DeviceId>()
                .is_ok()
        );
        assert!(
            format!("test:{}", "a".repeat(251))
                .parse::<DeviceId>()
                .is_err()
        );
    }

    #[test]
    fn a_built_device_id_parses_again() {
        for rest in ["front", "", "046d:0825:no serial", "ä/ö", &"x".repeat(400)] {
            let id = DeviceId::new(Transport::UsbUvc, rest);
            assert_eq!(id.as_str().parse(), Ok(id.clone()), "{rest}");
        }
        let id = DeviceId::new(Transport::UsbUvc, "046d:0825:no serial");
        assert_eq!(
            (id.to_string().as_str(), id.rest()),
            ("usb:046d:0825:no_serial", "046d:0825:no_serial")
        );
    }

    #[test]
    fn transports_and_schemes_are_one_to_one() {
        for transport in Transport::ALL {
            assert_eq!(Transport::from_scheme(transport.scheme()), Some(transport));
        }
        assert_eq!(Transport::from_scheme("http"), None);
    }

    #[test]
    fn ranges_hold_their_steps_and_both_ends() {
        let range = Range {
            min: 64,
            max: 128,
            step: 16,
        };
        for (value, inside) in [
            (48, false),
            (64, true),
            (65, false),
            (80, true),
            (128, true),
            (144, false),
        ] {
            assert_eq!(range.contains(value), inside, "{value}");
        }
        assert!(
            Range {
                min: 2,
                max: 4,
                step: 0
            }
            .contains(3),
            "a driver's step of 0 is taken as 1"
        );
    }

    #[test]
    fn sizes_and_rates_contain_what_they_say() {
        let discrete = Sizes::Discrete(vec![(640, 480)]);
        assert!(discrete.contains(640, 480) && !discrete.contains(480, 640));
        let (low, high) = (fps(1), Framerate::new(30_000, 1001).unwrap());
        let between = Rates::Continuous(low, high);
        for (rate, inside) in [
            (fps(1), true),
            (fps(29), true),
            (high, true),
            (fps(30), false),
        ] {
            assert_eq!(between.contains(rate), inside, "{rate}");
        }
        assert!(Rates::Discrete(vec![fps(30)]).contains(Framerate::new(60, 2).unwrap()));
        assert!(Rates::Discrete(vec![]).contains(fps(7)), "not known");
    }

    #[test]
    fn capabilities_read_well() {
        let side = |min, max, step| Range { min, max, step };
        for (sizes, rates, text) in [
            (
                Sizes::Discrete(vec![(640, 480), (320, 240)]),
                Rates::Discrete(vec![fps(15), fps(30)]),
                "NV12 640x480, 320x240 at 15, 30 fps",
            ),
            (
                Sizes::Stepwise {
                    width: side(2, 4096, 2),
                    height: side(2, 2160, 2),
                },
                Rates::Continuous(fps(1), fps(60)),
                "NV12 2x2 to 4096x2160 in steps of 2x2 at 1 to 60 fps",
            ),
            (
                Sizes::Stepwise {
                    width: side(1, 8, 1),
                    height: side(1, 8, 1),
                },
                Rates::Discrete(vec![Framerate::new(25, 2).unwrap()]),
                "NV12 1x1 to 8x8 at 25/2 fps",
            ),
            (
                Sizes::Discrete(vec![(2, 2)]),
                Rates::Discrete(vec![]),
                "NV12 2x2",
            ),
        ] {
            assert_eq!(
                Capability {
                    format: "NV12".into(),
                    sizes,
                    rates
                }
                .to_string(),
                text
            );
        }
    }
}
