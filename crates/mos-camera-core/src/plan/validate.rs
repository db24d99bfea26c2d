//! Whether a device can be what a stream asks for.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::control::{Control, ControlError, check_controls};
use crate::device::{Capability, DeviceId};
use crate::stream::{Framerate, StreamConfig};

/// Allowed values of both watchdogs.
pub const TIMEOUT_RANGE: RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_mins(10);

/// Largest [`StreamConfig::max_subscribers`].
pub const MAX_SUBSCRIBERS: u32 = 64;

/// Largest width or height in pixels.
pub const MAX_SIDE: u32 = 16_384;

/// Why a configuration can't be.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// NV12 has one chroma sample per 2x2 pixels.
    #[error("size {}x{} is odd: NV12 needs an even width and height", size.0, size.1)]
    OddSize {
        /// The size.
        size: (u32, u32),
    },
    /// Nothing is that small or that large.
    #[error("size {}x{} is out of range: width and height go from 2 to {MAX_SIDE}", size.0, size.1)]
    SizeOutOfRange {
        /// The size.
        size: (u32, u32),
    },
    /// No format of the device comes in this size.
    #[error("{device} does not offer {}x{}; it offers {}", size.0, size.1, list(supported))]
    UnsupportedSize {
        /// The device.
        device: DeviceId,
        /// The size.
        size: (u32, u32),
        /// All that the device offers.
        supported: Vec<Capability>,
    },
    /// No format of the device comes at this rate, or not in the size asked for.
    #[error("{device} does not offer {rate} fps{}; it offers {}", at_size(*size), list(supported))]
    UnsupportedRate {
        /// The device.
        device: DeviceId,
        /// The rate.
        rate: Framerate,
        /// The size that was asked for with it.
        size: Option<(u32, u32)>,
        /// What the device offers; only the formats that come in that size, if one was asked for.
        supported: Vec<Capability>,
    },
    /// A watchdog is too impatient or too patient.
    #[error("{field} is {value:?}: it goes from {:?} to {:?}", TIMEOUT_RANGE.start(), TIMEOUT_RANGE.end())]
    TimeoutOutOfRange {
        /// `first_frame_timeout` or `steady_timeout`.
        field: &'static str,
        /// The value.
        value: Duration,
    },
    /// A pool can't be sized for that many.
    #[error("max_subscribers is {value}: it goes from 1 to {MAX_SUBSCRIBERS}")]
    SubscribersOutOfRange {
        /// The value.
        value: u32,
    },
    /// A control can't have the value asked for.
    #[error("{device}: {error}")]
    Control {
        /// The device.
        device: DeviceId,
        /// Which control, and why not.
        error: ControlError,
    },
}

impl ConfigError {
    /// The field of [`StreamConfig`] at fault.
    pub const fn field(&self) -> &'static str {
        match self {
            Self::OddSize { .. } | Self::SizeOutOfRange { .. } | Self::UnsupportedSize { .. } => {
                "size"
            }
            Self::UnsupportedRate { .. } => "framerate",
            Self::TimeoutOutOfRange { field, .. } => field,
            Self::SubscribersOutOfRange { .. } => "max_subscribers",
            Self::Control { .. } => "controls",
        }
    }

    /// A stable word for programs.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::OddSize { .. } => "ODD_SIZE",
            Self::SizeOutOfRange { .. } => "SIZE_OUT_OF_RANGE",
            Self::UnsupportedSize { .. } => "UNSUPPORTED_SIZE",
            Self::UnsupportedRate { .. } => "UNSUPPORTED_FRAMERATE",
            Self::TimeoutOutOfRange { .. } => "TIMEOUT_OUT_OF_RANGE",
            Self::SubscribersOutOfRange { .. } => "MAX_SUBSCRIBERS_OUT_OF_RANGE",
            Self::Control { error, .. } => match error {
                ControlError::Unknown { .. } => "UNKNOWN_CONTROL",
                ControlError::ReadOnly { .. } => "READ_ONLY_CONTROL",
                ControlError::OutOfRange { .. } => "CONTROL_OUT_OF_RANGE",
            },
        }
    }

    /// The control with its range, where that is the answer.
    pub fn control(&self) -> Option<&Control> {
        match self {
            Self::Control { error, .. } => error.control(),
            _ => None,
        }
    }

    /// What the device offers, where that is the answer.
    pub fn supported(&self) -> &[Capability] {
        match self {
            Self::UnsupportedSize { supported, .. } | Self::UnsupportedRate { supported, .. } => {
                supported
            }
            _ => &[],
        }
    }
}

/// For messages: some devices have hundreds, and a message is to be read, and has to fit into a gRPC status.
fn list(capabilities: &[Capability]) -> String {
    const MOST: usize = 6;
    let shown = capabilities.iter().take(MOST).map(Capability::to_string);
    let text = shown.collect::<Vec<_>>().join("; ");
    match capabilities.len().saturating_sub(MOST) {
        0 => text,
        more => format!("{text}; and {more} more, which the list of devices shows"),
    }
}

fn at_size(size: Option<(u32, u32)>) -> String {
    size.map_or_else(String::new, |(width, height)| {
        format!(" at {width}x{height}")
    })
}

/// Checks the controls that a configuration asks for against those that the device has.
pub fn validate_controls(config: &StreamConfig, controls: &[Control]) -> Result<(), ConfigError> {
    check_controls(&config.controls, controls).map_err(|error| ConfigError::Control {
        device: config.device.clone(),
        error,
    })
}

/// Checks a configuration against what the device offers, except its controls ([`validate_controls`]).
///
/// No capabilities mean that they are not known before a session is open: then any sane size and rate passes, and the
/// pipeline finds out.
pub fn validate(config: &StreamConfig, capabilities: &[Capability]) -> Result<(), ConfigError> {
    check_ranges(config)?;
    if capabilities.is_empty() {
        Ok(())
    } else {
        check_offer(config, capabilities)
    }
}

fn check_ranges(config: &StreamConfig) -> Result<(), ConfigError> {
    if let Some(size) = config.size {
        check_size(size)?;
    }
    check_timeout("first_frame_timeout", config.first_frame_timeout)?;
    check_timeout("steady_timeout", config.steady_timeout)?;
    match config.max_subscribers {
        Some(value) if !(1..=MAX_SUBSCRIBERS).contains(&value) => {
            Err(ConfigError::SubscribersOutOfRange { value })
        }
        _ => Ok(()),
    }
}

fn check_size(size: (u32, u32)) -> Result<(), ConfigError> {
    let sane = 1..=MAX_SIDE;
    if !sane.contains(&size.0) || !sane.contains(&size.1) {
        return Err(ConfigError::SizeOutOfRange { size });
    }
    let even = size.0.is_multiple_of(2) && size.1.is_multiple_of(2);
    if even {
        Ok(())
    } else {
        Err(ConfigError::OddSize { size })
    }
}

fn check_timeout(field: &'static str, value: Duration) -> Result<(), ConfigError> {
    if TIMEOUT_RANGE.contains(&value) {
        Ok(())
    } else {
        Err(ConfigError::TimeoutOutOfRange { field, value })
    }
}

fn check_offer(config: &StreamConfig, capabilities: &[Capability]) -> Result<(), ConfigError> {
    let fits = |c: &&Capability| {
        config
            .size
            .is_none_or(|(width, height)| c.sizes.contains(width, height))
    };
    let in_size: Vec<&Capability> = capabilities.iter().filter(fits).collect();
    if let (Some(size), true) = (config.size, in_size.is_empty()) {
        let (device, supported) = (config.device.clone(), capabilities.to_vec());
        return Err(ConfigError::UnsupportedSize {
            device,
            size,
            supported,
        });
    }
    match config.framerate {
        Some(rate) if !in_size.iter().any(|c| c.rates.contains(rate)) => {
            let supported = in_size.into_iter().cloned().collect();
            Err(ConfigError::UnsupportedRate {
                device: config.device.clone(),
                rate,
                size: config.size,
                supported,
            })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::{Range, Rates, Sizes};

    fn fps(num: u32, den: u32) -> Framerate {
        Framerate::new(num, den).unwrap()
    }

    /// A webcam: small raw pictures at any rate, large JPEG ones at two.
    fn webcam() -> Vec<Capability> {
        let raw = Sizes::Discrete(vec![(640, 480), (320, 240)]);
        vec![
            Capability {
                format: "YUY2".into(),
                sizes: raw,
                rates: Rates::Continuous(fps(1, 1), fps(30, 1)),
            },
            Capability {
                format: "image/jpeg".into(),
                sizes: Sizes::Discrete(vec![(1920, 1080), (640, 480)]),
                rates: Rates::Discrete(vec![fps(30, 1), fps(60, 1)]),
            },
        ]
    }

    fn sensor() -> Vec<Capability> {
        let side = |min, max, step| Range { min, max, step };
        let sizes = Sizes::Stepwise {
            width: side(64, 1920, 16),
            height: side(64, 1080, 2),
        };
        vec![Capability {
            format: "NV12".into(),
            sizes,
            rates: Rates::Discrete(vec![fps(30_000, 1001)]),
        }]
    }

    fn config(size: Option<(u32, u32)>, framerate: Option<Framerate>) -> StreamConfig {
        StreamConfig {
            size,
            framerate,
            ..StreamConfig::new("v4l2:cam".parse().unwrap())
        }
    }

    #[test]
    fn sizes_and_rates_are_held_against_the_offer() {
        let (webcam, sensor, unknown) = (webcam(), sensor(), vec![]);
        for (offer, size, rate, expected) in [
            (&webcam, None, None, Ok(())),
            (&webcam, Some((640, 480)), None, Ok(())),
            (&webcam, Some((640, 480)), Some(fps(60, 1)), Ok(())),
            (&webcam, Some((640, 480)), Some(fps(25, 2)), Ok(())),
            (&webcam, None, Some(fps(60, 1)), Ok(())),
            (
                &webcam,
                Some((320, 240)),
                Some(fps(60, 1)),
                Err(("framerate", "UNSUPPORTED_FRAMERATE", 1)),
            ),
            (
                &webcam,
                Some((1920, 1080)),
                Some(fps(15, 1)),
                Err(("framerate", "UNSUPPORTED_FRAMERATE", 1)),
            ),
            (
                &webcam,
                None,
                Some(fps(90, 1)),
                Err(("framerate", "UNSUPPORTED_FRAMERATE", 2)),
            ),
            (
                &webcam,
                Some((800, 600)),
                None,
                Err(("size", "UNSUPPORTED_SIZE", 2)),
            ),
            (
                &webcam,
                Some((800, 600)),
                Some(fps(90, 1)),
                Err(("size", "UNSUPPORTED_SIZE", 2)),
            ),
            (
                &webcam,
                Some((640, 481)),
                None,
                Err(("size", "ODD_SIZE", 0)),
            ),
            (
                &webcam,
                Some((0, 480)),
                None,
                Err(("size", "SIZE_OUT_OF_RANGE", 0)),
            ),
            (&sensor, Some((656, 482)), Some(fps(30_000, 1001)), Ok(())),
            (
                &sensor,
                Some((648, 482)),
                None,
                Err(("size", "UNSUPPORTED_SIZE", 1)),
            ),
            (
                &sensor,
                None,
                Some(fps(30, 1)),
                Err(("framerate", "UNSUPPORTED_FRAMERATE", 1)),
            ),
            (&unknown, Some((12_000, 9000)), Some(fps(1000, 1)), Ok(())),
            (
                &unknown,
                Some((MAX_SIDE + 2, 2)),
                None,
                Err(("size", "SIZE_OUT_OF_RANGE", 0)),
            ),
            (&unknown, Some((3, 2)), None, Err(("size", "ODD_SIZE", 0))),
        ] {
            let got = validate(&config(size, rate), offer);
            let got = got
                .as_ref()
                .map_err(|e| (e.field(), e.reason(), e.supported().len()));
            assert_eq!(
                got,
                expected.as_ref().map_err(|e| *e),
                "{size:?} at {rate:?}"
            );
        }
    }

    #[test]
    fn the_message_lists_what_is_supported() {
        let size = validate(&config(Some((800, 600)), None), &webcam()).unwrap_err();
        assert_eq!(
            size.to_string(),
            "v4l2:cam does not offer 800x600; it offers YUY2 640x480, 320x240 at 1 to 30 fps; image/jpeg 1920x1080, 640x480 at 30, 60 fps"
        );
        let rate = validate(&config(Some((1920, 1080)), Some(fps(15, 1))), &webcam()).unwrap_err();
        assert_eq!(
            rate.to_string(),
            "v4l2:cam does not offer 15 fps at 1920x1080; it offers image/jpeg 1920x1080, 640x480 at 30, 60 fps"
        );
    }

    #[test]
    fn a_long_offer_is_cut_in_messages_and_whole_in_the_details() {
        let many = vec![sensor().remove(0); 200];
        let error = validate(&config(Some((2, 2)), None), &many).unwrap_err();
        let text = error.to_string();
        assert!(text.len() < 1000, "{text}");
        assert!(
            text.ends_with("; and 194 more, which the list of devices shows"),
            "{text}"
        );
        assert_eq!(error.supported().len(), 200);
        let six = vec![sensor().remove(0); 6];
        let error = validate(&config(Some((2, 2)), None), &six).unwrap_err();
        assert!(!error.to_string().contains("more"), "{error}");
    }

    #[test]
    fn limits_hold_whatever_the_device() {
        let base = config(None, None);
        let ms = Duration::from_millis;
        for (config, expected) in [
            (
                StreamConfig {
                    first_frame_timeout: ms(100),
                    steady_timeout: ms(600_000),
                    ..base.clone()
                },
                None,
            ),
            (
                StreamConfig {
                    first_frame_timeout: ms(99),
                    ..base.clone()
                },
                Some("first_frame_timeout"),
            ),
            (
                StreamConfig {
                    steady_timeout: ms(600_001),
                    ..base.clone()
                },
                Some("steady_timeout"),
            ),
            (
                StreamConfig {
                    max_subscribers: Some(64),
                    ..base.clone()
                },
                None,
            ),
            (
                StreamConfig {
                    max_subscribers: Some(0),
                    ..base.clone()
                },
                Some("max_subscribers"),
            ),
            (
                StreamConfig {
                    max_subscribers: Some(65),
                    ..base.clone()
                },
                Some("max_subscribers"),
            ),
        ] {
            assert_eq!(
                validate(&config, &[]).err().map(|e| e.field()),
                expected,
                "{config:?}"
            );
        }
    }
}
