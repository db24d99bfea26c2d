//! A source that is started before its stream: it waits without holding anything up, says so, and gives up in time.
#![cfg(feature = "development")]
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod common;

use common::{DEADLINE, Fault, Pipeline, buffers_at};
use gst::prelude::*;
use mos_testkit::TempBus;

fn consumer(bus: &TempBus, more: &str) -> Pipeline {
    Pipeline::new(&format!(
        "mosframesrc name=src stream=front directory={} {more} ! fakesink",
        bus.dir().display()
    ))
}

fn producer(bus: &TempBus, more: &str) -> Pipeline {
    Pipeline::play(&format!(
        "videotestsrc is-live=true ! video/x-raw,format=NV12,width=320,height=240,framerate=60/1 \
         ! mosnv12contract ! mosframesink name=sink stream=front directory={} {more}",
        bus.dir().display()
    ))
}

fn progress(pipeline: &Pipeline) -> gst::ProgressType {
    let deadline = gst::ClockTime::from_nseconds(DEADLINE.as_nanos() as u64);
    let bus = pipeline.0.bus().unwrap();
    let message = bus.timed_pop_filtered(deadline, &[gst::MessageType::Progress]);
    let message = message.expect("progress within the deadline");
    let gst::MessageView::Progress(progress) = message.view() else {
        unreachable!()
    };
    let (kind, code, _) = progress.get();
    assert_eq!(code, "connect");
    kind
}

#[test]
fn the_stream_may_come_later() {
    let bus = TempBus::new().unwrap();
    let consumer = consumer(&bus, "");
    let received = buffers_at(&consumer.element("src").static_pad("src").unwrap());
    consumer.start();
    assert_eq!(progress(&consumer), gst::ProgressType::Start);
    let _producer = producer(&bus, "");
    let first = received
        .wait_for("a frame", DEADLINE, |b| Some(b.clone()))
        .unwrap();
    assert!(first.flags().contains(gst::BufferFlags::DISCONT));
    assert_eq!(progress(&consumer), gst::ProgressType::Complete);
    assert!(consumer.pending_error().is_none());
}

#[test]
fn a_stream_that_does_not_come_is_an_error_in_the_end() {
    let bus = TempBus::new().unwrap();
    let consumer = consumer(&bus, "connect-timeout=200000000");
    consumer.start();
    assert_eq!(progress(&consumer), gst::ProgressType::Start);
    assert_eq!(progress(&consumer), gst::ProgressType::Error);
    let fault = consumer.fault();
    assert_eq!(
        (fault.kind.as_str(), fault.reason.as_str()),
        ("bus", "not-found")
    );
    assert!(fault.text.contains("front.sock"), "{}", fault.text);
}

#[test]
fn without_a_wait_the_start_fails() {
    let bus = TempBus::new().unwrap();
    let consumer = consumer(&bus, "connect-timeout=0");
    assert!(consumer.0.set_state(gst::State::Playing).is_err());
    assert_eq!(consumer.fault().reason, "not-found");
}

#[test]
fn a_waiting_source_follows_state_changes() {
    let bus = TempBus::new().unwrap();
    let consumer = consumer(&bus, "connect-timeout=18446744073709551615");
    for _ in 0..3 {
        consumer.start();
        assert_eq!(progress(&consumer), gst::ProgressType::Start);
        consumer.0.set_state(gst::State::Paused).unwrap();
        consumer.0.set_state(gst::State::Playing).unwrap();
        consumer.0.set_state(gst::State::Ready).unwrap();
        consumer.0.set_state(gst::State::Null).unwrap();
    }
}

#[test]
fn a_stream_that_comes_and_refuses_says_why() {
    let bus = TempBus::new().unwrap();
    // More held frames than the pool of the producer has.
    let consumer = consumer(&bus, "hold=64 connect-timeout=2000000000");
    consumer.start();
    assert_eq!(progress(&consumer), gst::ProgressType::Start);
    let _producer = producer(&bus, "expected-subscribers=1");
    let Fault { reason, text, .. } = consumer.fault();
    assert_eq!(reason, "refused", "{text}");
}
