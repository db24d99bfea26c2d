//! Streams: their names and what they are asked to be.

use std::cmp::Ordering;
use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::control::ControlValues;
use crate::device::DeviceId;

/// Name of a stream; also the name of its socket on the frame bus.
///
/// 1 to 64 characters of `a-z A-Z 0-9 _ - .`, not starting with `.` or `-`: it becomes a file name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StreamName(String);

impl StreamName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for StreamName {
    type Err = InvalidStreamName;

    fn from_str(s: &str) -> Result<Self, InvalidStreamName> {
        let valid = (1..=64).contains(&s.len())
            && !s.starts_with(['.', '-'])
            && s.chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
        if valid {
            Ok(Self(s.to_owned()))
        } else {
            Err(InvalidStreamName(s.to_owned()))
        }
    }
}

impl TryFrom<String> for StreamName {
    type Error = InvalidStreamName;

    fn try_from(s: String) -> Result<Self, InvalidStreamName> {
        s.parse()
    }
}

impl From<StreamName> for String {
    fn from(name: StreamName) -> Self {
        name.0
    }
}

/// The text is no stream name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a stream name: 1 to 64 letters, digits, `_`, `-` or `.`, not starting with `.` or `-`"
)]
pub struct InvalidStreamName(pub String);

/// Frames per second as a fraction, kept in lowest terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Framerate {
    num: NonZeroU32,
    den: NonZeroU32,
}

impl Framerate {
    /// A rate of `num / den` frames per second; `None` if either is zero.
    pub fn new(num: u32, den: u32) -> Option<Self> {
        let (n, d) = (NonZeroU32::new(num)?, NonZeroU32::new(den)?);
        let g = gcd(n.get(), d.get());
        Some(Self {
            num: NonZeroU32::new(n.get() / g)?,
            den: NonZeroU32::new(d.get() / g)?,
        })
    }

    /// Numerator.
    pub const fn num(self) -> u32 {
        self.num.get()
    }

    /// Denominator.
    pub const fn den(self) -> u32 {
        self.den.get()
    }

    /// Time from one frame to the next.
    pub fn frame_time(self) -> Duration {
        Duration::from_nanos(u64::from(self.den()) * 1_000_000_000 / u64::from(self.num()))
    }
}

const fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

impl PartialOrd for Framerate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Framerate {
    fn cmp(&self, other: &Self) -> Ordering {
        (u64::from(self.num()) * u64::from(other.den()))
            .cmp(&(u64::from(other.num()) * u64::from(self.den())))
    }
}

impl fmt::Display for Framerate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.den() == 1 {
            write!(f, "{}", self.num())
        } else {
            write!(f, "{}/{}", self.num(), self.den())
        }
    }
}

impl FromStr for Framerate {
    type Err = InvalidFramerate;

    fn from_str(s: &str) -> Result<Self, InvalidFramerate> {
        let (num, den) = s.split_once('/').unwrap_or((s, "1"));
        num.trim()
            .parse()
            .ok()
            .zip(den.trim().parse().ok())
            .and_then(|(n, d)| Self::new(n, d))
            .ok_or_else(|| InvalidFramerate(s.to_owned()))
    }
}

impl TryFrom<String> for Framerate {
    type Error = InvalidFramerate;

    fn try_from(s: String) -> Result<Self, InvalidFramerate> {
        s.parse()
    }
}

impl From<Framerate> for String {
    fn from(rate: Framerate) -> Self {
        rate.to_string()
    }
}

/// The text is no frame rate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a frame rate: expected frames per second as `30` or `30000/1001`")]
pub struct InvalidFramerate(pub String);

/// What a stream does when the CPU reached for its frames' pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnViolation {
    /// It is counted and told; the stream goes on.
    #[default]
    Report,
    /// The stream ends, and waits for a person.
    Stop,
}

impl OnViolation {
    /// Whether it is the default.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What a stream is asked to be. `None` leaves the choice to the device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamConfig {
    /// The camera.
    pub device: DeviceId,
    /// Frame width and height in pixels; both even, as NV12 needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<(u32, u32)>,
    /// Frame rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub framerate: Option<Framerate>,
    /// Longest wait from start to the first frame.
    pub first_frame_timeout: Duration,
    /// Longest gap between frames while streaming.
    pub steady_timeout: Duration,
    /// Subscribers that the stream has buffers for, each holding one frame; `None`: eight, or as many as a camera with a fixed
    /// number of buffers serves without a copy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_subscribers: Option<u32>,
    /// Camera controls to set; all others stay as they are on the device.
    #[serde(default, skip_serializing_if = "ControlValues::is_empty")]
    pub controls: ControlValues,
    /// What to do when something in the service's process maps its frames. A frame that breaks the contract always ends
    /// the stream: nothing could be made of it.
    #[serde(default, skip_serializing_if = "OnViolation::is_default")]
    pub on_violation: OnViolation,
    /// The profile of a network camera, by token or name; `None` is the best that fits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// Where no profile of a network camera fits, its encoder is set to size and rate.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub set_encoder: bool,
}

impl StreamConfig {
    /// Default of [`Self::first_frame_timeout`]: slow network cameras need up to 40 s.
    pub const FIRST_FRAME_TIMEOUT: Duration = Duration::from_secs(45);
    /// Default of [`Self::steady_timeout`].
    pub const STEADY_TIMEOUT: Duration = Duration::from_secs(5);
    /// What [`Self::max_subscribers`] comes to if it is not given.
    pub const MAX_SUBSCRIBERS: u32 = 8;

    /// The defaults for a device.
    pub fn new(device: DeviceId) -> Self {
        Self {
            device,
            size: None,
            framerate: None,
            first_frame_timeout: Self::FIRST_FRAME_TIMEOUT,
            steady_timeout: Self::STEADY_TIMEOUT,
            max_subscribers: None,
            controls: ControlValues::new(),
            on_violation: OnViolation::default(),
            profile: None,
            set_encoder: false,
        }
    }

    /// Subscribers that a pool of the stream's own is sized for.
    pub fn subscribers(&self) -> u32 {
        self.max_subscribers.unwrap_or(Self::MAX_SUBSCRIBERS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stream_names_are_safe_file_names() {
        let long = "x".repeat(64);
        for (text, valid) in [
            ("front", true),
            ("Front_2-b.c", true),
            ("0", true),
            (long.as_str(), true),
            ("", false),
            (".", false),
            ("..", false),
            (".hidden", false),
            ("-rf", false),
            ("a/b", false),
            ("a b", false),
            ("ä", false),
            ("a\0", false),
            (&"x".repeat(65), false),
        ] {
            assert_eq!(text.parse::<StreamName>().is_ok(), valid, "{text:?}");
        }
    }

    #[test]
    fn frame_rates_are_kept_in_lowest_terms() {
        for (text, expected, shown) in [
            ("30", Some((30, 1)), "30"),
            ("60/2", Some((30, 1)), "30"),
            ("30000/1001", Some((30_000, 1001)), "30000/1001"),
            (" 25 / 2 ", Some((25, 2)), "25/2"),
            ("0", None, ""),
            ("30/0", None, ""),
            ("-30", None, ""),
            ("29.97", None, ""),
            ("", None, ""),
            ("4294967296", None, ""),
        ] {
            let rate = text.parse::<Framerate>().ok();
            assert_eq!(rate.map(|r| (r.num(), r.den())), expected, "{text}");
            assert_eq!(rate.map(|r| r.to_string()).unwrap_or_default(), shown);
        }
    }

    #[test]
    fn frame_rates_compare_and_tell_their_frame_time() {
        let rate = |num, den| Framerate::new(num, den).unwrap();
        assert!(rate(30_000, 1001) < rate(30, 1) && rate(30, 1) < rate(u32::MAX, 1));
        assert_eq!(rate(25, 1).frame_time(), Duration::from_millis(40));
        assert_eq!(
            rate(30_000, 1001).frame_time(),
            Duration::from_nanos(33_366_666)
        );
        assert_eq!(
            rate(1, u32::MAX).frame_time(),
            Duration::from_secs(u32::MAX.into())
        );
    }
}
