//! Frames on their way through the kernel.

use std::path::Path;
use std::process::Command;

use mos_testkit::wait_until;
use mos_virtual_uvc::{CameraConfig, FormatKind, counter};

use crate::host::{Taking, WITHIN, all, frames, plug, ready};

/// Each number once, going up; the kernel may drop frames before a reader is there.
///
/// Neighbours may have changed places: uvcvideo copies each transfer in a work of its own on an unbound queue
/// (`uvc_video_complete` in `drivers/media/usb/uvc/uvc_video.c`), so of two frames of one transfer each the
/// second may be whole first.
fn assert_in_order(numbers: &[Option<u32>], count: usize) {
    assert_eq!(numbers.len(), count);
    let mut numbers: Vec<u32> = numbers
        .iter()
        .map(|number| number.unwrap_or_else(|| panic!("a frame without its number: {numbers:?}")))
        .collect();
    let later_by_two = numbers.windows(3).all(|of| of[0] < of[2]);
    assert!(later_by_two, "{numbers:?}");
    numbers.sort_unstable();
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
}

#[test]
fn raw_frames_arrive_whole_and_in_order() {
    if !ready("raw_frames_arrive_whole_and_in_order") {
        return;
    }
    let (camera, node) = plug(&CameraConfig::default());
    for (kind, step, size) in [
        (FormatKind::Nv12, 1, 115_200),
        (FormatKind::Yuyv, 2, 153_600),
    ] {
        let bytes = frames(&node, kind, 8);
        let numbers = bytes
            .chunks(size)
            .map(|frame| counter::read(frame, 320 * step, step));
        assert_in_order(&numbers.collect::<Vec<_>>(), 8);
        assert_eq!(bytes.len(), 8 * size);
        let stats = camera
            .wait("idle", WITHIN, |stats| stats.streaming.is_none())
            .unwrap();
        assert!(stats.frames >= 8);
    }
}

/// Decodes with GStreamer's jpegdec, which is libjpeg.
fn decode(node: &Path, count: usize) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("frames");
    let pipeline = format!(
        "v4l2src device={} num-buffers={count} ! image/jpeg,width=320,height=240 ! jpegdec ! video/x-raw,format=I420 ! filesink location={}",
        node.display(),
        file.display()
    );
    let output = Command::new("gst-launch-1.0")
        .arg("--quiet")
        .args(pipeline.split(' '))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", all(&output));
    std::fs::read(file).unwrap()
}

#[test]
fn jpegs_are_decoded_by_libjpeg_with_their_numbers() {
    if !ready("jpegs_are_decoded_by_libjpeg_with_their_numbers") {
        return;
    }
    let (_camera, node) = plug(&CameraConfig {
        tint: 200,
        ..CameraConfig::default()
    });
    let bytes = decode(&node, 6);
    let numbers = bytes
        .chunks(115_200)
        .map(|frame| counter::read(frame, 320, 1));
    assert_in_order(&numbers.collect::<Vec<_>>(), 6);
    // V is the last plane of I420, and the camera's tint.
    assert!(
        bytes.last().unwrap().abs_diff(200) < 4,
        "{:?}",
        bytes.last()
    );
}

#[test]
fn the_camera_sees_what_is_streamed() {
    if !ready("the_camera_sees_what_is_streamed") {
        return;
    }
    let (camera, node) = plug(&CameraConfig::default());
    let taking = Taking::start(&node, FormatKind::Yuyv);
    let stats = camera.wait_streaming(WITHIN).unwrap();
    assert_eq!(
        stats.streaming.unwrap().to_string(),
        "yuyv 320x240 at 30.0 fps"
    );
    camera.wait_frames(5, WITHIN).unwrap();
    drop(taking);
    camera
        .wait("idle", WITHIN, |stats| stats.streaming.is_none())
        .unwrap();
}

#[test]
fn a_camera_that_is_unplugged_while_it_streams_ends_its_reader() {
    if !ready("a_camera_that_is_unplugged_while_it_streams_ends_its_reader") {
        return;
    }
    let (camera, node) = plug(&CameraConfig::default());
    let mut taking = Taking::start(&node, FormatKind::Mjpeg);
    camera.wait_frames(3, WITHIN).unwrap();
    camera.unplug().unwrap();
    wait_until("end of the reader", WITHIN, || {
        (!taking.goes_on()).then_some(())
    })
    .unwrap();
    wait_until("node to go", WITHIN, || (!node.exists()).then_some(())).unwrap();
}
