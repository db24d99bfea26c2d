//! A production build takes dma-bufs only and brings nothing that would reach a pixel.
#![cfg(not(feature = "development"))]
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod common;

use std::os::fd::IntoRawFd;

use common::{Bench, Pipeline};
use gst::prelude::*;
use gst_allocators::prelude::*;
use gst_allocators::{FdAllocator, FdMemoryFlags};
use gst_video::VideoMeta;
use mos_testkit::TempBus;

const SIZE: usize = 320 * 240 * 3 / 2;
const CAPS: &str = "video/x-raw,format=NV12,width=320,height=240,framerate=30/1";

fn memfd() -> gst::Buffer {
    let fd = mos_frame::memory::memfd("production", SIZE as u64).unwrap();
    // SAFETY: the descriptor is handed over.
    gst::Buffer::from(unsafe {
        FdAllocator::new()
            .alloc_fd(fd.into_raw_fd(), SIZE, FdMemoryFlags::empty())
            .unwrap()
    })
}

#[test]
fn the_gate_refuses_what_is_no_dma_buf() {
    common::init();
    for (name, buffer) in [
        ("memfd", memfd()),
        ("system", gst::Buffer::with_size(SIZE).unwrap()),
    ] {
        let bench = Bench::new("mosnv12contract");
        bench.caps(CAPS);
        assert_eq!(
            bench.push(buffer),
            Err(gst::FlowError::NotNegotiated),
            "{name}"
        );
        assert_eq!(bench.pipeline.fault().reason, "not-dmabuf", "{name}");
        assert_eq!(bench.element.property::<u64>("violations"), 1, "{name}");
        assert_eq!(bench.element.property::<String>("memory"), "none", "{name}");
    }
}

#[test]
fn no_pool_of_memfds_is_offered() {
    let bench = Bench::new("mosnv12contract min-buffers=9");
    let mut query = gst::query::Allocation::new(Some(&CAPS.parse::<gst::Caps>().unwrap()), true);
    assert!(bench.query(&mut query));
    assert!(query.find_allocation_meta::<VideoMeta>().is_some());
    let pools: Vec<_> = query
        .allocation_pools()
        .map(|(pool, _, min, _)| (pool.is_some(), min))
        .collect();
    assert_eq!(pools, [(false, 9)]);
}

#[test]
fn the_seal_stays() {
    let bench = Bench::new("mosnv12contract seal=false");
    assert!(bench.element.property::<bool>("seal"));
    bench.element.set_property("seal", false);
    assert!(bench.element.property::<bool>("seal"));
    assert_eq!(bench.element.property::<u64>("refused-maps"), 0);
}

#[test]
fn the_sink_refuses_what_it_would_have_to_copy() {
    let bus = TempBus::new().unwrap();
    let pipeline = Pipeline::play(&format!(
        "videotestsrc ! {CAPS} ! mosframesink name=sink stream=front directory={}",
        bus.dir().display()
    ));
    let fault = pipeline.fault();
    assert_eq!(
        (fault.kind.as_str(), fault.reason.as_str()),
        ("contract", "not-shareable")
    );
}

#[test]
fn the_test_counter_is_not_there() {
    common::init();
    assert!(gst::ElementFactory::find("mostestcounter").is_none());
    assert!(gst::ElementFactory::find("mosframesink").is_some());
}
