//! Devices: stable identity, capabilities, health.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

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
    /// These rates.
    Discrete(Vec<Framerate>),
    /// Any rate from the first to the second, both included.
    Continuous(Framerate, Framerate),
}

impl Rates {
    /// Whether the rate is offered.
    pub fn contains(&self, rate: Framerate) -> bool {
        match self {
            Self::Discrete(rates) => rates.contains(&rate),
            Self::Continuous(low, high) => *low <= rate && rate <= *high,
        }
    }
}

/// Whether a device can be used now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// It was seen and can be opened, as far as that is known without opening it.
    Ready,
    /// Not known until a session is opened (network cameras).
    Unknown,
    /// Another process holds it.
    Busy(String),
    /// It is there but may not be opened; the text says what is missing.
    NoPermission(String),
    /// It can't be used; the text says why.
    Unusable(String),
}
