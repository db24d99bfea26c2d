//! With memfds under the label of dma-bufs, which GStreamer takes at its word; with real ones: tests/dmabuf.rs.

use std::os::fd::{AsFd, AsRawFd, IntoRawFd, OwnedFd};
use std::thread;

use gst_allocators::{DmaBufAllocator, DmaBufMemory};
use gst_video::{VideoFormat, VideoFrameFlags, VideoMeta};
use mos_frame::memory::memfd;

use super::*;
use crate::memory::{Probe, fd_of, remembered};

const SIZE: usize = 64 * 32 * 3 / 2;

fn sealer() -> (Sealer, gst::Element) {
    gst::init().unwrap();
    let owner: gst::Element = gst::Pipeline::with_name("owner").upcast();
    (Sealer::new(&owner), owner)
}

fn block(fd: OwnedFd, size: usize) -> gst::Memory {
    // SAFETY: the descriptor is handed over.
    unsafe {
        DmaBufAllocator::new()
            .alloc_dmabuf(fd.into_raw_fd(), size)
            .unwrap()
    }
}

fn frame() -> gst::Buffer {
    gst::init().unwrap();
    gst::Buffer::from(block(memfd("seal", SIZE as u64).unwrap(), SIZE))
}

fn raw_fd(memory: &gst::MemoryRef) -> i32 {
    fd_of(memory).unwrap().as_raw_fd()
}

#[test]
fn a_sealed_frame_is_a_dma_buf_that_nobody_can_map() {
    let (sealer, _owner) = sealer();
    let original = frame();
    let mut sealed = sealer.seal(&original).unwrap();
    assert_eq!((sealer.refused(), sealer.last()), (0, None));
    let memory = sealed.peek_memory(0);
    assert!(memory.is_memory_type::<DmaBufMemory>());
    assert!(memory.flags().contains(gst::MemoryFlags::NOT_MAPPABLE));
    assert_eq!(raw_fd(memory), raw_fd(original.peek_memory(0)));

    // Each attempt counts once, whatever GStreamer tries on its behalf.
    let count = || sealer.refused();
    assert!(sealed.map_readable().is_err());
    assert_eq!(count(), 1);
    assert!(sealed.get_mut().unwrap().map_writable().is_err());
    assert_eq!(count(), 2);
    assert!(sealed.copy_deep().is_err());
    assert_eq!(count(), 3);
    assert!(sealed.copy_deep().is_err());
    assert_eq!(count(), 4);
    assert!(sealed.peek_memory(0).map_readable().is_err());
    assert_eq!(count(), 5);
    let info = gst_video::VideoInfo::builder(VideoFormat::Nv12, 64, 32)
        .build()
        .unwrap();
    assert!(gst_video::VideoFrameRef::from_buffer_ref_readable(&sealed, &info).is_err());
    assert_eq!(count(), 6);

    // The original is as it was.
    assert!(original.map_readable().is_ok());
    assert_eq!(count(), 6);
}

#[test]
fn the_last_attempt_has_a_name() {
    let (sealer, _owner) = sealer();
    let sealed = sealer.seal(&frame()).unwrap();
    let mapper = thread::Builder::new().name("queue0:src".to_owned());
    let mapped = mapper.spawn(move || sealed.map_readable().is_err());
    assert!(mapped.unwrap().join().unwrap());
    assert_eq!(sealer.last().unwrap(), "queue0:src: read");
    let mut sealed = sealer.seal(&frame()).unwrap();
    assert!(sealed.get_mut().unwrap().map_writable().is_err());
    assert!(sealer.last().unwrap().ends_with(": read+write"));
    assert!(sealed.copy_deep().is_err());
    assert!(sealer.last().unwrap().ends_with(": copy"));
}

#[test]
fn parts_and_shallow_copies_are_sealed_and_keep_the_original() {
    let (sealer, _owner) = sealer();
    let mut original = frame();
    let lease = Arc::new(());
    let memory = original.make_mut().peek_memory_mut(0).unwrap();
    crate::lease::attach(memory, Arc::clone(&lease));
    let is_kept = || Arc::strong_count(&lease) == 2;
    let sealed = sealer.seal(&original).unwrap();
    drop(original);
    let part = sealed.peek_memory(0).share(64..128);
    assert!(part.is_memory_type::<DmaBufMemory>());
    assert!(part.map_readable().is_err());
    // A copy as an element makes it that wants to write metas, and memory that moves to another buffer.
    let shallow = sealed.copy();
    let mut other = gst::Buffer::new();
    other.make_mut().append_memory(shallow.memory(0).unwrap());
    assert!(shallow.map_readable().is_err());
    assert!(other.map_readable().is_err());
    assert_eq!(sealer.refused(), 3);
    drop((sealed, shallow));
    assert!(is_kept(), "another buffer still has it");
    drop(other);
    assert!(is_kept(), "a part of it is in use");
    drop(part);
    assert!(!is_kept(), "nobody has it any more");
}

#[test]
fn offsets_sizes_and_flags_stay() {
    let (sealer, _owner) = sealer();
    // Two planes of one memory, each a part of it, and a third block of its own that begins late and is read-only.
    let whole = block(memfd("planes", 0x3000).unwrap(), 0x3000);
    let mut late = block(memfd("late", 0x2000).unwrap(), 0x2000);
    let writable = late.get_mut().unwrap();
    writable.resize(0x800..0x1000);
    let readonly = gst::ffi::GST_MEMORY_FLAG_READONLY | gst::ffi::GST_MEMORY_FLAG_NO_SHARE;
    // SAFETY: the memory is not shared yet.
    unsafe { (*writable.as_mut_ptr()).mini_object.flags |= readonly };
    let original: gst::Buffer = [whole.share(0..0x2000), whole.share(0x2000..0x2400), late]
        .into_iter()
        .collect();
    let sealed = sealer.seal(&original).unwrap();
    let shape = |buffer: &gst::BufferRef| -> Vec<_> {
        buffer
            .iter_memories()
            .map(|m| (raw_fd(m), m.offset(), m.size(), m.maxsize()))
            .collect()
    };
    assert_eq!(shape(&sealed), shape(&original));
    assert_eq!(shape(&sealed)[1].1, 0x2000);
    assert_eq!(sealed.size(), original.size());
    let flags: Vec<_> = sealed.iter_memories().map(gst::MemoryRef::flags).collect();
    assert!(flags[2].contains(gst::MemoryFlags::READONLY));
    // It may be shared, since the original comes back only when all have let go.
    assert!(!flags[2].contains(gst::MemoryFlags::NO_SHARE));
    assert_eq!(sealed.copy().n_memory(), 3);
    assert_eq!(sealer.refused(), 0);
}

#[test]
fn times_flags_and_metas_stay() {
    let (sealer, _owner) = sealer();
    let mut original = frame();
    let writable = original.get_mut().unwrap();
    writable.set_pts(gst::ClockTime::from_mseconds(1));
    writable.set_dts(gst::ClockTime::from_mseconds(2));
    writable.set_duration(gst::ClockTime::from_mseconds(3));
    writable.set_offset(4);
    writable.set_offset_end(5);
    writable.set_flags(gst::BufferFlags::DISCONT | gst::BufferFlags::LIVE);
    let (offsets, strides) = ([0, 64 * 32], [64, 64]);
    let none = VideoFrameFlags::empty();
    VideoMeta::add_full(
        writable,
        none,
        VideoFormat::Nv12,
        64,
        32,
        &offsets,
        &strides,
    )
    .unwrap();
    let reference = gst::Caps::new_empty_simple("timestamp/x-unix");
    gst::ReferenceTimestampMeta::add(
        writable,
        &reference,
        gst::ClockTime::SECOND,
        gst::ClockTime::NONE,
    );
    gst::meta::CustomMeta::register_simple("mos-test-seal");
    let mut custom = gst::meta::CustomMeta::add(writable, "mos-test-seal").unwrap();
    custom.mut_structure().set("answer", 42);

    let sealed = sealer.seal(&original).unwrap();
    assert_eq!(
        (sealed.pts(), sealed.dts()),
        (original.pts(), original.dts())
    );
    assert_eq!(sealed.duration(), original.duration());
    assert_eq!((sealed.offset(), sealed.offset_end()), (4, 5));
    let kept = original.flags() - gst::BufferFlags::TAG_MEMORY;
    assert_eq!(sealed.flags() - gst::BufferFlags::TAG_MEMORY, kept);
    let meta = sealed.meta::<VideoMeta>().unwrap();
    assert_eq!((meta.offset(), meta.stride()), (&offsets[..], &strides[..]));
    let time = sealed.meta::<gst::ReferenceTimestampMeta>().unwrap();
    assert_eq!(time.timestamp(), gst::ClockTime::SECOND);
    let custom = gst::meta::CustomMeta::from_buffer(&sealed, "mos-test-seal").unwrap();
    assert_eq!(custom.structure().get("answer"), Ok(42));
}

#[test]
fn what_the_kernel_said_is_known_of_the_sealed_frame_too() {
    let (sealer, _owner) = sealer();
    let fd = memfd("facts", SIZE as u64).unwrap();
    mos_frame::memory::seal_read_only(fd.as_fd()).unwrap();
    let original = gst::Buffer::from(block(fd, SIZE));
    let facts = Probe::default().facts(original.peek_memory(0));
    let sealed = sealer.seal(&original).unwrap();
    assert_eq!(remembered(sealed.peek_memory(0)), Some(facts));
    assert!(std::ptr::eq(
        super::original(&sealed).unwrap().as_ptr(),
        original.as_ptr()
    ));
    assert!(super::original(&original).is_none());
}

#[cfg(feature = "development")]
#[test]
fn buffers_of_a_pool_come_back_when_the_sealed_frames_end() {
    let (sealer, _owner) = sealer();
    // Its buffers are memfds, which do for this.
    let caps = gst_video::VideoInfo::builder(VideoFormat::Nv12, 64, 32)
        .build()
        .unwrap()
        .to_caps()
        .unwrap();
    let pool = crate::pool::BusPool::configured(&caps, SIZE as u32, 0, 2).unwrap();
    pool.set_active(true).unwrap();
    let at_once = gst::BufferPoolAcquireParams::with_flags(gst::BufferPoolAcquireFlags::DONTWAIT);
    let acquire = || pool.acquire_buffer(Some(&at_once));
    let mut held = Vec::new();
    for number in 0..200 {
        let buffer = acquire().unwrap_or_else(|why| panic!("frame {number}: {why}"));
        let id = buffer.as_ptr();
        let sealed = sealer.seal(&buffer).unwrap();
        drop(buffer);
        held.push((id, sealed));
        if held.len() == 2 {
            assert_eq!(
                acquire().unwrap_err(),
                gst::FlowError::Eos,
                "a buffer in use"
            );
            held.remove(0);
        }
    }
    drop(held);
    assert!(acquire().is_ok());
    pool.set_active(false).unwrap();
}

#[test]
fn the_seal_outlives_its_gate() {
    let (sealer, owner) = sealer();
    let sealed = sealer.seal(&frame()).unwrap();
    let refusals = Arc::clone(&sealer.refusals);
    drop((sealer, owner));
    assert!(sealed.map_readable().is_err());
    assert_eq!(refusals.count(), 1);
}

/// Cost of sealing a frame: `cargo test --release -p gst-plugin-mos --lib seal::tests::cost -- --ignored --nocapture`
#[test]
#[ignore = "a measurement, which prints"]
fn cost() {
    const ROUNDS: u32 = 200_000;
    let (sealer, _owner) = sealer();
    let two = || block(memfd("two", SIZE as u64).unwrap(), SIZE);
    for (name, mut original) in [
        ("one memory", frame()),
        ("two memories", [two(), two()].into_iter().collect()),
    ] {
        let writable = original.get_mut().unwrap();
        let none = VideoFrameFlags::empty();
        let (offsets, strides) = ([0, 64 * 32], [64, 64]);
        VideoMeta::add_full(
            writable,
            none,
            VideoFormat::Nv12,
            64,
            32,
            &offsets,
            &strides,
        )
        .unwrap();
        let start = std::time::Instant::now();
        for _ in 0..ROUNDS {
            drop(sealer.seal(&original).unwrap());
        }
        println!(
            "{name}: {} ns a frame",
            start.elapsed().as_nanos() / u128::from(ROUNDS)
        );
    }
}
