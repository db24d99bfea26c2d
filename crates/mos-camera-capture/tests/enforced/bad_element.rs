//! An element that does what it must not: it maps the frames behind the gate.
//!
//! The service's pipelines are its own, so nothing can be put into them; a GStreamer tracer is called in their streaming
//! threads for every buffer that a pad pushes, as an element or a probe there would be.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard, OnceLock, PoisonError};

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;

/// Attempts that are still to be made, by name of the pipeline.
static TO_MAKE: LazyLock<Mutex<BTreeMap<String, u64>>> = LazyLock::new(Mutex::default);

/// Attempts that were not refused.
static SUCCEEDED: AtomicU64 = AtomicU64::new(0);

fn to_make() -> MutexGuard<'static, BTreeMap<String, u64>> {
    TO_MAKE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lets the next `frames` frames of a stream be mapped behind its gate, one attempt each.
pub(crate) fn map_next(stream: &str, frames: u64) {
    static TRACER: OnceLock<BadElement> = OnceLock::new();
    gst::init().unwrap();
    TRACER.get_or_init(glib::Object::new);
    to_make().insert(format!("capture-{stream}"), frames);
}

/// Attempts on a stream's frames that are still to be made.
pub(crate) fn left(stream: &str) -> u64 {
    let all = to_make();
    all.get(&format!("capture-{stream}")).copied().unwrap_or(0)
}

/// Attempts that were not refused, on whatever stream.
pub(crate) fn succeeded() -> u64 {
    SUCCEEDED.load(Ordering::Relaxed)
}

mod imp {
    use super::*;

    #[derive(Debug, Default)]
    pub(crate) struct BadElement;

    #[glib::object_subclass]
    impl ObjectSubclass for BadElement {
        const NAME: &'static str = "MosTestBadElement";
        type Type = super::BadElement;
        type ParentType = gst::Tracer;
    }

    impl ObjectImpl for BadElement {
        fn constructed(&self) {
            self.parent_constructed();
            self.register_hook(TracerHook::PadPushPre);
        }
    }

    impl GstObjectImpl for BadElement {}

    impl TracerImpl for BadElement {
        fn pad_push_pre(&self, _ts: u64, pad: &gst::Pad, buffer: &gst::Buffer) {
            if let Some(pipeline) = pipeline_of_gate(pad)
                && take_one(&pipeline)
            {
                let mapped = buffer.map_readable().is_ok();
                SUCCEEDED.fetch_add(u64::from(mapped), Ordering::Relaxed);
            }
        }
    }
}

glib::wrapper! {
    /// The tracer.
    pub(crate) struct BadElement(ObjectSubclass<imp::BadElement>) @extends gst::Tracer, gst::Object;
}

/// The name of the pipeline, if the pad is a gate's way out.
fn pipeline_of_gate(pad: &gst::Pad) -> Option<String> {
    let gate = pad.parent_element()?;
    let is_gate = gate.factory()?.name() == "mosnv12contract";
    is_gate.then(|| gate.parent().map(|pipeline| pipeline.name().to_string()))?
}

fn take_one(pipeline: &str) -> bool {
    let mut all = to_make();
    let Some(left) = all.get_mut(pipeline).filter(|left| **left > 0) else {
        return false;
    };
    *left -= 1;
    true
}
