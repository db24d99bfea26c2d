//! One camera, one pipeline: `<source> ! mosnv12contract ! tee ! mosframesink`.
//!
//! The tee has one branch today; encoders and inference take theirs from it without touching the camera.

mod descent;
mod stats;
mod watch;

use std::path::PathBuf;
use std::sync::Arc;

use gst::prelude::*;
use gstmos::mosframesink::{MosFrameSink, StreamAccess};
use gstmos::mosnv12contract::MosNv12Contract;
use mos_camera_core::{Budget, Fault, FaultKind, StreamConfig, StreamName};
use mos_frame::memory::MemoryId;

use crate::backend::{Backend, Source};
use crate::built::Built;
use crate::call::Call;
use crate::elements::make;
use crate::intact::Corrupt;
use crate::session::{Late, Session};
use descent::Descent;
pub use stats::{Memory, Picture, Stats};
use watch::Watch;

/// Where streams are published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BusSettings {
    /// The directory of the streams' sockets; the service owns it.
    pub directory: PathBuf,
}

/// What a pipeline reports by itself. After `Fault` or `Eos` nothing more comes until it is started again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PipelineEvent {
    /// Its first frame reached the bus's sink.
    FirstFrame,
    /// It can't go on. Only the first fault is told: what follows is mostly its echo.
    Fault(Fault),
    /// The stream ended properly.
    Eos,
}

/// A camera's pipeline. It goes down on drop.
#[derive(Debug)]
pub struct CapturePipeline {
    pipeline: gst::Pipeline,
    descent: Descent,
    gate: MosNv12Contract,
    sink: MosFrameSink,
    watch: Arc<Watch>,
    built: Built,
    corrupt: Corrupt,
    late: Late,
    session: Session,
    call: Option<Arc<dyn Call>>,
}

/// What graphs show.
const GRAPH: gst::DebugGraphDetails = gst::DebugGraphDetails::MEDIA_TYPE
    .union(gst::DebugGraphDetails::CAPS_DETAILS)
    .union(gst::DebugGraphDetails::STATES);

/// Buffers that a camera or decoder works on: two being filled, two on their way.
const IN_FLIGHT: u32 = 4;

impl CapturePipeline {
    /// Builds the pipeline of a stream; nothing is opened yet.
    ///
    /// `events` is called from GStreamer's threads, also while [`Self::start`] runs: it must not block and must not call
    /// back into the pipeline. Hand the event on to a channel.
    pub fn build(
        backend: &Arc<dyn Backend>,
        stream: &StreamName,
        config: &StreamConfig,
        bus: &BusSettings,
        events: impl Fn(PipelineEvent) + Send + Sync + 'static,
    ) -> Result<Self, Fault> {
        let source = backend.source(&config.device, config)?;
        let (gate, tee, sink) = (make_gate()?, make("tee")?, make_sink(stream, config, bus)?);
        gate.set_property("min-buffers", budget(config).buffers());
        if let Some(pool) = source.pool {
            sink.set_property("slots", pool.buffers);
            sink.set_property("in-flight", pool.in_flight);
        }
        let watch = Arc::new(Watch::new(
            Arc::clone(backend),
            config.device.clone(),
            Box::new(events),
        ));
        let pipeline = gst::Pipeline::with_name(&format!("capture-{stream}"));
        // The system clock is CLOCK_MONOTONIC, which the bus dates frames by, and it is never lost.
        pipeline.use_clock(Some(&gst::SystemClock::obtain()));
        assemble(
            &pipeline,
            &source,
            &[gate.upcast_ref(), &tee, sink.upcast_ref()],
        )
        .map_err(|error| cannot_assemble(stream, &error))?;
        watch.install(&pipeline, sink.upcast_ref());
        if let Some(origins) = source.origins {
            sink.set_origins(origins);
        }
        Ok(Self {
            descent: Descent::new(
                &source.bin,
                source.lent.then(|| sink.clone().upcast()),
                source.keep,
            ),
            pipeline,
            gate,
            sink,
            watch,
            built: source.built,
            corrupt: source.corrupt,
            late: source.late,
            session: source.session,
            call: source.call,
        })
    }

    /// Who may subscribe, from the next start on; at first only this user and root.
    pub fn set_access(&self, access: StreamAccess) {
        self.sink.set_access(access);
    }

    /// Starts it, again if it was stopped. Returns at once; failure comes as an event, like any later one.
    pub fn start(&self) {
        self.watch.begin();
        if self.descent.is_stuck() {
            self.watch.failed(stuck());
            return;
        }
        if let Err(fault) = self.descent.take_kept() {
            self.watch.failed(fault);
            return;
        }
        if let Some(Err(fault)) = self.call.as_ref().map(|call| call.begin()) {
            self.watch.failed(fault);
            return;
        }
        if self.pipeline.set_state(gst::State::Playing).is_err() {
            self.watch.failed_to_start();
        } else if let Some(call) = &self.call {
            call.begun();
        }
    }

    /// Takes it down and returns when its device is closed and its bus socket gone. Does no harm twice.
    ///
    /// Blocks for as long as the device or peer needs to close, mostly some milliseconds.
    pub fn stop(&self) {
        self.watch.end();
        if let Some(call) = &self.call {
            call.hang_up();
        }
        self.descent.go(&self.pipeline);
        if let Some(call) = &self.call {
            call.ended();
        }
    }

    /// What it did so far.
    pub fn stats(&self) -> Stats {
        stats::take(self)
    }

    /// Frames since the last start, and when the newest one reached the sink, in `CLOCK_MONOTONIC` nanoseconds; cheap.
    pub fn progress(&self) -> (u64, Option<u64>) {
        self.watch.progress()
    }

    /// The dma-bufs that its frames lived in last.
    pub fn memories(&self) -> Vec<MemoryId> {
        self.gate.memories()
    }

    /// Whether the CPU decodes or converts, and so maps buffers that frames live in.
    pub fn is_software(&self) -> bool {
        self.built.plan().software
    }

    /// The pipeline as a graph in Graphviz's language, without the values of properties, which hold secrets.
    pub fn dot(&self) -> String {
        self.pipeline.debug_to_dot_data(GRAPH).to_string()
    }

    /// Writes the graph to a file of its own, if `GST_DEBUG_DUMP_DOT_DIR` names a folder (GStreamer's debugging tools).
    pub fn dump_graph(&self, occasion: &str) {
        let name = format!("{}.{occasion}", self.pipeline.name());
        self.pipeline.debug_to_dot_file_with_ts(GRAPH, name);
    }
}

impl Drop for CapturePipeline {
    fn drop(&mut self) {
        self.stop();
    }
}

fn make_sink(
    stream: &StreamName,
    config: &StreamConfig,
    bus: &BusSettings,
) -> Result<MosFrameSink, Fault> {
    let sink = make("mosframesink")?;
    sink.set_property("stream", stream.as_str());
    sink.set_property("directory", bus.directory.to_string_lossy().as_ref());
    sink.set_property("in-flight", IN_FLIGHT);
    sink.set_property("window", Budget::WINDOW);
    sink.set_property("hold", Budget::HOLD);
    sink.set_property("expected-subscribers", config.subscribers());
    own(sink)
}

fn make_gate() -> Result<MosNv12Contract, Fault> {
    own(make("mosnv12contract")?)
}

/// An element of this build, as its own type.
fn own<E: IsA<gst::Element>>(element: gst::Element) -> Result<E, Fault> {
    element.downcast().map_err(|other| {
        let name = other.factory().map(|f| f.name()).unwrap_or_default();
        Fault::new(
            FaultKind::Internal,
            format!(
                "the element `{name}` of this process is a {}, not this build's",
                other.type_()
            ),
            "take other builds of libgstmos.so out of GST_PLUGIN_PATH",
        )
    })
}

fn budget(config: &StreamConfig) -> Budget {
    Budget::usual(IN_FLIGHT, config.subscribers())
}

/// Buffers that the stream's subscribers need, beside those that the camera works on.
pub(crate) fn subscribers_buffers(config: &StreamConfig) -> u32 {
    budget(config).buffers() - IN_FLIGHT
}

fn assemble(
    pipeline: &gst::Pipeline,
    source: &Source,
    rest: &[&gst::Element],
) -> Result<(), gst::glib::BoolError> {
    pipeline.add(&source.bin)?;
    pipeline.add_many(rest)?;
    gst::Element::link_many(
        [source.bin.upcast_ref()]
            .into_iter()
            .chain(rest.iter().copied()),
    )
}

fn stuck() -> Fault {
    Fault::new(
        FaultKind::Internal,
        "the camera's source did not let go of the camera when it was stopped, and can't be used again",
        "the service builds a new one by itself; if that fails too, restart what drives the camera",
    )
}

fn cannot_assemble(stream: &StreamName, error: &gst::glib::BoolError) -> Fault {
    Fault::new(
        FaultKind::Internal,
        format!("stream {stream}: can't put the pipeline together: {error}"),
        "the source's elements don't fit this build; list the camera's formats with the devices",
    )
}
