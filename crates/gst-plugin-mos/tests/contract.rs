//! The gate in front of real pads: what passes, in which order, and what is refused with which words.
#![cfg(feature = "development")]
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod common;

use std::os::fd::IntoRawFd;

use common::{Bench, DEADLINE, Out, time_segment};
use gst::prelude::*;
use gst_allocators::prelude::*;
use gst_allocators::{DmaBufAllocator, FdAllocator, FdMemoryFlags};
use gst_video::VideoMeta;

const SIZE: usize = 320 * 240 * 3 / 2;
const REST: &str = "width=320,height=240,framerate=30/1";

fn system() -> gst::Buffer {
    gst::Buffer::with_size(SIZE).unwrap()
}

fn memfd() -> gst::Buffer {
    let fd = mos_frame::memory::memfd("contract", SIZE as u64).unwrap();
    // SAFETY: the descriptor is handed over.
    gst::Buffer::from(unsafe {
        FdAllocator::new()
            .alloc_fd(fd.into_raw_fd(), SIZE, FdMemoryFlags::empty())
            .unwrap()
    })
}

/// A memfd that its element calls a dma-buf.
fn mislabelled() -> gst::Buffer {
    let fd = mos_frame::memory::memfd("contract", SIZE as u64).unwrap();
    // SAFETY: the descriptor is handed over.
    gst::Buffer::from(unsafe {
        DmaBufAllocator::new()
            .alloc_dmabuf(fd.into_raw_fd(), SIZE)
            .unwrap()
    })
}

/// Everything up to and with the next buffer, by name; caps as text.
fn until_buffer(bench: &Bench) -> Vec<String> {
    let mut names = Vec::new();
    bench
        .out
        .wait_for("a buffer", DEADLINE, |out| {
            names.push(match out {
                Out::Buffer(_) => "buffer".to_owned(),
                Out::Event(event) => match event.view() {
                    gst::EventView::Caps(caps) => caps.caps().to_string(),
                    _ => event.type_().name().to_string(),
                },
            });
            matches!(out, Out::Buffer(_)).then_some(())
        })
        .unwrap();
    names
}

fn plain(width: u32, height: u32) -> String {
    format!("video/x-raw,format=NV12,width={width},height={height},framerate=30/1")
        .parse::<gst::Caps>()
        .unwrap()
        .to_string()
}

#[test]
fn caps_and_what_follows_wait_for_the_first_buffer() {
    let bench = Bench::new("mosnv12contract");
    assert!(bench.caps(&plain(320, 240)));
    let mut tags = gst::TagList::new();
    tags.make_mut()
        .add::<gst::tags::Title>(&"front", gst::TagMergeMode::Append);
    assert!(bench.event(gst::event::Tag::new(tags)));
    assert!(bench.event(gst::event::Gap::new(
        gst::ClockTime::ZERO,
        gst::ClockTime::SECOND
    )));
    assert_eq!(bench.element.property::<String>("memory"), "none");
    bench.push(memfd()).unwrap();
    let expected = [
        "stream-start".to_owned(),
        plain(320, 240),
        "segment".into(),
        "tag".into(),
        "buffer".into(),
    ];
    assert_eq!(until_buffer(&bench), expected);
    assert_eq!(bench.element.property::<String>("memory"), "memfd");
    bench.push(memfd()).unwrap();
    assert_eq!(until_buffer(&bench), ["buffer"]);
    assert_eq!(bench.element.property::<u64>("frames"), 2);
}

#[test]
fn a_new_format_in_mid_stream_is_decided_anew() {
    let bench = Bench::new("mosnv12contract");
    bench.caps(&plain(320, 240));
    bench.push(memfd()).unwrap();
    until_buffer(&bench);
    assert!(bench.event(gst::event::Caps::new(
        &plain(160, 120).parse::<gst::Caps>().unwrap()
    )));
    assert_eq!(bench.element.property::<String>("memory"), "none");
    bench.push(system()).unwrap();
    assert_eq!(until_buffer(&bench), [plain(160, 120), "buffer".into()]);
    assert_eq!(bench.element.property::<String>("memory"), "system");
}

#[test]
fn memory_that_changes_under_the_same_label_needs_no_new_caps() {
    let bench = Bench::new("mosnv12contract");
    bench.caps(&plain(320, 240));
    bench.push(memfd()).unwrap();
    until_buffer(&bench);
    bench.push(system()).unwrap();
    assert_eq!(until_buffer(&bench), ["buffer"]);
    assert_eq!(bench.element.property::<String>("memory"), "system");
}

#[test]
fn a_memfd_is_never_called_a_dma_buf() {
    for sent in [
        format!("video/x-raw(memory:DMABuf),format=NV12,{REST}"),
        format!("video/x-raw(memory:DMABuf),format=DMA_DRM,drm-format=NV12,{REST}"),
        format!("video/x-raw(memory:GBM),format=NV12,{REST}"),
    ] {
        let bench = Bench::new("mosnv12contract");
        assert!(bench.caps(&sent));
        bench.push(mislabelled()).unwrap();
        assert_eq!(until_buffer(&bench)[1], plain(320, 240), "{sent}");
    }
}

#[test]
fn a_stream_that_ends_before_its_first_buffer_ends() {
    let bench = Bench::new("mosnv12contract");
    bench.caps(&plain(320, 240));
    assert!(bench.event(gst::event::Eos::new()));
    let mut seen = Vec::new();
    bench
        .out
        .wait_for("the end", DEADLINE, |out| {
            let Out::Event(event) = out else {
                panic!("a buffer from nowhere")
            };
            seen.push(event.type_());
            (event.type_() == gst::EventType::Eos).then_some(())
        })
        .unwrap();
    assert_eq!(
        seen,
        [
            gst::EventType::StreamStart,
            gst::EventType::Segment,
            gst::EventType::Eos
        ]
    );
}

#[test]
fn a_flush_forgets_what_was_held_but_not_the_caps() {
    let bench = Bench::new("mosnv12contract");
    bench.caps(&plain(320, 240));
    bench.event(gst::event::FlushStart::new());
    bench.event(gst::event::FlushStop::new(true));
    bench.event(gst::event::Segment::new(&time_segment()));
    bench.push(memfd()).unwrap();
    let seen = until_buffer(&bench);
    assert_eq!(
        seen.iter().filter(|name| *name == "segment").count(),
        1,
        "{seen:?}"
    );
    assert!(seen.contains(&plain(320, 240)), "{seen:?}");
}

#[test]
fn caps_that_break_the_contract_are_refused_with_a_reason() {
    let cases = [
        (format!("video/x-raw,format=I420,{REST}"), "format"),
        (format!("video/x-raw,format=NV12_Q08C,{REST}"), "layout"),
        (
            format!("video/x-raw(memory:DMABuf),format=NV12_4L4,{REST}"),
            "layout",
        ),
        (
            format!("video/x-raw(memory:GBM),format=NV12_Q08C,{REST}"),
            "layout",
        ),
        (
            format!(
                "video/x-raw(memory:DMABuf),format=DMA_DRM,drm-format=NV12:0x0100000000000002,{REST}"
            ),
            "layout",
        ),
        (
            format!("video/x-raw(memory:DMABuf),format=DMA_DRM,drm-format=YUYV,{REST}"),
            "format",
        ),
        (
            format!("video/x-raw(memory:GLMemory),format=NV12,{REST}"),
            "memory-feature",
        ),
        ("image/jpeg,width=320,height=240".to_owned(), "media-type"),
    ];
    for (caps, reason) in cases {
        let bench = Bench::new("mosnv12contract");
        let event = gst::event::Caps::new(&caps.parse::<gst::Caps>().unwrap());
        // A source pad keeps sticky events and says yes; the refusal shows with the next buffer.
        bench.event(event);
        bench.event(gst::event::Segment::new(&time_segment()));
        assert_eq!(
            bench.push(memfd()),
            Err(gst::FlowError::NotNegotiated),
            "{caps}"
        );
        let fault = bench.pipeline.fault();
        assert_eq!(
            (fault.kind.as_str(), fault.reason.as_str()),
            ("contract", reason),
            "{caps}"
        );
        assert!(!fault.advice.is_empty() && !fault.text.is_empty());
        assert_eq!(bench.element.property::<u64>("violations"), 1, "{caps}");
    }
}

#[test]
fn frames_that_break_the_contract_are_refused_with_a_reason() {
    common::init();
    let small = || gst::Buffer::with_size(1000).unwrap();
    let mixed = || {
        let mut buffer = memfd();
        buffer.make_mut().append_memory(gst::Memory::with_size(16));
        buffer
    };
    let wrong_meta = || {
        let mut buffer = memfd();
        let none = gst_video::VideoFrameFlags::empty();
        let format = gst_video::VideoFormat::Nv12;
        VideoMeta::add_full(
            buffer.make_mut(),
            none,
            format,
            320,
            240,
            &[0, SIZE],
            &[320, 320],
        )
        .unwrap();
        buffer
    };
    let dmabuf = format!("video/x-raw(memory:DMABuf),format=NV12,{REST}");
    let cases = [
        (
            "system memory called dma-buf",
            dmabuf,
            system(),
            "mislabelled",
        ),
        ("smaller than its caps", plain(320, 240), small(), "planes"),
        (
            "two kinds of memory",
            plain(320, 240),
            mixed(),
            "mixed-memory",
        ),
        ("no memory", plain(320, 240), gst::Buffer::new(), "empty"),
        ("planes outside", plain(320, 240), wrong_meta(), "planes"),
    ];
    for (name, caps, buffer, reason) in cases {
        let bench = Bench::new("mosnv12contract");
        bench.caps(&caps);
        assert_eq!(
            bench.push(buffer),
            Err(gst::FlowError::NotNegotiated),
            "{name}"
        );
        let fault = bench.pipeline.fault();
        assert_eq!(
            (fault.kind.as_str(), fault.reason.as_str()),
            ("contract", reason),
            "{name}"
        );
        assert_eq!(bench.element.property::<u64>("violations"), 1, "{name}");
        assert_eq!(bench.element.property::<u64>("frames"), 0, "{name}");
    }
}

#[test]
fn queries_about_caps_are_answered_truthfully_and_silently() {
    let bench = Bench::new("mosnv12contract");
    let accepts = |caps: &str| {
        let mut query = gst::query::AcceptCaps::new(&caps.parse::<gst::Caps>().unwrap());
        assert!(bench.query(&mut query));
        query.result()
    };
    assert!(accepts(&plain(320, 240)));
    assert!(!accepts(&format!("video/x-raw,format=I420,{REST}")));
    assert!(!accepts(&format!(
        "video/x-raw(memory:DMABuf),format=DMA_DRM,drm-format=NV12:0x1,{REST}"
    )));
    assert!(
        bench.pipeline.pending_error().is_none(),
        "a probing element was taken for a violation"
    );
    assert_eq!(bench.element.property::<u64>("violations"), 0);
    let filter = "video/x-raw,format={ I420, NV12 },width=640"
        .parse::<gst::Caps>()
        .unwrap();
    let mut query = gst::query::Caps::new(Some(&filter));
    assert!(bench.query(&mut query));
    let result = query.result_owned().unwrap();
    assert!(
        result
            .iter()
            .all(|s| s.get::<String>("format").unwrap() == "NV12"),
        "{result}"
    );
    assert!(!result.is_empty());
}

#[test]
fn allocation_asks_for_the_budget_and_offers_shareable_memory() {
    let bench = Bench::new("mosnv12contract fallback=memfd min-buffers=11");
    let ask = |caps: &str| {
        let mut query =
            gst::query::Allocation::new(Some(&caps.parse::<gst::Caps>().unwrap()), true);
        assert!(bench.query(&mut query), "{caps}");
        assert!(
            query.find_allocation_meta::<VideoMeta>().is_some(),
            "{caps}"
        );
        query
            .allocation_pools()
            .next()
            .map(|(pool, size, min, _)| (pool, size, min))
            .unwrap()
    };
    let (pool, size, min) = ask(&plain(320, 240));
    assert_eq!((size as usize, min), (SIZE, 11));
    let pool = pool.expect("a pool for elements without one");
    pool.set_active(true).unwrap();
    bench.caps(&plain(320, 240));
    bench.push(pool.acquire_buffer(None).unwrap()).unwrap();
    assert_eq!(bench.element.property::<String>("memory"), "memfd");
    pool.set_active(false).unwrap();
    // Whoever sends dma-bufs brings them along.
    let (pool, _, min) = ask(&format!("video/x-raw(memory:DMABuf),format=NV12,{REST}"));
    assert_eq!((pool.is_none(), min), (true, 11));
}
