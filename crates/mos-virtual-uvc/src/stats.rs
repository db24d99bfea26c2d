//! What a camera did so far.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::config::FormatKind;
use crate::control::ControlId;
use crate::negotiate::Agreed;

/// What is being streamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Streaming {
    /// How frames are coded.
    pub kind: FormatKind,
    /// Width in pixels.
    pub width: u16,
    /// Height in pixels.
    pub height: u16,
    /// Time between frames.
    pub interval: Duration,
}

impl Streaming {
    pub(crate) fn of(agreed: &Agreed) -> Self {
        Self {
            kind: agreed.kind,
            width: agreed.size.0,
            height: agreed.size.1,
            interval: Duration::from_nanos(u64::from(agreed.proposal.interval) * 100),
        }
    }
}

impl fmt::Display for Streaming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = 1.0 / self.interval.as_secs_f64();
        write!(
            f,
            "{} {}x{} at {rate:.1} fps",
            self.kind, self.width, self.height
        )
    }
}

/// What a camera did so far, and how it stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Whether it is plugged in.
    pub attached: bool,
    /// Frames whose last byte was handed to the kernel.
    pub frames: u64,
    /// Control requests that were answered, or will be.
    pub control_requests: u64,
    /// What the kernel takes pictures of, if it does.
    pub streaming: Option<Streaming>,
    /// Values of all controls.
    pub controls: BTreeMap<ControlId, i32>,
    /// Why it is not plugged in any more.
    pub ended: Option<String>,
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "frames={} control_requests={}",
            self.frames, self.control_requests
        )?;
        match &self.streaming {
            Some(streaming) => write!(f, " streaming {streaming}")?,
            None => f.write_str(" idle")?,
        }
        self.controls
            .iter()
            .try_for_each(|(id, value)| write!(f, " {id}={value}"))
    }
}
