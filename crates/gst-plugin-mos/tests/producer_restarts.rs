//! A producer goes away and comes back: the source waits for it and goes on, or gives up after its time-out.
#![cfg(feature = "development")]
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod common;

use common::{DEADLINE, Pipeline, buffers_at};
use gst::prelude::*;
use mos_testkit::TempBus;

fn producer(bus: &TempBus) -> Pipeline {
    Pipeline::play(&format!(
        "videotestsrc is-live=true ! video/x-raw,format=NV12,width=320,height=240,framerate=60/1 \
         ! mosnv12contract ! mosframesink name=sink stream=front directory={}",
        bus.dir().display()
    ))
}

fn consumer(bus: &TempBus, more: &str) -> Pipeline {
    Pipeline::new(&format!(
        "mosframesrc name=src stream=front directory={} {more} ! fakesink",
        bus.dir().display()
    ))
}

#[test]
fn the_source_finds_the_restarted_producer() {
    let bus = TempBus::new().unwrap();
    let first = producer(&bus);
    let consumer = consumer(&bus, "");
    let received = buffers_at(&consumer.element("src").static_pad("src").unwrap());
    consumer.start();
    received
        .wait_for("three frames", DEADLINE, |b| {
            (b.offset() >= 3).then_some(())
        })
        .unwrap();
    drop(first);
    received.drain();
    let _second = producer(&bus);
    // The sequence starts again with the session, and the first frame after it marks the gap.
    let back = received
        .wait_for("a frame of the new session", DEADLINE, |b| Some(b.clone()))
        .unwrap();
    assert!(back.flags().contains(gst::BufferFlags::DISCONT));
    assert!(consumer.pending_error().is_none());
}

#[test]
fn a_producer_that_stays_away_ends_the_wait() {
    let bus = TempBus::new().unwrap();
    let first = producer(&bus);
    let consumer = consumer(&bus, "timeout=2000000000");
    let received = buffers_at(&consumer.element("src").static_pad("src").unwrap());
    consumer.start();
    received
        .wait_for("a frame", DEADLINE, |_| Some(()))
        .unwrap();
    drop(first);
    let fault = consumer.fault();
    assert_eq!(
        (fault.kind.as_str(), fault.reason.as_str()),
        ("bus", "timeout")
    );
}

#[test]
fn a_source_that_waits_stops_at_once() {
    let bus = TempBus::new().unwrap();
    let first = producer(&bus);
    let consumer = consumer(&bus, "");
    let received = buffers_at(&consumer.element("src").static_pad("src").unwrap());
    consumer.start();
    received
        .wait_for("a frame", DEADLINE, |_| Some(()))
        .unwrap();
    drop(first);
    consumer.0.set_state(gst::State::Paused).unwrap();
    consumer.0.set_state(gst::State::Playing).unwrap();
    consumer.0.set_state(gst::State::Null).unwrap();
}
