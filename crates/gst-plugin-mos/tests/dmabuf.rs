//! Real dma-bufs (udmabuf) through gate, bus and source: labelled by the contract, and one memory from end to end.
//!
//! Needs a kernel with `/dev/udmabuf`, such as that of the camera lab.
#![cfg(feature = "development")]
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod common;

use std::os::fd::{AsFd, BorrowedFd, IntoRawFd, OwnedFd};

use common::{DEADLINE, Pipeline, buffers_at, next, subscribe, time_segment};
use gst::prelude::*;
use gst_allocators::prelude::*;
use gst_allocators::{DmaBufAllocator, DmaBufMemory, FdMemory};
use gst_video::{VideoFormat, VideoFrameFlags, VideoMeta};
use gstmos::mosnv12contract::MosNv12Contract;
use mos_frame::MemoryKind;
use mos_frame::allocation::Udmabuf;
use mos_frame::mappings::{DmabufMapping, mapped_dmabufs};
use mos_frame::memory::{MemoryId, memory_id};
use mos_testkit::TempBus;

const WIDTH: usize = 320;
const HEIGHT: usize = 240;
/// Padded rows and a gap before chroma, as hardware has them.
const STRIDE: usize = 512;
const CHROMA: usize = STRIDE * 256;
const SIZE: usize = (CHROMA + STRIDE * HEIGHT / 2).next_multiple_of(4096);

/// A dma-buf with a picture that shows `number`.
fn dmabuf(device: &Udmabuf, number: u32) -> OwnedFd {
    let fd = device.allocate(SIZE as u64).unwrap();
    let block = memory(fd.try_clone().unwrap());
    let mut buffer = gst::Buffer::from(block);
    let mut map = buffer.make_mut().map_writable().unwrap();
    map[..STRIDE * HEIGHT].fill(128);
    gstmos::counter::write(&mut map, STRIDE, WIDTH, HEIGHT, number).unwrap();
    drop(map);
    fd
}

fn memory(fd: OwnedFd) -> gst::Memory {
    // SAFETY: the descriptor is handed over.
    unsafe {
        DmaBufAllocator::new()
            .alloc_dmabuf(fd.into_raw_fd(), SIZE)
            .unwrap()
    }
}

fn buffer(fd: OwnedFd) -> gst::Buffer {
    let mut buffer = gst::Buffer::from(memory(fd));
    let (none, format) = (VideoFrameFlags::empty(), VideoFormat::Nv12);
    let (offsets, strides) = ([0, CHROMA], [STRIDE as i32; 2]);
    VideoMeta::add_full(
        buffer.make_mut(),
        none,
        format,
        WIDTH as u32,
        HEIGHT as u32,
        &offsets,
        &strides,
    )
    .unwrap();
    buffer
}

fn id_of(buffer: &gst::Buffer) -> MemoryId {
    let fd = buffer
        .peek_memory(0)
        .downcast_memory_ref::<FdMemory>()
        .unwrap()
        .fd();
    // SAFETY: the buffer lives, and so does its memory's descriptor.
    memory_id(unsafe { BorrowedFd::borrow_raw(fd) }).unwrap()
}

/// A producer that is fed by hand.
struct Producer {
    feed: gst::Pad,
    pipeline: Pipeline,
}

impl Producer {
    fn new(bus: &TempBus, caps: &str) -> Self {
        Self::with(bus, caps, "name=gate", "")
    }

    /// With these properties of the gate, and this beside the sink.
    fn with(bus: &TempBus, caps: &str, gate: &str, beside: &str) -> Self {
        let pipeline = Pipeline::new(&format!(
            "mosnv12contract {gate} ! tee name=t ! mosframesink name=sink stream=front directory={} {beside}",
            bus.dir().display()
        ));
        let feed = gst::Pad::builder(gst::PadDirection::Src)
            .name("feed")
            .build();
        feed.link(&pipeline.element("gate").static_pad("sink").unwrap())
            .unwrap();
        feed.set_active(true).unwrap();
        pipeline.start();
        feed.push_event(gst::event::StreamStart::new("test"));
        feed.push_event(gst::event::Caps::new(&caps.parse::<gst::Caps>().unwrap()));
        feed.push_event(gst::event::Segment::new(&time_segment()));
        Self { feed, pipeline }
    }

    fn out_caps(&self) -> gst::Caps {
        self.pipeline
            .element("gate")
            .static_pad("src")
            .unwrap()
            .current_caps()
            .unwrap()
    }
}

/// The device, or a loud skip.
fn device(test: &str) -> Option<Udmabuf> {
    match Udmabuf::open() {
        Ok(device) => Some(device),
        Err(why) => {
            assert!(
                std::env::var_os("MOS_DMABUF_REQUIRED").is_none(),
                "no /dev/udmabuf: {why}"
            );
            mos_testkit::skip::skip(test, &format!("no /dev/udmabuf: {why}")).unwrap();
            None
        }
    }
}

const FORMS: [&str; 4] = [
    "video/x-raw,format=NV12",
    "video/x-raw(memory:DMABuf),format=NV12",
    "video/x-raw(memory:DMABuf),format=DMA_DRM,drm-format=NV12",
    "video/x-raw(memory:GBM),format=NV12",
];

#[test]
fn every_form_of_a_dma_buf_leaves_as_the_contract_and_reaches_subscribers_as_it_is() {
    let Some(device) = device("every_form_of_a_dma_buf") else {
        return;
    };
    for (number, form) in (1..).zip(FORMS) {
        let bus = TempBus::new().unwrap();
        let producer = Producer::new(
            &bus,
            &format!("{form},width={WIDTH},height={HEIGHT},framerate=30/1"),
        );
        let mut subscriber = subscribe(&bus, "front", 2, 1);
        let fd = dmabuf(&device, number);
        let identity = memory_id(fd.as_fd()).unwrap();
        producer.feed.push(buffer(fd)).unwrap();
        let contract = format!(
            "video/x-raw(memory:DMABuf),format=NV12,width={WIDTH},height={HEIGHT},framerate=30/1"
        );
        assert_eq!(
            producer.out_caps(),
            contract.parse::<gst::Caps>().unwrap(),
            "{form}"
        );
        let frame = next(&mut subscriber);
        assert_eq!(frame.format().memory, MemoryKind::DmaBuf);
        assert!(!frame.format().read_only, "udmabuf can't promise that");
        assert_eq!(memory_id(frame.fd(0).unwrap()).unwrap(), identity);
        assert_eq!(frame.layout().planes[1].offset, CHROMA as u64);
        assert_eq!(gstmos::counter::read_frame(&frame).unwrap(), Some(number));
        assert_eq!(producer.pipeline.sink().stats().unwrap().copied, 0);
        assert_eq!(
            producer
                .pipeline
                .element("gate")
                .property::<String>("memory"),
            "dmabuf"
        );
    }
}

#[test]
fn the_source_hands_dma_bufs_on() {
    let Some(device) = device("the_source_hands_dma_bufs_on") else {
        return;
    };
    let bus = TempBus::new().unwrap();
    let producer = Producer::new(
        &bus,
        &format!("{},width={WIDTH},height={HEIGHT},framerate=30/1", FORMS[0]),
    );
    let fd = dmabuf(&device, 7);
    let identity = memory_id(fd.as_fd()).unwrap();
    producer.feed.push(buffer(fd)).unwrap();
    let consumer = Pipeline::new(&format!(
        "mosframesrc name=src stream=front directory={} ! fakesink",
        bus.dir().display()
    ));
    let pad = consumer.element("src").static_pad("src").unwrap();
    let received = buffers_at(&pad);
    consumer.start();
    let got = received
        .wait_for("the retained frame", DEADLINE, |b| Some(b.clone()))
        .unwrap();
    assert!(
        pad.current_caps()
            .unwrap()
            .features(0)
            .unwrap()
            .contains("memory:DMABuf")
    );
    assert!(got.peek_memory(0).is_memory_type::<DmaBufMemory>());
    assert_eq!(id_of(&got), identity);
    let meta = got.meta::<VideoMeta>().unwrap();
    assert_eq!(
        (meta.offset(), meta.stride()),
        (&[0, CHROMA][..], &[STRIDE as i32; 2][..])
    );
}

#[test]
fn an_element_that_maps_frames_gets_them_as_plain_video_in_a_development_build() {
    let Some(device) = device("an_element_that_maps_frames") else {
        return;
    };
    let bus = TempBus::new().unwrap();
    let producer = Producer::new(
        &bus,
        &format!("{},width={WIDTH},height={HEIGHT},framerate=30/1", FORMS[0]),
    );
    producer.feed.push(buffer(dmabuf(&device, 9))).unwrap();
    let consumer = Pipeline::new(&format!(
        "mosframesrc stream=front directory={} ! videoconvert ! video/x-raw,format=GRAY8 ! fakesink name=out",
        bus.dir().display()
    ));
    let received = buffers_at(&consumer.element("out").static_pad("sink").unwrap());
    consumer.start();
    let gray = received
        .wait_for("the converted frame", DEADLINE, |b| Some(b.clone()))
        .unwrap();
    let map = gray.map_readable().unwrap();
    assert_eq!(gstmos::counter::read(&map, WIDTH, WIDTH, HEIGHT), Some(9));
}

fn caps() -> String {
    format!("{},width={WIDTH},height={HEIGHT},framerate=30/1", FORMS[0])
}

#[test]
fn a_sealed_frame_goes_to_subscribers_but_is_not_mapped() {
    let Some(device) = device("a_sealed_frame") else {
        return;
    };
    let bus = TempBus::new().unwrap();
    // GStreamer's own element that takes any caps and maps every buffer.
    let beside = "t. ! fakesink name=mapper dump=true async=false sync=false";
    let producer = Producer::with(&bus, &caps(), "name=gate seal=true", beside);
    let gate = producer.pipeline.element("gate");
    let sent = buffers_at(&gate.static_pad("src").unwrap());
    let mut subscriber = subscribe(&bus, "front", 2, 1);
    for number in 1..=5_u32 {
        let fd = dmabuf(&device, number);
        let identity = memory_id(fd.as_fd()).unwrap();
        producer.feed.push(buffer(fd)).unwrap();
        let sealed = sent.drain().pop().unwrap();
        assert!(sealed.peek_memory(0).is_memory_type::<DmaBufMemory>());
        assert_eq!(id_of(&sealed), identity);
        let frame = next(&mut subscriber);
        assert_eq!(frame.format().memory, MemoryKind::DmaBuf);
        assert_eq!(memory_id(frame.fd(0).unwrap()).unwrap(), identity);
        assert_eq!(gstmos::counter::read_frame(&frame).unwrap(), Some(number));
        // The element beside tried once, and we try twice.
        let part = sealed.peek_memory(0).share(0..4096);
        assert!(sealed.map_readable().is_err() && part.map_readable().is_err());
        assert_eq!(gate.property::<u64>("refused-maps"), u64::from(number) * 3);
        let gate = gate.downcast_ref::<MosNv12Contract>().unwrap();
        assert_eq!(gate.memories().len(), number as usize);
        assert!(gate.memories().contains(&identity));
    }
    assert!(gate.property::<String>("last-map").ends_with(": read"));
    assert_eq!(gate.property::<u64>("violations"), 0);
    let stats = producer.pipeline.sink().stats().unwrap();
    assert_eq!((stats.copied, stats.dropped), (0, 0));
}

#[test]
fn both_planes_are_sealed_where_each_has_a_memory() {
    let Some(device) = device("both_planes_are_sealed") else {
        return;
    };
    let bus = TempBus::new().unwrap();
    let producer = Producer::with(&bus, &caps(), "name=gate seal=true", "");
    let gate = producer.pipeline.element("gate");
    let sent = buffers_at(&gate.static_pad("src").unwrap());
    let mut subscriber = subscribe(&bus, "front", 2, 1);
    let fds = [dmabuf(&device, 1), dmabuf(&device, 2)];
    let identities = fds.each_ref().map(|fd| memory_id(fd.as_fd()).unwrap());
    let mut buffer: gst::Buffer = fds.into_iter().map(memory).collect();
    let (none, format) = (VideoFrameFlags::empty(), VideoFormat::Nv12);
    let (offsets, strides) = ([0, SIZE], [STRIDE as i32; 2]);
    let (width, height) = (WIDTH as u32, HEIGHT as u32);
    VideoMeta::add_full(
        buffer.make_mut(),
        none,
        format,
        width,
        height,
        &offsets,
        &strides,
    )
    .unwrap();
    producer.feed.push(buffer).unwrap();
    let frame = next(&mut subscriber);
    let received: Vec<_> = frame.fds().map(|fd| memory_id(fd).unwrap()).collect();
    assert_eq!(received, identities);
    let sealed = sent.drain().pop().unwrap();
    for memory in sealed.iter_memories() {
        assert!(memory.map_readable().is_err());
    }
    assert_eq!(gate.property::<u64>("refused-maps"), 2);
    // The whole frame as one would be a copy of both, which the first refuses. GStreamer then says that there is nothing.
    let nothing = sealed.map_readable().map_or(0, |map| map.size());
    assert_eq!(nothing, 0);
    assert_eq!(gate.property::<u64>("refused-maps"), 3);
}

#[test]
fn a_frame_that_is_not_sealed_can_be_mapped() {
    let Some(device) = device("a_frame_that_is_not_sealed") else {
        return;
    };
    let bus = TempBus::new().unwrap();
    let producer = Producer::new(&bus, &caps());
    let gate = producer.pipeline.element("gate");
    assert!(
        !gate.property::<bool>("seal"),
        "a development build's default"
    );
    let sent = buffers_at(&gate.static_pad("src").unwrap());
    // It takes effect with the next start.
    gate.set_property("seal", true);
    producer.feed.push(buffer(dmabuf(&device, 1))).unwrap();
    assert!(sent.drain().pop().unwrap().map_readable().is_ok());
    assert_eq!(gate.property::<u64>("refused-maps"), 0);
    assert_eq!(gate.property::<Option<String>>("last-map"), None);
}

#[test]
fn a_mapped_frame_is_found_while_it_is_mapped() {
    let Some(device) = device("a_mapped_frame_is_found") else {
        return;
    };
    let bus = TempBus::new().unwrap();
    let producer = Producer::with(&bus, &caps(), "name=gate seal=true", "");
    let mut subscriber = subscribe(&bus, "front", 2, 1);
    let fd = dmabuf(&device, 1);
    let identity = memory_id(fd.as_fd()).unwrap();
    producer.feed.push(buffer(fd)).unwrap();
    let frame = next(&mut subscriber);
    let gate = producer.pipeline.element("gate");
    let known = gate.downcast_ref::<MosNv12Contract>().unwrap().memories();
    assert_eq!(known, [identity]);
    let file_system = Some(known[0].device());
    let own = |device| -> Vec<DmabufMapping> {
        let mapped = mapped_dmabufs(device).unwrap().into_iter();
        mapped.filter(|m| known.contains(&m.memory)).collect()
    };
    assert!(own(file_system).is_empty() && own(None).is_empty());
    // The bus hands out descriptors, which whoever has them can map: the seal is of GStreamer.
    let mapped = frame.map().unwrap();
    let found = own(file_system);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(!found[0].writable);
    assert!(found[0].range.end - found[0].range.start >= SIZE as u64 - 4096);
    assert_eq!(own(None), found, "the kernel's path says the same");
    drop(mapped);
    drop(frame);
    // The subscriber may keep what it mapped for the next frame.
    drop(subscriber);
    assert!(own(file_system).is_empty());
}
