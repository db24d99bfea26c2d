//! What a stream is and does, for whoever asks.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use mos_camera_core::lifecycle;
use mos_camera_core::plan::Plan;
use mos_camera_core::{Fault, Framerate, SessionFacts, StreamConfig, StreamName};

use super::meter::Lost;
use super::violations::Violations;

/// What a stream is and does.
#[derive(Debug, Clone)]
pub struct StreamStatus {
    /// The stream.
    pub name: StreamName,
    /// What it is asked to be; none while it is idle.
    pub config: Option<StreamConfig>,
    /// Its life.
    pub life: lifecycle::Snapshot,
    /// Why it is not streaming, or last was not, and since when.
    pub fault: Option<(Fault, SystemTime)>,
    /// When the next attempt is due, in back-off.
    pub next_attempt_in: Option<Duration>,
    /// Since when frames arrive.
    pub streaming_since: Option<SystemTime>,
    /// Its socket on the frame bus.
    pub bus_socket: PathBuf,
    /// Its counters.
    pub stats: StreamStats,
}

/// A stream's counters and what its pipeline is made of.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StreamStats {
    /// The frames as they are; none before the first.
    pub format: Option<SeenFormat>,
    /// Frames on the bus since the service started.
    pub published: u64,
    /// Frames copied because their memory had no fd.
    pub copied: u64,
    /// Breaches of the contract since the service started.
    pub violations: Violations,
    /// Broken pictures of the camera that were dropped.
    pub corrupt: u64,
    /// Frames that were dropped because they were late.
    pub late: u64,
    /// From the newest frame's time stamp to its publication.
    pub delay: Option<Duration>,
    /// Age of the newest frame.
    pub last_frame_age: Option<Duration>,
    /// Frames per second over the last two seconds.
    pub fps: f64,
    /// Who is on the bus.
    pub subscribers: Vec<SubscriberStats>,
    /// Elements from the source to the bus.
    pub chain: Vec<String>,
    /// Whether the CPU decodes or converts.
    pub software: bool,
    /// How the camera's pictures become NV12; none without a pipeline.
    pub plan: Option<Plan>,
    /// What the newest frame's capture time was taken from.
    pub clock: Option<FrameClock>,
    /// The session with a network camera; none without a pipeline.
    pub session: Option<SessionFacts>,
}

/// What a frame's capture time was taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameClock {
    /// Name of the clock, as the frame bus has it.
    pub source: &'static str,
    /// Bound of its error, where one is known.
    pub error: Option<Duration>,
    /// Nanoseconds that the camera's clock is ahead of this machine's, where it tells its time.
    pub camera_ahead_ns: Option<i64>,
}

/// The format of the frames that were seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeenFormat {
    /// Width and height in pixels.
    pub size: (u32, u32),
    /// Frames per second; none if variable.
    pub framerate: Option<Framerate>,
    /// What frames live in.
    pub memory: Memory,
    /// Counts formats of this session, from 1.
    pub epoch: u32,
}

/// What frames live in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    /// A dma-buf.
    DmaBuf,
    /// A memfd; development builds only.
    Memfd,
}

/// A subscriber as the producer's books see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriberStats {
    /// Its number.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// Its process.
    pub pid: i32,
    /// Its user.
    pub uid: u32,
    /// N of LATEST-N.
    pub window: u32,
    /// Frames that it may hold at once.
    pub hold: u32,
    /// Frames offered.
    pub offered: u64,
    /// Frames claimed.
    pub claimed: u64,
    /// Frames lost.
    pub lost: Lost,
    /// Frames held now.
    pub held: u32,
}
