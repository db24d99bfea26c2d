//! What can go wrong on command.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::control::ControlId;

/// Something that goes wrong on command. The text form in brackets is what the program takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// No new frame starts, and nothing says so (`stall`).
    Stall,
    /// Each frame ends in its middle (`short-frames`).
    ShortFrames,
    /// Bytes in the middle of each JPEG are overwritten (`corrupt-jpeg`). Raw frames stay as they are.
    CorruptJpeg,
    /// Each JPEG ends without its EOI marker (`no-eoi`). Raw frames stay as they are.
    NoEoi,
    /// Frames are half as wide and high as was negotiated (`wrong-size`).
    WrongSize,
    /// Every payload has the error bit set (`error-bit`).
    ErrorBit,
    /// The camera is unplugged instead of answering the control request after so many (`vanish:N`); what is open fails. Counted
    /// from when the fault is set.
    VanishDuringEnumeration {
        /// Control requests that are answered before.
        after_requests: u32,
    },
    /// Control requests are answered late (`slow-controls:MILLISECONDS`).
    SlowControls {
        /// By how much.
        delay: Duration,
    },
    /// Requests to a control are answered by STALL (`control-stall:NAME`).
    ControlStall(ControlId),
    /// The descriptors lie (`lie:NAME`). They are read at plugging, so this one has to be there before.
    Lie(Lie),
}

/// A lie in the descriptors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    /// `bNumFormats` says 255, more than the header has room for.
    TooManyFormats,
    /// No format at all.
    NoFormats,
    /// `dwMaxVideoFrameBufferSize`, and what is negotiated, is 0.
    ZeroBufferSize,
    /// `dwMaxVideoFrameBufferSize`, and what is negotiated, is 2^32 - 1.
    HugeBufferSize,
    /// All frame intervals are 0.
    ZeroInterval,
    /// `bFrameIntervalType` says 255, more than the descriptor holds.
    TooManyIntervals,
    /// The last frame descriptor's `bLength` runs over the end of the configuration.
    Overrun,
    /// The last frame descriptor's `bLength` is 0.
    ZeroLength,
    /// Frames are said to be of 0x0.
    ZeroSize,
    /// Frames are said to be of 65535x65535.
    AbsurdSize,
}

const LIES: [(&str, Lie); 10] = [
    ("too-many-formats", Lie::TooManyFormats),
    ("no-formats", Lie::NoFormats),
    ("zero-buffer-size", Lie::ZeroBufferSize),
    ("huge-buffer-size", Lie::HugeBufferSize),
    ("zero-interval", Lie::ZeroInterval),
    ("too-many-intervals", Lie::TooManyIntervals),
    ("overrun", Lie::Overrun),
    ("zero-length", Lie::ZeroLength),
    ("zero-size", Lie::ZeroSize),
    ("absurd-size", Lie::AbsurdSize),
];

impl Lie {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        LIES.iter().map(|(_, lie)| *lie)
    }
}

impl fmt::Display for Lie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = LIES.iter().find(|(_, lie)| lie == self);
        f.write_str(name.map_or("", |(name, _)| name))
    }
}

impl FromStr for Lie {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = LIES.iter().find(|(name, _)| *name == text);
        found.map(|(_, lie)| *lie).ok_or_else(|| {
            let names: Vec<_> = LIES.iter().map(|(name, _)| *name).collect();
            format!("there is no lie {text:?}; there are: {}", names.join(", "))
        })
    }
}

const PLAIN: [(&str, Fault); 6] = [
    ("stall", Fault::Stall),
    ("short-frames", Fault::ShortFrames),
    ("corrupt-jpeg", Fault::CorruptJpeg),
    ("no-eoi", Fault::NoEoi),
    ("wrong-size", Fault::WrongSize),
    ("error-bit", Fault::ErrorBit),
];

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::VanishDuringEnumeration { after_requests } => {
                write!(f, "vanish:{after_requests}")
            }
            Self::SlowControls { delay } => write!(f, "slow-controls:{}", delay.as_millis()),
            Self::ControlStall(id) => write!(f, "control-stall:{id}"),
            Self::Lie(lie) => write!(f, "lie:{lie}"),
            plain => {
                let name = PLAIN.iter().find(|(_, fault)| fault == plain);
                f.write_str(name.map_or("", |(name, _)| name))
            }
        }
    }
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some((_, fault)) = PLAIN.iter().find(|(name, _)| *name == text) {
            return Ok(*fault);
        }
        let (kind, value) = text.split_once(':').unwrap_or((text, ""));
        let number = || {
            value
                .parse()
                .map_err(|_| format!("{kind} takes a number, as in {kind}:20"))
        };
        match kind {
            "vanish" => Ok(Self::VanishDuringEnumeration {
                after_requests: number()?,
            }),
            "slow-controls" => Ok(Self::SlowControls {
                delay: Duration::from_millis(number()?.into()),
            }),
            "control-stall" => value.parse().map(Self::ControlStall),
            "lie" => value.parse().map(Self::Lie),
            _ => {
                let names: Vec<_> = PLAIN.iter().map(|(name, _)| *name).collect();
                Err(format!(
                    "there is no fault {text:?}; there are: {}, vanish:N, slow-controls:MILLISECONDS, control-stall:NAME, lie:NAME",
                    names.join(", ")
                ))
            }
        }
    }
}

/// How frames are spoilt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spoil {
    Short,
    Corrupt,
    NoEoi,
    WrongSize,
}

/// All faults that are set.
#[derive(Debug, Clone, Default)]
pub(crate) struct Faults {
    pub(crate) stall: bool,
    pub(crate) spoil: Option<Spoil>,
    pub(crate) error_bit: bool,
    pub(crate) vanish_after: Option<u32>,
    pub(crate) delay: Duration,
    pub(crate) stalled: BTreeSet<ControlId>,
    pub(crate) lie: Option<Lie>,
}

impl Faults {
    pub(crate) fn new(faults: &[Fault]) -> Self {
        let mut all = Self::default();
        for fault in faults {
            all.set(*fault);
        }
        all
    }

    /// Adds a fault to those that are set; of two that spoil frames the later one holds.
    pub(crate) fn set(&mut self, fault: Fault) {
        match fault {
            Fault::Stall => self.stall = true,
            Fault::ShortFrames => self.spoil = Some(Spoil::Short),
            Fault::CorruptJpeg => self.spoil = Some(Spoil::Corrupt),
            Fault::NoEoi => self.spoil = Some(Spoil::NoEoi),
            Fault::WrongSize => self.spoil = Some(Spoil::WrongSize),
            Fault::ErrorBit => self.error_bit = true,
            Fault::VanishDuringEnumeration { after_requests } => {
                self.vanish_after = Some(after_requests);
            }
            Fault::SlowControls { delay } => self.delay = delay,
            Fault::ControlStall(id) => {
                self.stalled.insert(id);
            }
            Fault::Lie(lie) => self.lie = Some(lie),
        }
    }

    /// Ends all but the lie: what the kernel was told stays told.
    pub(crate) fn clear(&mut self) {
        *self = Self {
            lie: self.lie,
            ..Self::default()
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_reads_back_from_its_text() {
        let more = [
            Fault::VanishDuringEnumeration { after_requests: 7 },
            Fault::SlowControls {
                delay: Duration::from_millis(250),
            },
            Fault::ControlStall(ControlId::Zoom),
        ];
        let plain = PLAIN.iter().map(|(_, fault)| *fault);
        for fault in plain.chain(more).chain(Lie::all().map(Fault::Lie)) {
            assert_eq!(fault.to_string().parse(), Ok(fault));
        }
    }

    #[test]
    fn other_texts_say_what_there_is() {
        let cases = [
            ("stal", "short-frames"),
            ("vanish", "vanish:20"),
            ("slow-controls:soon", "takes a number"),
            ("control-stall:warp", "brightness"),
            ("lie:white", "zero-length"),
        ];
        for (text, says) in cases {
            let error = text.parse::<Fault>().unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn clearing_leaves_what_the_kernel_was_told() {
        let mut faults = Faults::new(&[Fault::Lie(Lie::ZeroSize), Fault::Stall, Fault::NoEoi]);
        faults.clear();
        assert_eq!((faults.stall, faults.spoil), (false, None));
        assert_eq!(faults.lie, Some(Lie::ZeroSize));
    }
}
