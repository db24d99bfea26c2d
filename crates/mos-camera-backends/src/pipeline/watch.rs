//! Watches a running pipeline: its messages become events, its frames a count and a time.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use gst::prelude::*;
use mos_camera_core::{DeviceId, Fault, FaultKind};

use super::PipelineEvent;
use crate::backend::Backend;
use crate::posted;

/// Where events go.
type Events = Box<dyn Fn(PipelineEvent) + Send + Sync>;

/// State shared with GStreamer's threads. It holds no element, so nothing keeps a pipeline alive.
pub(super) struct Watch {
    backend: Arc<dyn Backend>,
    device: DeviceId,
    events: Events,
    run: Mutex<Run>,
    /// Whether the next frame is the first.
    fresh: AtomicBool,
    frames: AtomicU64,
    /// 0 before the first frame.
    last_frame_ns: AtomicU64,
}

/// How far a run has come.
#[derive(Debug)]
enum Run {
    /// Stopped, or not started yet.
    Down,
    /// Started; with the parting words of the peer, if it said any.
    Up { parting: Option<Fault> },
    /// It reported its end.
    Over,
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch")
            .field("device", &self.device)
            .field("run", &self.run)
            .finish_non_exhaustive()
    }
}

impl Watch {
    pub(super) fn new(backend: Arc<dyn Backend>, device: DeviceId, events: Events) -> Self {
        Self {
            backend,
            device,
            events,
            run: Mutex::new(Run::Down),
            fresh: AtomicBool::new(false),
            frames: AtomicU64::new(0),
            last_frame_ns: AtomicU64::new(0),
        }
    }

    /// Listens to the pipeline's messages and to the buffers that reach its sink.
    pub(super) fn install(self: &Arc<Self>, pipeline: &gst::Pipeline, sink: &gst::Element) {
        let watch = Arc::clone(self);
        if let Some(bus) = pipeline.bus() {
            bus.set_sync_handler(move |_, message| {
                watch.on_message(message);
                gst::BusSyncReply::Drop
            });
        }
        let watch = Arc::clone(self);
        if let Some(pad) = sink.static_pad("sink") {
            pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
                watch.on_frame();
                gst::PadProbeReturn::Ok
            });
        }
    }

    /// A run begins.
    pub(super) fn begin(&self) {
        self.frames.store(0, Ordering::Relaxed);
        self.last_frame_ns.store(0, Ordering::Relaxed);
        self.fresh.store(true, Ordering::Relaxed);
        *self.run() = Run::Up { parting: None };
    }

    /// The run is ended from outside: what comes now is not told.
    pub(super) fn end(&self) {
        *self.run() = Run::Down;
    }

    /// The run can't begin.
    pub(super) fn failed(&self, fault: Fault) {
        self.finish(|_| PipelineEvent::Fault(fault));
    }

    /// The pipeline did not start. Mostly an element has said why already.
    pub(super) fn failed_to_start(&self) {
        let (message, hint) = (
            "an element refused to start without saying why",
            "look at the log of the service: lines of the target `gstreamer` before this one may say more",
        );
        let fault = Fault::new(
            FaultKind::Internal,
            format!("{}: {message}", self.device),
            hint,
        );
        self.failed(fault);
    }

    fn gave_up(&self, code: &str, text: &str) -> Fault {
        Fault::new(
            FaultKind::Internal,
            format!(
                "{}: the source gave up without saying why ({code}: {text})",
                self.device
            ),
            "look at the log of the service: lines of the target `gstreamer` before this one may say more",
        )
    }

    /// Frames of this run, and the time of the newest.
    pub(super) fn progress(&self) -> (u64, Option<u64>) {
        let last = self.last_frame_ns.load(Ordering::Relaxed);
        (
            self.frames.load(Ordering::Relaxed),
            (last != 0).then_some(last),
        )
    }

    fn run(&self) -> std::sync::MutexGuard<'_, Run> {
        self.run.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn on_frame(&self) {
        self.last_frame_ns
            .store(mos_frame::monotonic_ns(), Ordering::Relaxed);
        self.frames.fetch_add(1, Ordering::Relaxed);
        if self.fresh.load(Ordering::Relaxed)
            && self.fresh.swap(false, Ordering::Relaxed)
            && self.is_up()
        {
            (self.events)(PipelineEvent::FirstFrame);
        }
    }

    fn is_up(&self) -> bool {
        matches!(*self.run(), Run::Up { .. })
    }

    fn on_message(&self, message: &gst::MessageRef) {
        match message.view() {
            gst::MessageView::Error(error) => {
                let fault = self.classify(error);
                self.finish(|_| PipelineEvent::Fault(fault));
            }
            gst::MessageView::Warning(warning) => self.on_warning(warning),
            gst::MessageView::Element(said) => {
                if let Some(fault) = self.backend.notice(&self.device, said) {
                    self.failed(fault);
                }
            }
            // An error comes first, where an element has a word for what happened (rtspsrc has none for some redirections).
            gst::MessageView::Progress(progress) => {
                if let Some((code, text)) = progress.structure().and_then(failed) {
                    let fault = self.gave_up(code, text);
                    self.finish(|_| PipelineEvent::Fault(fault));
                }
            }
            // A source that lost its peer warns and then ends the stream properly (rtspsrc over TCP).
            gst::MessageView::Eos(_) => {
                self.finish(|parting| parting.map_or(PipelineEvent::Eos, PipelineEvent::Fault));
            }
            _ => {}
        }
    }

    fn on_warning(&self, warning: &gst::message::Warning) {
        let message = as_error(warning);
        let gst::MessageView::Error(error) = message.view() else {
            return;
        };
        let fault = self.classify(error);
        tracing::debug!(device = %self.device, %fault, "the source warns");
        if let Run::Up { parting } = &mut *self.run() {
            *parting = Some(fault).filter(|fault| fault.kind == FaultKind::Disconnected);
        }
    }

    /// The fault of an error: what the message itself says, else what the transport makes of it.
    fn classify(&self, error: &gst::message::Error) -> Fault {
        posted::read(error).unwrap_or_else(|| self.backend.classify(&self.device, error))
    }

    /// Tells the end of the run, once.
    fn finish(&self, event: impl FnOnce(Option<Fault>) -> PipelineEvent) {
        let run = {
            let mut run = self.run();
            if !matches!(*run, Run::Up { .. }) {
                return;
            }
            std::mem::replace(&mut *run, Run::Over)
        };
        let Run::Up { parting } = run else { return };
        (self.events)(event(parting));
    }
}

/// A warning in the form of an error, so that the transport can tell what it means.
fn as_error(warning: &gst::message::Warning) -> gst::Message {
    let debug = warning
        .debug()
        .map(|debug| debug.to_string())
        .unwrap_or_default();
    let builder = gst::message::Error::builder_from_error(warning.error()).debug(&debug);
    match warning.src() {
        Some(src) => builder.src(src).build(),
        None => builder.build(),
    }
}

/// Code and text of a progress message that tells of a failure (`gst_message_new_progress`).
///
/// Read in place: `gst_message_parse_progress` gives copies, and the binding, which takes them for the message's own, leaves
/// two strings behind for each. An RTSP source sends a dozen messages at each connection.
fn failed(progress: &gst::StructureRef) -> Option<(&str, &str)> {
    let kind: gst::ProgressType = progress.get("type").ok()?;
    let text = |field| progress.get::<&str>(field).unwrap_or_default();
    (kind == gst::ProgressType::Error).then(|| (text("code"), text("text")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_read_from_the_message_itself() {
        gst::init().unwrap();
        for (kind, expected) in [
            (gst::ProgressType::Error, Some(("open", "no answer"))),
            (gst::ProgressType::Start, None),
            (gst::ProgressType::Complete, None),
            (gst::ProgressType::Canceled, None),
        ] {
            let message = gst::message::Progress::new(kind, "open", "no answer");
            assert_eq!(message.structure().and_then(failed), expected, "{kind:?}");
        }
    }
}
