//! What a pipeline did so far.

use std::time::Duration;

use gst::prelude::*;
use gstmos::mosframesink::SinkStats;
use gstmos::mosnv12contract::MosNv12Contract;
use mos_camera_core::plan::Plan;
use mos_camera_core::{Framerate, SessionFacts};

use super::CapturePipeline;

/// Figures of a pipeline.
#[derive(Debug, Clone, PartialEq)]
pub struct Stats {
    /// Frames since the last start.
    pub frames: u64,
    /// When the newest frame reached the sink, in `CLOCK_MONOTONIC` nanoseconds.
    pub last_frame_ns: Option<u64>,
    /// What flows, once something flows.
    pub picture: Option<Picture>,
    /// What the frames' memory is, as the gate found it.
    pub memory: Memory,
    /// Caps and frames that broke the contract and were refused.
    pub refused_frames: u64,
    /// Attempts to map or copy frames behind the gate, which were refused.
    pub refused_maps: u64,
    /// The last of them: the thread and what it wanted, such as `queue0:src: read`.
    pub last_map: Option<String>,
    /// Frames that were dropped before the gate because they were broken.
    pub corrupt: u64,
    /// Frames that were dropped because they were late.
    pub late: u64,
    /// From the newest frame's time stamp, which is its capture or arrival, to its publication; `None` where that is not known.
    pub delay: Option<Duration>,
    /// What was published and to whom; `None` while stopped.
    pub bus: Option<SinkStats>,
    /// Factory names of all elements, from the source to the sink.
    pub chain: Vec<String>,
    /// The plan that the source was built by.
    pub plan: Plan,
    /// The session with a network camera.
    pub session: Option<SessionFacts>,
}

/// Shape of the frames, which are NV12.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Picture {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Frames per second, if the source knows.
    pub framerate: Option<Framerate>,
}

/// What backs frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    /// Nothing flowed yet.
    Unknown,
    /// dma-bufs: the contract.
    DmaBuf,
    /// Shared memory (development builds).
    Memfd,
    /// Process memory, which has to be copied (development builds).
    System,
}

impl Memory {
    fn from_name(name: &str) -> Self {
        match name {
            "dmabuf" => Self::DmaBuf,
            "memfd" => Self::Memfd,
            "system" => Self::System,
            _ => Self::Unknown,
        }
    }
}

pub(super) fn take(pipeline: &CapturePipeline) -> Stats {
    let (frames, last_frame_ns) = pipeline.progress();
    let bus = pipeline.sink.stats();
    Stats {
        frames,
        last_frame_ns,
        picture: pipeline
            .sink
            .static_pad("sink")
            .and_then(|pad| picture(&pad)),
        memory: Memory::from_name(&memory_name(&pipeline.gate)),
        refused_frames: pipeline.gate.property("violations"),
        refused_maps: pipeline.gate.property("refused-maps"),
        last_map: pipeline.gate.property("last-map"),
        corrupt: pipeline.corrupt.count(),
        late: pipeline.late.count(),
        delay: bus
            .as_ref()
            .and_then(|bus| Some(Duration::from_nanos(bus.clock?.delay_ns))),
        bus,
        chain: chain(pipeline),
        plan: pipeline.built.plan(),
        session: pipeline.session.facts(),
    }
}

/// The source's elements, and those that are the same for all.
fn chain(pipeline: &CapturePipeline) -> Vec<String> {
    let later = ["mosnv12contract", "tee", "mosframesink"].map(str::to_owned);
    pipeline.built.chain().into_iter().chain(later).collect()
}

fn memory_name(gate: &MosNv12Contract) -> String {
    gate.property::<Option<String>>("memory")
        .unwrap_or_default()
}

fn picture(pad: &gst::Pad) -> Option<Picture> {
    let caps = pad.current_caps()?;
    let structure = caps.structure(0)?;
    let side = |name| u32::try_from(structure.get::<i32>(name).ok()?).ok();
    let rate = structure.get::<gst::Fraction>("framerate").ok();
    Some(Picture {
        width: side("width")?,
        height: side("height")?,
        framerate: rate.and_then(|r| {
            Framerate::new(
                u32::try_from(r.numer()).ok()?,
                u32::try_from(r.denom()).ok()?,
            )
        }),
    })
}
