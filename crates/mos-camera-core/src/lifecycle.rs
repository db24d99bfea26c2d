//! The life of one stream: a state machine without I/O and without a clock.
//!
//! Its driver feeds commands, device events, pipeline events and time into [`Lifecycle::step`], carries out the
//! [`Action`]s that come back, and calls again at the latest at [`Lifecycle::next_deadline`]:
//!
//! ```
//! use std::time::Duration;
//! use mos_camera_core::lifecycle::{Action, Input, Lifecycle, PipelineEvent, State, Timeouts};
//!
//! let mut life = Lifecycle::new(Default::default());
//! let at = Duration::from_millis;
//! life.step(at(0), Input::Present, 0);
//! life.step(at(0), Input::Configure { changed: true, timeouts: Timeouts::default() }, 0);
//! let actions = life.step(at(1), Input::Start, 0);
//! assert_eq!(actions, [Action::BuildPipeline { generation: 1 }]);
//! assert_eq!(life.state(), State::Starting);
//! life.step(at(90), Input::Pipeline { generation: 1, event: PipelineEvent::FirstFrame }, 0);
//! assert_eq!(life.state(), State::Streaming);
//! ```
//!
//! # Rules
//!
//! - What is wanted (configured, started) is kept apart from what is. The state says what is: while a pipeline is being
//!   replaced the stream is never `Streaming`.
//! - At most one pipeline is alive. A new one is asked for only after the old one's [`PipelineEvent::Down`].
//! - Every pipeline has a generation. Events of another generation than the current one are ignored, so that a late
//!   message of an old pipeline can't touch its successor.
//! - A transient fault ([`FaultKind::is_transient`]) leads to `Backoff` and a new attempt; `Unauthorized` and `Failed` wait
//!   for a changed configuration, a reset or a start. A device that goes away and comes back ends the wait of `Failed`, not
//!   that of `Unauthorized`: plugging in mends a camera, not a password.
//! - The first frame and every later one have watchdogs of their own.
//! - A pipeline that does not come down within [`TEARDOWN_TIMEOUT`] makes the stream `Failed`, since the device is still
//!   held: no second pipeline is tried on top. A reset asks for the teardown again; when the pipeline does come down after
//!   all, the stream goes on by itself.

mod machine;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tables;

use std::time::Duration;

pub use machine::Lifecycle;

use crate::fault::{Fault, FaultKind};
use crate::stream::StreamConfig;

/// Longest time that a pipeline may take to come down.
pub const TEARDOWN_TIMEOUT: Duration = Duration::from_secs(10);

/// The state that a stream is in, as architecture and status name it. Times count from the driver's epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The device is not there.
    Absent,
    /// The device is there, nothing is configured.
    Idle,
    /// Configured, not wanted to run.
    Configured,
    /// A pipeline was asked for; its first frame is awaited.
    Starting,
    /// Frames arrive.
    Streaming,
    /// Frames stopped without an error; the pipeline is coming down and a new one follows.
    Stalled,
    /// Waiting for the next attempt.
    Backoff {
        /// Failed attempts in a row, from 1.
        attempt: u32,
        /// When the next attempt starts; later if the old pipeline is not down by then.
        until: Duration,
        /// Class of the fault that led here; the whole fault is in the [`Snapshot`].
        reason: FaultKind,
    },
    /// The camera refused the credentials; waits for a changed configuration, a reset or a start.
    Unauthorized,
    /// Trying again can't help; waits as `Unauthorized` does.
    Failed,
    /// The pipeline is coming down because of a command; a new one follows if the stream is still wanted.
    Stopping,
}

impl State {
    /// The state's name in lower case, for logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Idle => "idle",
            Self::Configured => "configured",
            Self::Starting => "starting",
            Self::Streaming => "streaming",
            Self::Stalled => "stalled",
            Self::Backoff { .. } => "backoff",
            Self::Unauthorized => "unauthorized",
            Self::Failed => "failed",
            Self::Stopping => "stopping",
        }
    }
}

/// The two watchdogs of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Longest wait from [`Action::BuildPipeline`] to the first frame.
    pub first_frame: Duration,
    /// Longest gap between two frames after the first.
    pub steady: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            first_frame: StreamConfig::FIRST_FRAME_TIMEOUT,
            steady: StreamConfig::STEADY_TIMEOUT,
        }
    }
}

impl From<&StreamConfig> for Timeouts {
    fn from(config: &StreamConfig) -> Self {
        Self {
            first_frame: config.first_frame_timeout,
            steady: config.steady_timeout,
        }
    }
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// The stream was configured. Feed `Present` or `Gone` as well if this gave it another device.
    Configure {
        /// Whether the pipeline has to be rebuilt for it; the very first configuration always counts as changed.
        changed: bool,
        /// The watchdogs from now on, also of a pipeline that is not rebuilt.
        timeouts: Timeouts,
    },
    /// The stream is wanted to run; ignored while nothing is configured.
    Start,
    /// The stream is wanted to stop.
    Stop,
    /// Clear the fault, reset the device, rebuild the pipeline if the stream is wanted; ignored while nothing is configured.
    Reset,
    /// The device is there. Devices without discovery (network cameras) are always present: feed this once.
    Present,
    /// The device went away.
    Gone,
    /// What kept the device from being used is gone, such as a missing permission: a stream in `Failed` tries again.
    Usable,
    /// A pipeline reported something.
    Pipeline {
        /// The generation that [`Action::BuildPipeline`] gave it.
        generation: u64,
        /// What it reported.
        event: PipelineEvent,
    },
    /// Time passed.
    Tick,
}

/// What a pipeline reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PipelineEvent {
    /// It is built and set to play. Says nothing about frames.
    Built,
    /// Its first frame reached the bus.
    FirstFrame,
    /// Its newest frame reached the bus at this time; counts as `FirstFrame` if there was none. Report it before a `Tick`
    /// rather than for every frame.
    Frame {
        /// When, on the same clock as `now`.
        at: Duration,
    },
    /// It can't go on. A pipeline that could not even be built reports this, and `Down` after its `TearDown` as any other.
    Fault(Fault),
    /// It is down and its device is closed: nothing of it is alive any more.
    Down,
}

/// What the driver has to do, in the order given, each finished before the next is begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Build and start a pipeline, and report its events with this generation.
    BuildPipeline {
        /// Identifies the pipeline; counts from 1.
        generation: u64,
    },
    /// Bring a pipeline down and report `Down`, also if it was never built. Asked for again by a reset after a
    /// teardown that took too long.
    TearDown {
        /// The pipeline.
        generation: u64,
    },
    /// Reset the device; no pipeline is alive. If that fails and a `BuildPipeline` follows, report the failure as the
    /// `Fault` of that generation instead of building it.
    ResetDevice,
}

/// What [`Lifecycle::step`] asks for; mostly empty, never more than two.
pub type Actions = Vec<Action>;

/// A fault and when it happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultAt {
    /// The fault.
    pub fault: Fault,
    /// When, on the driver's clock.
    pub at: Duration,
}

/// A stream's status, for answers and events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// What is.
    pub state: State,
    /// When the state was entered. Another attempt is another state.
    pub since: Duration,
    /// Whether the stream is wanted to run.
    pub wanted: bool,
    /// Whether the stream was ever configured.
    pub configured: bool,
    /// Whether the device is there.
    pub present: bool,
    /// The pipeline that is alive, coming down included.
    pub generation: Option<u64>,
    /// Failed attempts in a row; 0 while streaming.
    pub attempt: u32,
    /// Pipelines asked for, less the first.
    pub restarts: u64,
    /// Why the stream is not streaming, or why it last was not; cleared by a reset or a changed configuration.
    pub fault: Option<FaultAt>,
    /// Since when frames arrive; `None` unless `Streaming`.
    pub streaming_since: Option<Duration>,
}
