//! What the errors of `v4l2src` mean.
//!
//! Texts of opening were recorded from runs (GStreamer 1.22); those of streaming are the ones of `sys/v4l2` in
//! gst-plugins-good, with the kernel's error as the last line.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use gst::prelude::*;
use mos_camera_core::{DeviceId, Fault, FaultKind};

use crate::report::{Code, Report, common};

/// The fault of an error message.
pub(super) fn classify(device: &DeviceId, error: &gst::message::Error) -> Fault {
    fault(device, &Report::of(error), || is_gone(error))
}

/// Whether the node that an error came from went away.
///
/// Which of its calls notices an unplugged camera is chance, and not all of them say why they failed.
fn is_gone(error: &gst::message::Error) -> bool {
    let element = error.src().filter(|src| src.has_property("device"));
    let path = element.and_then(|element| element.property::<Option<String>>("device"));
    // Without waiting, should the path have become a pipe.
    let opened = path.map(|path| {
        OpenOptions::new()
            .read(true)
            .custom_flags(rustix::fs::OFlags::NONBLOCK.bits() as i32)
            .open(path)
    });
    opened.is_some_and(|opened| opened.is_err_and(|error| says_gone(&error)))
}

/// `ENOENT` once the node is gone, `ENODEV` or `ENXIO` while it goes (open(2)).
pub(super) fn says_gone(error: &io::Error) -> bool {
    const ENXIO: i32 = 6;
    const ENODEV: i32 = 19;
    error.kind() == io::ErrorKind::NotFound || matches!(error.raw_os_error(), Some(ENXIO | ENODEV))
}

/// The fault of a failed system call on a node.
pub(super) fn of_system(device: &DeviceId, path: &Path, error: &io::Error) -> Fault {
    use rustix::io::Errno;
    let message = format!("{device}: {}: {error}", path.display());
    if says_gone(error) {
        return Fault::new(ABSENT.0, message, ABSENT.1);
    }
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    match errno {
        Some(Errno::ACCESS | Errno::PERM) => {
            let message = format!("{message}{}", owner(path));
            Fault::new(PERMISSION.0, message, PERMISSION.1)
        }
        Some(Errno::BUSY) => Fault::new(BUSY.0, message, BUSY.1),
        Some(Errno::NOTTY) => Fault::new(NO_CAMERA.0, message, NO_CAMERA.1),
        Some(Errno::MFILE | Errno::NFILE) => Fault::new(
            FaultKind::Internal,
            message,
            "raise the limit of open files (LimitNOFILE= of the service's unit)",
        ),
        _ => Fault::new(
            FaultKind::Internal,
            message,
            "the kernel's log may say more; unplug the camera and plug it in again",
        ),
    }
}

/// For messages: whom a node belongs to, since that is what a missing permission hangs on.
fn owner(path: &Path) -> String {
    std::fs::metadata(path).map_or_else(
        |_| String::new(),
        |about| {
            format!(
                "; it belongs to user {} and group {}, mode {:o}",
                about.uid(),
                about.gid(),
                about.mode() & 0o777
            )
        },
    )
}

/// Whether an error says that the node captures no pictures, or is no V4L2 node at all.
pub(super) fn is_no_capture(error: &gst::message::Error) -> bool {
    no_capture(&Report::of(error))
}

/// Opening failed without a word.
pub(super) fn unexplained(device: &DeviceId) -> Fault {
    Fault::new(
        FaultKind::Internal,
        format!("{device} can't be opened, and v4l2src does not say why"),
        "look at the log of the service and of the kernel; unplug the camera and plug it in again",
    )
}

fn no_capture(report: &Report) -> bool {
    report.text.contains("is not a capture device") || report.says("Capabilities: 0x")
}

/// The system's error that `v4l2src` appends to the debug text, by what it means for a camera.
///
/// `strerror` texts of the C locale; GStreamer appends `system error: <text>`.
fn fault(device: &DeviceId, report: &Report, gone: impl FnOnce() -> bool) -> Fault {
    if report.element != "v4l2src" {
        return common(device, report);
    }
    if no_capture(report) {
        return words(
            device,
            report,
            FaultKind::Unsupported,
            "use the capture node of the camera; list the devices to see it",
        );
    }
    match kind(report) {
        Some((kind, hint)) => words(device, report, kind, hint),
        None if gone() => words(device, report, ABSENT.0, ABSENT.1),
        None => common(device, report),
    }
}

const ABSENT: (FaultKind, &str) = (
    FaultKind::Absent,
    "plug the camera in again; it is taken up by itself",
);
const BUSY: (FaultKind, &str) = (
    FaultKind::Busy,
    "stop the other program that uses the camera (`fuser -v /dev/video*` names it)",
);
const PERMISSION: (FaultKind, &str) = (
    FaultKind::NoPermission,
    "put the user of the service into the group `video`, or change the node's permissions",
);
const UNSUPPORTED: (FaultKind, &str) = (
    FaultKind::Unsupported,
    "list the devices to see which sizes and rates the camera offers",
);
const NO_CAMERA: (FaultKind, &str) = (
    FaultKind::Unsupported,
    "the path has to be that of a V4L2 capture node",
);

fn kind(report: &Report) -> Option<(FaultKind, &'static str)> {
    use gst::ResourceError;
    Some(match report.code {
        _ if report.says("Permission denied") || report.says("Operation not permitted") => {
            PERMISSION
        }
        _ if report.says("Device or resource busy") => BUSY,
        _ if report.says("No such device") || report.says("No such file") => ABSENT,
        Code::Resource(ResourceError::Busy) => BUSY,
        Code::Resource(ResourceError::NotFound) => ABSENT,
        Code::Resource(ResourceError::Settings) if report.says("Inappropriate ioctl") => NO_CAMERA,
        Code::Resource(ResourceError::Settings) => UNSUPPORTED,
        Code::Stream(gst::StreamError::Failed) if report.says("not-negotiated") => UNSUPPORTED,
        _ => return None,
    })
}

fn words(device: &DeviceId, report: &Report, kind: FaultKind, hint: &str) -> Fault {
    Fault::new(kind, format!("{device}: {}", report.describe()), hint)
}

#[cfg(test)]
mod tests {
    use gst::{ResourceError, StreamError};
    use mos_camera_core::Transport;

    use super::*;

    fn reported(code: Code, text: &str, cause: &str) -> Report {
        let debug = format!(
            "../sys/v4l2/v4l2_calls.c(608): gst_v4l2_open (): /GstV4l2Src:v4l2src0:\n{cause}"
        );
        Report::new("v4l2src", code, text, &debug)
    }

    #[test]
    fn errors_mean_what_the_system_said() {
        use ResourceError as R;
        for (code, text, cause, kind) in [
            (
                R::NotFound,
                "Cannot identify device '/dev/video99'.",
                "system error: No such file or directory",
                FaultKind::Absent,
            ),
            (
                R::NotFound,
                "This isn't a device '/etc/passwd'.",
                "system error: Success",
                FaultKind::Absent,
            ),
            (
                R::Settings,
                "Error getting capabilities for device '/dev/null': It isn't a v4l2 driver. Check if it is a v4l1 driver.",
                "system error: Inappropriate ioctl for device",
                FaultKind::Unsupported,
            ),
            (
                R::OpenReadWrite,
                "Could not open device '/dev/video0' for reading and writing.",
                "system error: Permission denied",
                FaultKind::NoPermission,
            ),
            (
                R::Busy,
                "Device '/dev/video0' is busy",
                "Call to S_FMT failed for YUYV @ 640x480: Device or resource busy",
                FaultKind::Busy,
            ),
            (
                R::OpenReadWrite,
                "Could not open device '/dev/video0' for reading and writing.",
                "system error: Device or resource busy",
                FaultKind::Busy,
            ),
            (
                R::Read,
                "Failed to read from device",
                "system error: No such device",
                FaultKind::Absent,
            ),
            (
                R::Read,
                "Could not read from resource.",
                "poll error 1: No such device (19)",
                FaultKind::Absent,
            ),
            (
                R::Settings,
                "Device '/dev/video0' cannot capture at 17x17",
                "Tried to capture at 17x17, but device returned size 16x16",
                FaultKind::Unsupported,
            ),
            (
                R::NotFound,
                "Device '/dev/video1' is not a capture device.",
                "Capabilities: 0x85200001",
                FaultKind::Unsupported,
            ),
            (R::Failed, "something else", "", FaultKind::Internal),
        ] {
            let id = DeviceId::new(Transport::V4l2, "cam");
            let fault = fault(&id, &reported(Code::Resource(code), text, cause), || false);
            assert_eq!(fault.kind, kind, "{text}: {fault}");
            assert!(
                fault.message.contains("v4l2:cam") && !fault.hint.is_empty(),
                "{fault}"
            );
        }
    }

    #[test]
    fn nodes_that_do_not_capture_are_known_by_their_error() {
        let output = reported(
            Code::Resource(ResourceError::NotFound),
            "Device '/dev/video1' is not a capture device.",
            "Capabilities: 0x5208002",
        );
        assert!(no_capture(&output));
        let gone = reported(
            Code::Resource(ResourceError::NotFound),
            "Cannot identify device '/dev/video1'.",
            "system error: No such file or directory",
        );
        assert!(!no_capture(&gone));
    }

    #[test]
    fn a_size_that_can_not_be_negotiated_is_unsupported() {
        let id = DeviceId::new(Transport::V4l2, "cam");
        let report = Report::new(
            "v4l2src",
            Code::Stream(StreamError::Failed),
            "Internal data stream error.",
            "gst_base_src_loop (): /x:\nstreaming stopped, reason not-negotiated (-4)",
        );
        assert_eq!(fault(&id, &report, || false).kind, FaultKind::Unsupported);
    }

    #[test]
    fn a_failure_without_a_cause_is_an_unplugged_camera_if_its_node_is_gone() {
        let id = DeviceId::new(Transport::V4l2, "cam");
        let code = Code::Resource(ResourceError::NoSpaceLeft);
        let report = reported(code, "Failed to allocate a buffer", "");
        assert_eq!(fault(&id, &report, || true).kind, FaultKind::Absent);
        assert_eq!(fault(&id, &report, || false).kind, FaultKind::Internal);
    }

    #[test]
    fn system_errors_have_classes_of_their_own() {
        let id = DeviceId::new(Transport::V4l2, "cam");
        for (errno, kind) in [
            (2, FaultKind::Absent),
            (6, FaultKind::Absent),
            (19, FaultKind::Absent),
            (13, FaultKind::NoPermission),
            (1, FaultKind::NoPermission),
            (16, FaultKind::Busy),
            (25, FaultKind::Unsupported),
            (24, FaultKind::Internal),
            (5, FaultKind::Internal),
        ] {
            let error = io::Error::from_raw_os_error(errno);
            let fault = of_system(&id, Path::new("/dev/null"), &error);
            assert_eq!(fault.kind, kind, "{fault}");
            assert!(
                fault.message.starts_with("v4l2:cam: /dev/null: "),
                "{fault}"
            );
        }
        let denied = of_system(
            &id,
            Path::new("/dev/null"),
            &io::Error::from_raw_os_error(13),
        );
        assert!(
            denied
                .message
                .ends_with("belongs to user 0 and group 0, mode 666"),
            "{denied}"
        );
    }

    #[test]
    fn a_node_is_gone_when_opening_it_says_so() {
        for (errno, gone) in [(2, true), (6, true), (19, true), (13, false), (16, false)] {
            let error = io::Error::from_raw_os_error(errno);
            assert_eq!(says_gone(&error), gone, "{error}");
        }
    }
}
