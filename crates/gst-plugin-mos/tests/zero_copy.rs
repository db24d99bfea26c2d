//! A source without memory of its own writes straight into what subscribers get: the memory is the same, nothing is copied.
#![cfg(feature = "development")]
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod common;

use std::collections::HashMap;
use std::os::fd::BorrowedFd;

use common::{DEADLINE, Pipeline, buffers_at, next, subscribe};
use gst::prelude::*;
use gst_allocators::FdMemory;
use mos_frame::memory::{MemoryId, memory_id};
use mos_frame::{ClockSource, MemoryKind};
use mos_testkit::{TempBus, wait_until};

const FRAMES: usize = 40;

fn id_of(buffer: &gst::Buffer) -> MemoryId {
    let fd = buffer
        .peek_memory(0)
        .downcast_memory_ref::<FdMemory>()
        .expect("memory with a descriptor")
        .fd();
    // SAFETY: the buffer lives, and so does its memory's descriptor.
    memory_id(unsafe { BorrowedFd::borrow_raw(fd) }).unwrap()
}

#[test]
fn subscribers_get_the_memory_that_the_source_wrote() {
    let bus = TempBus::new().unwrap();
    let pipeline = Pipeline::new(&format!(
        "videotestsrc is-live=true ! video/x-raw,format=NV12,width=640,height=480,framerate=30/1 \
         ! mostestcounter ! mosnv12contract name=gate fallback=memfd ! tee ! mosframesink name=sink stream=front directory={}",
        bus.dir().display()
    ));
    let sent = buffers_at(&pipeline.element("gate").static_pad("sink").unwrap());
    pipeline.start();
    let mut subscriber = subscribe(&bus, "front", 4, 1);
    let mut written: HashMap<u64, MemoryId> = HashMap::new();
    let mut first = None;
    for _ in 0..FRAMES {
        let frame = next(&mut subscriber);
        let meta = *frame.meta();
        let pts = meta.pts_ns.unwrap();
        while !written.contains_key(&pts) {
            let buffer = sent
                .wait_for("the frame at the source", DEADLINE, |b| Some(b.clone()))
                .unwrap();
            written.insert(buffer.pts().unwrap().nseconds(), id_of(&buffer));
        }
        assert_eq!(memory_id(frame.fd(0).unwrap()).unwrap(), written[&pts]);
        assert_eq!(frame.format().memory, MemoryKind::Memfd);
        assert!(frame.format().read_only);
        assert_eq!(meta.clock_source, ClockSource::PipelineClock);
        assert!(
            frame.publish_ns() >= meta.capture_ns,
            "captured after it was published"
        );
        // The picture shows the frame's number at the source: 30 frames a second, the first when the source got going.
        let shown = gstmos::counter::read_frame(&frame)
            .unwrap()
            .expect("a readable counter");
        let (first_pts, first_shown) = *first.get_or_insert((pts, shown));
        let since_first = (pts - first_pts + 16_000_000) * 30 / 1_000_000_000;
        assert_eq!(u64::from(shown - first_shown), since_first);
    }
    let stats = pipeline.sink().stats().unwrap();
    assert_eq!((stats.copied, stats.dropped, stats.corrupted), (0, 0, 0));
    assert!(stats.bus.published >= FRAMES as u64);
    assert_eq!(stats.bus.subscribers[0].name, "test");
    let gate = pipeline.element("gate");
    assert_eq!(gate.property::<String>("memory"), "memfd");
    assert_eq!(gate.property::<u64>("violations"), 0);
    assert!(gate.property::<u64>("frames") >= FRAMES as u64);
}

#[test]
fn the_statistics_are_there_as_a_structure_too() {
    let bus = TempBus::new().unwrap();
    let pipeline = Pipeline::play(&format!(
        "videotestsrc is-live=true ! video/x-raw,format=NV12,width=320,height=240,framerate=60/1 \
         ! mosnv12contract ! mosframesink name=sink stream=front directory={}",
        bus.dir().display()
    ));
    let mut subscriber = subscribe(&bus, "front", 2, 1);
    next(&mut subscriber);
    let stats = pipeline.sink().property::<gst::Structure>("stats");
    assert!(stats.get::<u64>("published").unwrap() >= 1);
    assert_eq!(stats.get::<u64>("copied").unwrap(), 0);
    assert_eq!(stats.get::<u32>("epoch").unwrap(), 1);
    let subscribers = stats.get::<gst::Array>("subscribers").unwrap();
    let first = subscribers[0].get::<gst::Structure>().unwrap();
    assert_eq!(first.get::<String>("name").unwrap(), "test");
    assert_eq!(
        first.get::<i32>("pid").unwrap(),
        std::process::id().cast_signed()
    );
    assert!(first.get::<u64>("claimed").unwrap() >= 1);
    pipeline.0.set_state(gst::State::Null).unwrap();
    assert_eq!(pipeline.sink().stats(), None);
    assert_eq!(
        pipeline.sink().property::<Option<gst::Structure>>("stats"),
        None
    );
}

#[test]
fn the_sink_alone_offers_its_memory_too() {
    let bus = TempBus::new().unwrap();
    let pipeline = Pipeline::play(&format!(
        "videotestsrc is-live=true ! video/x-raw,format=NV12,width=322,height=242,framerate=60/1 \
         ! mosframesink name=sink stream=front expected-subscribers=2 directory={}",
        bus.dir().display()
    ));
    let mut subscriber = subscribe(&bus, "front", 2, 1);
    let frame = next(&mut subscriber);
    assert_eq!(
        (
            frame.format().width,
            frame.format().height,
            frame.format().framerate
        ),
        (322, 242, (60, 1))
    );
    assert_eq!(pipeline.sink().stats().unwrap().copied, 0);
}

#[test]
fn more_subscribers_than_the_buffers_carry_are_refused() {
    let bus = TempBus::new().unwrap();
    // The pool has 4 + 16 buffers, of which 4 are upstream's: a window of 2 and holds of 14 fill it.
    let pipeline = Pipeline::play(&format!(
        "videotestsrc is-live=true ! video/x-raw,format=NV12,width=320,height=240,framerate=60/1 \
         ! mosnv12contract min-buffers=4 ! mosframesink name=sink stream=front directory={}",
        bus.dir().display()
    ));
    // The pool shows with the first buffer; until then admission goes by the expected subscribers.
    wait_until("the first frame", DEADLINE, || {
        (pipeline.sink().stats()?.bus.published > 0).then_some(())
    })
    .unwrap();
    let mut greedy = subscribe(&bus, "front", 2, 14);
    next(&mut greedy);
    let options = mos_frame::SubscriberOptions {
        hold: 1,
        ..Default::default()
    };
    let refused = mos_frame::Subscriber::connect(&bus.socket("front"), options).unwrap_err();
    assert!(
        matches!(refused, mos_frame::ConnectError::Refused { .. }),
        "{refused}"
    );
    next(&mut greedy);
    assert_eq!(pipeline.sink().stats().unwrap().bus.refused, 1);
}
