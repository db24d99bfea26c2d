//! A frame stays leased until the last user of its memory downstream lets go; a consumer that keeps too many waits.
#![cfg(feature = "development")]
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod common;

use common::{DEADLINE, Pipeline, buffers_at};
use gst::prelude::*;
use mos_testkit::{TempBus, wait_until};

struct Setup {
    producer: Pipeline,
    consumer: Pipeline,
    received: mos_testkit::Events<gst::Buffer>,
    _bus: TempBus,
}

fn setup(hold: u32) -> Setup {
    let bus = TempBus::new().unwrap();
    let directory = bus.dir().display();
    let producer = Pipeline::play(&format!(
        "videotestsrc is-live=true ! video/x-raw,format=NV12,width=320,height=240,framerate=60/1 \
         ! mosnv12contract ! mosframesink name=sink stream=front directory={directory}"
    ));
    let consumer = Pipeline::new(&format!(
        "mosframesrc name=src stream=front directory={directory} hold={hold} ! fakesink enable-last-sample=false"
    ));
    let received = buffers_at(&consumer.element("src").static_pad("src").unwrap());
    consumer.start();
    Setup {
        producer,
        consumer,
        received,
        _bus: bus,
    }
}

impl Setup {
    fn take(&self) -> gst::Buffer {
        self.received
            .wait_for("a buffer", DEADLINE, |buffer| Some(buffer.clone()))
            .unwrap()
    }

    fn held(&self) -> u32 {
        self.producer.sink().stats().unwrap().bus.subscribers[0]
            .counters
            .held
    }

    fn published(&self) -> u64 {
        self.producer.sink().stats().unwrap().bus.published
    }
}

#[test]
fn the_lease_follows_the_memory() {
    let setup = setup(1);
    let buffer = setup.take();
    // With one frame allowed and one in hand nothing more can be claimed, so this copy is all that keeps the lease.
    let shallow = buffer.copy();
    drop(buffer);
    let before = setup.published();
    wait_until("frames that pass by", DEADLINE, || {
        (setup.published() > before + 10).then_some(())
    })
    .unwrap();
    assert_eq!(setup.held(), 1);
    assert!(setup.received.drain().is_empty(), "a frame beyond the hold");
    let first = shallow.offset();
    drop(shallow);
    let next = setup.take();
    assert!(next.offset() > first + 1, "{} after {first}", next.offset());
    assert!(
        next.flags().contains(gst::BufferFlags::DISCONT),
        "a gap without DISCONT"
    );
    assert!(setup.consumer.pending_error().is_none());
}

#[test]
fn a_consumer_that_keeps_frames_never_stalls_the_producer() {
    let setup = setup(3);
    let kept: Vec<_> = (0..3).map(|_| setup.take()).collect();
    let before = setup.published();
    wait_until("more frames than the pool has buffers", DEADLINE, || {
        (setup.published() > before + 60).then_some(())
    })
    .unwrap();
    assert_eq!(setup.held(), 3);
    assert_eq!(setup.producer.sink().stats().unwrap().dropped, 0);
    assert!(setup.received.drain().is_empty(), "a frame beyond the hold");
    drop(kept);
    setup.take();
    assert!(setup.consumer.pending_error().is_none() && setup.producer.pending_error().is_none());
}

#[test]
fn a_waiting_source_stops_at_once() {
    let setup = setup(1);
    let _kept = setup.take();
    let before = setup.published();
    wait_until("frames that pass by", DEADLINE, || {
        (setup.published() > before + 3).then_some(())
    })
    .unwrap();
    setup.consumer.0.set_state(gst::State::Null).unwrap();
}

#[test]
fn buffers_can_be_read_and_are_copied_for_writing() {
    let setup = setup(4);
    let mut buffer = setup.take();
    let id = |buffer: &gst::Buffer| buffer.peek_memory(0).as_ptr();
    let (shared, first) = (id(&buffer), buffer.map_readable().unwrap()[0]);
    let writable = buffer.make_mut();
    writable.map_writable().unwrap()[0] = !first;
    assert_ne!(
        id(&buffer),
        shared,
        "written in place: other subscribers would see it"
    );
    assert_eq!(buffer.map_readable().unwrap()[0], !first);
}
