//! What the gate's pool is made of in a development build: dma-bufs of a dma-heap or of udmabuf, else memfds.
//!
//! The devices are there in the camera lab; elsewhere what needs them is skipped.
#![cfg(feature = "development")]
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod common;

use std::os::fd::{AsRawFd, BorrowedFd};

use common::{DEADLINE, Pipeline, buffers_at, next, subscribe};
use gst::prelude::*;
use mos_frame::allocation::{DmaHeap, Udmabuf};
use mos_frame::{Frame, MemoryKind};
use mos_testkit::{TempBus, process, wait_until};

/// A picture that does not end with a page.
const SIZE: (usize, usize) = (322, 242);

/// The exporter's name that the kernel gives for a dma-buf; `None` for anything else.
fn exporter(fd: BorrowedFd<'_>) -> Option<String> {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd())).unwrap();
    let line = info
        .lines()
        .find_map(|line| line.strip_prefix("exp_name:"))?;
    Some(line.trim().to_owned())
}

/// Fall-backs that this machine has, each with the exporter's name; a loud skip for those that it has not.
fn there(test: &str) -> Vec<(&'static str, Option<&'static str>)> {
    let devices = [
        ("dma-heap", Some("system"), DmaHeap::open().err()),
        ("udmabuf", Some("udmabuf"), Udmabuf::open().err()),
        ("memfd", None, None),
    ];
    let mut there = Vec::new();
    for (fallback, exporter, missing) in devices {
        if let Some(why) = missing {
            let required = std::env::var_os("MOS_DMABUF_REQUIRED").is_some();
            assert!(!required, "no {fallback}: {why}");
            let test = format!("{test}: {fallback}");
            mos_testkit::skip::skip(&test, &why.to_string()).unwrap();
        } else {
            there.push((fallback, exporter));
        }
    }
    there
}

fn pipeline(bus: &TempBus, gate: &str) -> Pipeline {
    let (width, height) = SIZE;
    Pipeline::new(&format!(
        "videotestsrc is-live=true pattern=white ! video/x-raw,format=NV12,width={width},height={height},framerate=60/1 \
         ! mostestcounter ! mosnv12contract name=gate {gate} ! tee ! mosframesink name=sink stream=front directory={}",
        bus.dir().display()
    ))
}

/// The number in a white picture, whose rows below the number are white to the end.
fn number(frame: &Frame) -> u32 {
    let (width, height) = SIZE;
    let (luma, chroma) = (&frame.layout().planes[0], &frame.layout().planes[1]);
    let mapped = frame.map().unwrap();
    let rows = |index, plane: &mos_frame::Plane, from: usize, to: usize| -> Vec<u8> {
        let bytes = mapped.plane(index).unwrap();
        let stride = plane.stride as usize;
        (from..to)
            .flat_map(|row| bytes[row * stride..][..width].to_vec())
            .collect()
    };
    assert!(rows(0, luma, height / 2, height).iter().all(|&y| y == 235));
    assert!(
        rows(1, chroma, height / 4, height / 2)
            .iter()
            .all(|&c| c == 128)
    );
    gstmos::counter::read_frame(frame).unwrap().unwrap()
}

#[test]
fn frames_are_written_into_the_memory_that_was_asked_for() {
    for (fallback, exporter_name) in there("frames_are_written") {
        let bus = TempBus::new().unwrap();
        let pipeline = pipeline(&bus, &format!("fallback={fallback}"));
        pipeline.start();
        let mut subscriber = subscribe(&bus, "front", 4, 1);
        let numbers: Vec<u32> = (0..40)
            .map(|_| {
                let frame = next(&mut subscriber);
                let fd = frame.fd(0).unwrap();
                assert_eq!(exporter(fd).as_deref(), exporter_name, "{fallback}");
                let kind = exporter_name.map_or(MemoryKind::Memfd, |_| MemoryKind::DmaBuf);
                assert_eq!(frame.format().memory, kind);
                if exporter_name.is_some() {
                    let bytes = rustix::fs::seek(fd, rustix::fs::SeekFrom::End(0)).unwrap();
                    assert_eq!(bytes % rustix::param::page_size() as u64, 0);
                }
                number(&frame)
            })
            .collect();
        assert!(numbers.windows(2).all(|n| n[1] > n[0]), "{numbers:?}");
        let gate = pipeline.element("gate");
        assert_eq!(gate.property::<String>("fallback-memory"), fallback);
        let memory = exporter_name.map_or("memfd", |_| "dmabuf");
        assert_eq!(gate.property::<String>("memory"), memory);
        let stats = pipeline.sink().stats().unwrap();
        assert_eq!((stats.copied, stats.dropped), (0, 0), "{fallback}");
    }
}

#[test]
fn without_a_wish_the_best_is_taken_and_the_rest_explained() {
    let best = there("without_a_wish")[0].0;
    let bus = TempBus::new().unwrap();
    let pipeline = pipeline(&bus, "");
    let gate = pipeline.element("gate");
    assert_eq!(gate.property::<Option<String>>("fallback-memory"), None);
    pipeline.start();
    number(&next(&mut subscribe(&bus, "front", 2, 1)));
    let memory = gate.property::<String>("fallback-memory");
    assert!(memory.starts_with(best), "{memory}");
    let why = ["dma-heap", "udmabuf"].map(|better| memory.contains(&format!("no {better}: /dev/")));
    let expected = match best {
        "dma-heap" => [false, false],
        "udmabuf" => [true, false],
        _ => [true, true],
    };
    assert_eq!(why, expected, "{memory}");
}

#[test]
fn a_wish_that_is_none_changes_nothing() {
    common::init();
    let gate = gst::ElementFactory::make("mosnv12contract")
        .build()
        .unwrap();
    gate.set_property("fallback", "udmabuf");
    gate.set_property("fallback", "cma");
    assert_eq!(gate.property::<String>("fallback"), "udmabuf");
}

#[test]
fn sealed_frames_are_still_written_by_their_source() {
    for (fallback, exporter_name) in there("sealed_frames") {
        let bus = TempBus::new().unwrap();
        let pipeline = pipeline(&bus, &format!("fallback={fallback} seal=true"));
        let gate = pipeline.element("gate");
        let sent = buffers_at(&gate.static_pad("src").unwrap());
        pipeline.start();
        let mut subscriber = subscribe(&bus, "front", 4, 1);
        // More frames than the pool has buffers.
        let mut last = 0;
        for _ in 0..100 {
            let shown = number(&next(&mut subscriber));
            assert!(shown > last || last == 0, "{shown} after {last}");
            last = shown;
            sent.drain();
        }
        assert_eq!(gate.property::<u64>("refused-maps"), 0, "{fallback}");
        let buffer = sent
            .wait_for("a frame behind the gate", DEADLINE, |b| Some(b.clone()))
            .unwrap();
        // A memfd has no seal.
        let is_sealed = exporter_name.is_some();
        assert_eq!(buffer.map_readable().is_err(), is_sealed, "{fallback}");
        assert_eq!(gate.property::<u64>("refused-maps"), u64::from(is_sealed));
    }
}

#[test]
fn lives_leave_no_descriptor() {
    for (fallback, _) in there("lives_leave_no_descriptor") {
        for seal in [false, true] {
            let life = || {
                let bus = TempBus::new().unwrap();
                let pipeline = pipeline(&bus, &format!("fallback={fallback} seal={seal}"));
                pipeline.start();
                let frame = next(&mut subscribe(&bus, "front", 2, 1));
                drop(pipeline);
                number(&frame);
            };
            life();
            let after_one = process::open_fds().unwrap();
            for _ in 0..10 {
                life();
            }
            // The last unref of a stopped pipeline can be a moment late, in one of GStreamer's own threads.
            let flat = || (process::open_fds().unwrap() <= after_one).then_some(());
            wait_until("the descriptors of ten lives", DEADLINE, flat).unwrap_or_else(|_| {
                panic!(
                    "{fallback}: {after_one} after one life, and now {}",
                    process::open_fds().unwrap()
                )
            });
        }
    }
}
