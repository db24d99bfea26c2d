//! What each fault looks like at the node.

use std::time::Duration;

use mos_virtual_uvc::{CameraConfig, ControlId, Error, Fault, FormatKind};

use crate::host::{Taking, WITHIN, frames, plug, ready, v4l2};

#[test]
fn a_stall_stops_the_frames_without_an_error() {
    if !ready("a_stall_stops_the_frames_without_an_error") {
        return;
    }
    let (camera, node) = plug(&CameraConfig::default());
    let mut taking = Taking::start(&node, FormatKind::Mjpeg);
    camera.wait_frames(5, WITHIN).unwrap();
    camera.set_fault(Fault::Stall).unwrap();
    // One may have been begun.
    let last = camera.stats().frames + 1;
    let more = camera.wait("sending", Duration::from_secs(3), |stats| {
        stats.frames > last
    });
    assert!(matches!(more, Err(Error::TimedOut { .. })), "{more:?}");
    assert!(taking.goes_on());
    assert!(camera.stats().streaming.is_some());

    camera.clear_faults().unwrap();
    camera.wait_frames(5, WITHIN).unwrap();
    assert!(taking.goes_on());
}

/// Width and height in a JPEG's start of frame (ITU-T T.81, B.2.2).
fn size(jpeg: &[u8]) -> Option<(u16, u16)> {
    let at = jpeg.windows(2).position(|two| two == [0xff, 0xc0])?;
    let number = |from: usize| Some(u16::from_be_bytes([*jpeg.get(from)?, *jpeg.get(from + 1)?]));
    Some((number(at + 7)?, number(at + 5)?))
}

#[test]
fn spoilt_jpegs_reach_the_reader() {
    if !ready("spoilt_jpegs_reach_the_reader") {
        return;
    }
    let (camera, node) = plug(&CameraConfig::default());
    let take = |fault| {
        camera.clear_faults().unwrap();
        camera.set_fault(fault).unwrap();
        frames(&node, FormatKind::Mjpeg, 1)
    };
    let is_whole = |jpeg: &[u8]| jpeg.starts_with(&[0xff, 0xd8]) && jpeg.ends_with(&[0xff, 0xd9]);

    let whole = take(Fault::SlowControls {
        delay: Duration::ZERO,
    });
    assert!(is_whole(&whole) && size(&whole) == Some((320, 240)));
    let short = take(Fault::ShortFrames);
    assert!(
        !is_whole(&short) && short.len() < whole.len() * 2 / 3,
        "{}",
        short.len()
    );
    let corrupt = take(Fault::CorruptJpeg);
    assert!(is_whole(&corrupt));
    let (middle, eighth) = (corrupt.len() / 2, corrupt.len() / 8);
    // Entropy-coded data hold no 0xff without a 0 or a restart marker after it (ITU-T T.81, B.1.1.5): this is no such data.
    let data = &corrupt[middle..middle + eighth];
    assert!(
        data.windows(2)
            .any(|two| two[0] == 0xff && !matches!(two[1], 0 | 0xd0..=0xd7))
    );
    let endless = take(Fault::NoEoi);
    assert!(!is_whole(&endless) && endless.starts_with(&[0xff, 0xd8]));
    let other = take(Fault::WrongSize);
    assert!(is_whole(&other) && size(&other) == Some((160, 120)));
}

/// The kernel drops raw frames of another length than was agreed on, and all with the error bit.
#[test]
fn what_the_kernel_can_tell_is_spoilt_does_not_reach_the_reader() {
    if !ready("what_the_kernel_can_tell_is_spoilt_does_not_reach_the_reader") {
        return;
    }
    let (camera, node) = plug(&CameraConfig::default());
    let cases = [
        (FormatKind::Yuyv, Fault::ShortFrames),
        (FormatKind::Nv12, Fault::WrongSize),
        (FormatKind::Yuyv, Fault::ErrorBit),
        (FormatKind::Mjpeg, Fault::ErrorBit),
    ];
    for (kind, fault) in cases {
        camera.set_fault(fault).unwrap();
        let mut taking = Taking::start(&node, kind);
        camera.wait_frames(5, WITHIN).unwrap();
        assert_eq!(taking.bytes(), 0, "{kind} {fault}");
        camera.clear_faults().unwrap();
        // More than the kernel has buffers for: some reached the reader.
        camera.wait_frames(12, WITHIN).unwrap();
        mos_testkit::wait_until("good frames", WITHIN, || (taking.bytes() > 0).then_some(()))
            .unwrap();
        assert!(taking.goes_on());
        drop(taking);
        camera
            .wait("idle", WITHIN, |stats| stats.streaming.is_none())
            .unwrap();
    }
}

#[test]
fn a_stalled_control_fails_alone() {
    if !ready("a_stalled_control_fails_alone") {
        return;
    }
    let (camera, node) = plug(&CameraConfig::default());
    camera
        .set_fault(Fault::ControlStall(ControlId::Gain))
        .unwrap();
    let refused = v4l2(&node, &["--set-ctrl", "gain=9"]);
    assert!(!refused.status.success(), "{refused:?}");
    assert_eq!(camera.control(ControlId::Gain), Some(0));
    assert!(v4l2(&node, &["--set-ctrl", "contrast=9"]).status.success());
    assert_eq!(camera.control(ControlId::Contrast), Some(9));
    camera.clear_faults().unwrap();
    assert!(v4l2(&node, &["--set-ctrl", "gain=9"]).status.success());
    assert_eq!(camera.control(ControlId::Gain), Some(9));
}

#[test]
fn a_slow_camera_is_served_all_the_same() {
    if !ready("a_slow_camera_is_served_all_the_same") {
        return;
    }
    let delay = Duration::from_millis(60);
    let faults = vec![Fault::SlowControls { delay }];
    let (camera, node) = plug(&CameraConfig {
        faults,
        ..CameraConfig::default()
    });
    let start = std::time::Instant::now();
    assert!(v4l2(&node, &["--set-ctrl", "contrast=9"]).status.success());
    assert!(start.elapsed() >= delay);
    assert_eq!(camera.control(ControlId::Contrast), Some(9));
    assert_eq!(frames(&node, FormatKind::Yuyv, 2).len(), 2 * 153_600);
}
