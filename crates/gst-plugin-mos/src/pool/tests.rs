use std::os::fd::AsFd;

use gst::prelude::*;
use gst_video::{VideoAlignment, VideoBufferPoolConfig, VideoFormat, VideoInfo, VideoMeta};

use super::*;
use crate::memory::{fd_of, is_read_only};

fn nv12(width: u32, height: u32) -> (gst::Caps, VideoInfo) {
    gst::init().unwrap();
    let info = VideoInfo::builder(VideoFormat::Nv12, width, height)
        .build()
        .unwrap();
    (info.to_caps().unwrap(), info)
}

fn active(width: u32, height: u32, min: u32, max: u32) -> BusPool {
    let (caps, info) = nv12(width, height);
    let pool = BusPool::configured(&caps, info.size() as u32, min, max).unwrap();
    pool.set_active(true).unwrap();
    pool
}

#[test]
fn bounds() {
    for (min, asked, expected) in [
        (8, 0, 24),
        (8, 10, 10),
        (0, 0, 16),
        (250, 0, 256),
        (4, 1000, 256),
    ] {
        assert_eq!(upper_bound(min, asked), expected, "{min} {asked}");
    }
}

#[test]
fn upstream_writes_after_the_seal_and_a_receiver_can_only_read() {
    let pool = active(320, 240, 0, 2);
    let mut buffer = pool.acquire_buffer(None).unwrap();
    let fd = fd_of(buffer.peek_memory(0))
        .unwrap()
        .try_clone_to_owned()
        .unwrap();
    assert!(is_read_only(fd.as_fd()));
    for round in [7_u8, 8] {
        buffer
            .get_mut()
            .unwrap()
            .map_writable()
            .unwrap()
            .fill(round);
        let mut seen = [0_u8; 16];
        rustix::io::pread(&fd, &mut seen, 1000).unwrap();
        assert_eq!(seen, [round; 16]);
    }
    assert!(
        rustix::io::pwrite(&fd, &[1], 0).is_err(),
        "a receiver wrote"
    );
    // SAFETY: the kernel picks the address; the mapping is expected to be refused.
    let mapped = unsafe {
        use rustix::mm::{MapFlags, ProtFlags, mmap};
        mmap(
            std::ptr::null_mut(),
            4096,
            ProtFlags::READ | ProtFlags::WRITE,
            MapFlags::SHARED,
            &fd,
            0,
        )
    };
    assert_eq!(mapped.unwrap_err(), rustix::io::Errno::PERM);
}

#[test]
fn buffers_describe_their_planes_and_come_back() {
    let pool = active(322, 240, 0, 1);
    let (_, info) = nv12(322, 240);
    let first = pool.acquire_buffer(None).unwrap();
    let meta = first.meta::<VideoMeta>().unwrap();
    assert_eq!(
        (meta.offset(), meta.stride()),
        (&info.offset()[..2], &info.stride()[..2])
    );
    assert_eq!(first.size(), info.size());
    let id = mos_frame::memory::memory_id(fd_of(first.peek_memory(0)).unwrap()).unwrap();
    let full = gst::BufferPoolAcquireParams::with_flags(gst::BufferPoolAcquireFlags::DONTWAIT);
    assert_eq!(
        pool.acquire_buffer(Some(&full)).unwrap_err(),
        gst::FlowError::Eos
    );
    drop(first);
    let again = pool.acquire_buffer(Some(&full)).unwrap();
    assert_eq!(
        mos_frame::memory::memory_id(fd_of(again.peek_memory(0)).unwrap()).unwrap(),
        id
    );
}

#[test]
fn alignment_is_respected() {
    let (caps, info) = nv12(320, 240);
    let pool = BusPool::new();
    let mut config = pool.config();
    config.set_params(Some(&caps), info.size() as u32, 0, 0);
    config.add_option(gst_video::BUFFER_POOL_OPTION_VIDEO_META.as_ref());
    config.add_option(gst_video::BUFFER_POOL_OPTION_VIDEO_ALIGNMENT.as_ref());
    config.set_video_alignment(&VideoAlignment::new(0, 16, 0, 64, &[63, 63, 0, 0]));
    pool.set_config(config).unwrap();
    pool.set_active(true).unwrap();
    let buffer = pool.acquire_buffer(None).unwrap();
    let meta = buffer.meta::<VideoMeta>().unwrap();
    assert_eq!(meta.stride(), [384, 384]);
    assert!(buffer.size() >= 384 * (256 + 128));
    assert_eq!(pool.config().params().unwrap().3, BusPool::HEADROOM);
}

#[test]
fn nonsense_is_refused() {
    let (caps, info) = nv12(320, 240);
    assert!(BusPool::configured(&caps, info.size() as u32, 300, 0).is_err());
    assert!(BusPool::configured(&gst::Caps::new_empty_simple("audio/x-raw"), 4096, 1, 0).is_err());
}
