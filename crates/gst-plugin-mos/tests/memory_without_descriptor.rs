//! Frames in plain memory are copied in a development build, and counted; damaged ones are never published.
#![cfg(feature = "development")]
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod common;

use common::{DEADLINE, Pipeline, next, subscribe};
use gst::prelude::*;
use mos_testkit::{TempBus, wait_until};

/// `identity drop-allocation=true` hides the bus's pool from the source.
fn producer(bus: &TempBus, more: &str) -> Pipeline {
    Pipeline::new(&format!(
        "videotestsrc is-live=true ! video/x-raw,format=NV12,width=322,height=240,framerate=60/1 ! mostestcounter \
         ! identity name=id drop-allocation=true ! mosnv12contract name=gate ! tee \
         ! mosframesink name=sink stream=front directory={} {more}",
        bus.dir().display()
    ))
}

#[test]
fn the_copy_is_right_counted_and_read_only() {
    let bus = TempBus::new().unwrap();
    let pipeline = producer(&bus, "");
    pipeline.start();
    let mut subscriber = subscribe(&bus, "front", 2, 1);
    let mut last = None;
    for _ in 0..10 {
        let frame = next(&mut subscriber);
        assert!(frame.format().read_only);
        let shown = gstmos::counter::read_frame(&frame)
            .unwrap()
            .expect("a readable counter");
        assert!(last.is_none_or(|last| shown > last));
        last = Some(shown);
    }
    let stats = pipeline.sink().stats().unwrap();
    assert!(
        stats.copied >= 10 && stats.copied >= stats.bus.published,
        "{stats:?}"
    );
    assert_eq!(
        pipeline.element("gate").property::<String>("memory"),
        "system"
    );
}

#[test]
fn when_all_copies_are_held_frames_are_dropped_and_the_stream_goes_on() {
    let bus = TempBus::new().unwrap();
    // Five slots, one of them in flight: a window of two and two holds is all that fits.
    let pipeline = producer(&bus, "slots=5 in-flight=1");
    pipeline.start();
    let mut subscriber = subscribe(&bus, "front", 2, 2);
    let _kept = [next(&mut subscriber), next(&mut subscriber)];
    let stats = || pipeline.sink().stats().unwrap();
    let before = stats().bus.published;
    wait_until("frames beside the held ones", DEADLINE, || {
        (stats().bus.published > before + 20).then_some(())
    })
    .unwrap();
    assert!(pipeline.pending_error().is_none());
    assert_eq!(stats().dropped, 0, "the budget does not hold");
}

#[test]
fn damaged_frames_are_counted_and_left_out() {
    let bus = TempBus::new().unwrap();
    let pipeline = producer(&bus, "");
    let pad = pipeline.element("id").static_pad("src").unwrap();
    pad.add_probe(gst::PadProbeType::BUFFER, |_, info| {
        let Some(buffer) = info.buffer_mut() else {
            return gst::PadProbeReturn::Ok;
        };
        if buffer.offset() % 2 == 1 {
            buffer.make_mut().set_flags(gst::BufferFlags::CORRUPTED);
        }
        gst::PadProbeReturn::Ok
    });
    pipeline.start();
    let mut subscriber = subscribe(&bus, "front", 4, 1);
    for _ in 0..10 {
        let shown = gstmos::counter::read_frame(&next(&mut subscriber))
            .unwrap()
            .unwrap();
        assert_eq!(shown % 2, 0, "damaged frame {shown} was published");
    }
    assert!(pipeline.sink().stats().unwrap().corrupted >= 9);
}
