//! The resolution changes in mid-stream: subscribers get a new epoch, and what they hold stays valid.
#![cfg(feature = "development")]
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod common;

use common::{DEADLINE, Pipeline, buffers_at, next, subscribe};
use gst::prelude::*;
use mos_testkit::TempBus;

fn caps(width: i32, height: i32) -> gst::Caps {
    common::init();
    gst::Caps::builder("video/x-raw")
        .field("format", "NV12")
        .field("width", width)
        .field("height", height)
        .field("framerate", gst::Fraction::new(60, 1))
        .build()
}

fn producer(bus: &TempBus) -> Pipeline {
    Pipeline::play(&format!(
        "videotestsrc is-live=true ! capsfilter name=filter caps={} ! mostestcounter \
         ! mosnv12contract name=gate fallback=memfd ! tee ! mosframesink name=sink stream=front directory={}",
        caps(320, 240).to_string().replace(' ', ""),
        bus.dir().display()
    ))
}

#[test]
fn subscribers_move_to_the_new_epoch() {
    let bus = TempBus::new().unwrap();
    let pipeline = producer(&bus);
    let mut subscriber = subscribe(&bus, "front", 2, 2);
    let old = next(&mut subscriber);
    assert_eq!((old.format().width, old.epoch()), (320, 1));
    let shown = gstmos::counter::read_frame(&old).unwrap().unwrap();
    pipeline
        .element("filter")
        .set_property("caps", caps(640, 480));
    let new = loop {
        let frame = next(&mut subscriber);
        if frame.epoch() != 1 {
            break frame;
        }
    };
    assert_eq!(
        (new.format().width, new.format().height, new.epoch()),
        (640, 480, 2)
    );
    assert!(gstmos::counter::read_frame(&new).unwrap().unwrap() > shown);
    assert!(old.is_valid());
    assert_eq!(
        gstmos::counter::read_frame(&old).unwrap(),
        Some(shown),
        "a held frame of the old epoch changed"
    );
    assert_eq!(
        pipeline.element("gate").property::<String>("memory"),
        "memfd"
    );
    assert_eq!(pipeline.sink().stats().unwrap().copied, 0);
}

#[test]
fn the_source_renegotiates() {
    let bus = TempBus::new().unwrap();
    let pipeline = producer(&bus);
    let consumer = Pipeline::new(&format!(
        "mosframesrc name=src stream=front directory={} ! videoconvert ! video/x-raw,format=RGB ! fakesink name=out",
        bus.dir().display()
    ));
    let pad = consumer.element("out").static_pad("sink").unwrap();
    let received = buffers_at(&pad);
    consumer.start();
    let expect = |width: usize, height: usize| {
        let size = width * height * 3;
        received
            .wait_for("a picture of the size", DEADLINE, |b| {
                (b.size() == size).then_some(())
            })
            .unwrap();
    };
    expect(320, 240);
    pipeline
        .element("filter")
        .set_property("caps", caps(640, 480));
    expect(640, 480);
    assert!(consumer.pending_error().is_none());
}
