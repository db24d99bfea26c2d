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

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// A live source of 30 pictures a second, every 15th a key picture, before something that takes `cost` for each: the
    /// longest age of those that come out of it within four seconds once two are over, and how many were dropped.
    fn run(cost: Duration) -> (Duration, u64, u64) {
        let make = |name| crate::elements::make(name).unwrap();
        let (source, queue, slow, end) = (
            make("videotestsrc"),
            make("queue"),
            make("identity"),
            make("fakesink"),
        );
        source.set_property("is-live", true);
        slow.set_property("sleep-time", u32::try_from(cost.as_micros()).unwrap());
        end.set_property("sync", false);
        let late = Late::default();
        let mut number = 0;
        let flagged = Mutex::new(move |buffer: &mut gst::BufferRef| {
            if number % 15 != 0 {
                buffer.set_flags(gst::BufferFlags::DELTA_UNIT);
            }
            number += 1;
        });
        let pad = source.static_pad("src").unwrap();
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
            if let Some(buffer) = info.buffer_mut() {
                flagged.lock().unwrap()(buffer.make_mut());
            }
            gst::PadProbeReturn::Ok
        });
        install(&queue, &late);
        let pipeline = gst::Pipeline::new();
        let all = [&source, &queue, &slow, &end];
        pipeline.add_many(all).unwrap();
        gst::Element::link_many(all).unwrap();
        let (sender, ages) = mpsc::channel();
        let sink = end.static_pad("sink").unwrap();
        sink.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
            let stamp = info.buffer().and_then(|buffer| buffer.pts());
            let now = pad
                .parent_element()
                .and_then(|sink| sink.current_running_time());
            if let Some((now, stamp)) = now.zip(stamp) {
                // The test is over when nobody listens.
                let _over = sender.send((now, now.saturating_sub(stamp)));
            }
            gst::PadProbeReturn::Ok
        });
        pipeline.set_state(gst::State::Playing).unwrap();
        let (mut oldest, mut count) = (Duration::ZERO, 0);
        while let Ok((now, age)) = ages.recv_timeout(Duration::from_mins(1)) {
            if now > gst::ClockTime::from_seconds(6) {
                break;
            }
            if now > gst::ClockTime::from_seconds(2) {
                oldest = oldest.max(age.into());
                count += 1;
            }
        }
        pipeline.set_state(gst::State::Null).unwrap();
        (oldest, count, late.count())
    }

    #[test]
    fn behind_a_decoder_that_is_too_slow_pictures_do_not_grow_old() {
        gst::init().unwrap();
        let (oldest, count, late) = run(Duration::from_millis(60));
        // Without the bound it would be two seconds by then, and growing.
        assert!(oldest < Duration::from_millis(1200), "{oldest:?}");
        assert!(count > 20 && late > 20, "{count} came, {late} were dropped");
    }

    #[test]
    fn a_decoder_that_keeps_up_gets_everything() {
        gst::init().unwrap();
        let (_, count, late) = run(Duration::from_millis(1));
        assert!(count > 60 && late == 0, "{count} came, {late} were dropped");
    }
}
