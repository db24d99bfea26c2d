//! A V4L2 driver's own dma-bufs go to subscribers as they are, although the gate offers a pool of its own.
//!
//! Needs the kernel's virtual camera (vivid), such as that of the camera lab.
#![cfg(feature = "development")]
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod common;

use std::collections::HashSet;
use std::os::fd::BorrowedFd;

use common::{DEADLINE, Pipeline, buffers_at, next, subscribe};
use gst::prelude::*;
use gst_allocators::DmaBufMemory;
use mos_frame::MemoryKind;
use mos_frame::mappings::mapped_dmabufs;
use mos_frame::memory::{MemoryId, memory_id};
use mos_testkit::TempBus;

/// The nodes of vivid cameras; none is a loud skip.
fn vivids(test: &str) -> Vec<String> {
    let names = std::fs::read_dir("/sys/class/video4linux").into_iter();
    let nodes = names.flatten().filter_map(Result::ok).filter_map(|node| {
        let name = std::fs::read_to_string(node.path().join("name")).ok()?;
        let path = format!("/dev/{}", node.file_name().to_str()?);
        name.contains("vid-cap").then_some(path)
    });
    let nodes: Vec<String> = nodes.collect();
    if nodes.is_empty() {
        assert!(
            std::env::var_os("MOS_V4L2_REQUIRED").is_none(),
            "no vivid camera"
        );
        mos_testkit::skip::skip(test, "no vivid camera").unwrap();
    }
    nodes
}

fn ids_of(buffer: &gst::Buffer) -> Vec<MemoryId> {
    let fds = buffer.iter_memories().map(|m| {
        m.downcast_memory_ref::<DmaBufMemory>()
            .expect("a dma-buf")
            .fd()
    });
    // SAFETY: the buffer lives, and so do its memories' descriptors.
    fds.map(|fd| memory_id(unsafe { BorrowedFd::borrow_raw(fd) }).unwrap())
        .collect()
}

/// More frames than any pool has buffers.
const FRAMES: usize = 200;

#[test]
fn the_drivers_buffers_are_published_without_a_copy() {
    for device in vivids("the_drivers_buffers_are_published") {
        stream(&device, false, 5);
    }
}

#[test]
fn sealed_buffers_come_back_to_the_driver() {
    for device in vivids("sealed_buffers_come_back") {
        stream(&device, true, FRAMES);
    }
}

fn stream(device: &str, seal: bool, frames: usize) {
    let bus = TempBus::new().unwrap();
    let pipeline = Pipeline::new(&format!(
        "v4l2src device={device} io-mode=dmabuf ! video/x-raw,format=NV12,width=640,height=360 \
         ! mosnv12contract name=gate seal={seal} ! tee ! mosframesink name=sink stream=cam expected-subscribers=1 directory={}",
        bus.dir().display()
    ));
    let gate = pipeline.element("gate");
    let sent = buffers_at(&gate.static_pad("sink").unwrap());
    pipeline.start();
    let mut subscriber = subscribe(&bus, "cam", 2, 1);
    let mut driver: HashSet<MemoryId> = HashSet::new();
    for _ in 0..frames {
        let frame = next(&mut subscriber);
        driver.extend(sent.drain().iter().flat_map(ids_of));
        assert_eq!(frame.format().memory, MemoryKind::DmaBuf);
        for fd in frame.fds() {
            assert!(
                driver.contains(&memory_id(fd).unwrap()),
                "a frame in memory that is not the driver's"
            );
        }
    }
    let stats = pipeline.sink().stats().unwrap();
    assert_eq!((stats.copied, stats.dropped), (0, 0));
    assert_eq!(gate.property::<String>("memory"), "dmabuf");
    assert_eq!(gate.property::<u64>("violations"), 0);
    assert_eq!(gate.property::<u64>("refused-maps"), 0);
    assert!(pipeline.pending_error().is_none());
}

#[test]
fn memory_of_a_node_is_no_dma_buf() {
    for device in vivids("memory_of_a_node") {
        let pipeline = Pipeline::new(&format!(
            "v4l2src name=src device={device} io-mode=mmap ! video/x-raw,width=640,height=360 ! fakesink"
        ));
        let sent = buffers_at(&pipeline.element("src").static_pad("src").unwrap());
        pipeline.start();
        let buffer = sent
            .wait_for("a frame", DEADLINE, |b| Some(b.clone()))
            .unwrap();
        let map = buffer.map_readable().unwrap();
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        assert!(
            maps.contains(&device),
            "nothing of {device} is mapped: {maps}"
        );
        assert_eq!(mapped_dmabufs(None).unwrap(), []);
        drop(map);
    }
}
