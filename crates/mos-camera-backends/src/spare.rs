//! A queue before the decoder that stays short: see [`mos_camera_core::backlog`].

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gst::prelude::*;
use mos_camera_core::backlog::Backlog;

use crate::session::Late;

/// Between what gives whole pictures of a bitstream and the queue that the decoder takes them from, which has to be
/// unbounded itself so that it never blocks the network's thread.
///
/// What is dropped is counted, and a key picture is asked for, which cameras with RTCP feedback (RFC 4585) send at once.
pub(crate) fn install(queue: &gst::Element, late: &Late) {
    let (Some(sink), Some(src)) = (queue.static_pad("sink"), queue.static_pad("src")) else {
        return;
    };
    for limit in ["max-size-buffers", "max-size-bytes"] {
        queue.set_property(limit, 0u32);
    }
    queue.set_property("max-size-time", 0u64);
    let backlog = Shared::default();
    let (taken, late) = (backlog.clone(), late.clone());
    let whole = gst::PadProbeType::BUFFER | gst::PadProbeType::EVENT_FLUSH;
    sink.add_probe(whole, move |pad, info| {
        let Some(buffer) = info.buffer() else {
            // Events of flushing are the only others here.
            *backlog.lock() = Backlog::default();
            return gst::PadProbeReturn::Ok;
        };
        let key = !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT);
        if backlog.lock().admit(now(), key) {
            return gst::PadProbeReturn::Ok;
        }
        if late.count_one() {
            pad.push_event(
                gst_video::UpstreamForceKeyUnitEvent::builder()
                    .all_headers(true)
                    .build(),
            );
        }
        gst::PadProbeReturn::Drop
    });
    src.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
        taken.lock().take(now());
        gst::PadProbeReturn::Ok
    });
}

#[derive(Debug, Clone, Default)]
struct Shared(Arc<Mutex<Backlog>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Backlog> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn now() -> Duration {
    Duration::from_nanos(mos_frame::monotonic_ns())
}
