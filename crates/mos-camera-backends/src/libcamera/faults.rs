//! What the errors of `libcamerasrc` mean.
//!
//! Their debug texts are those of `src/gstreamer/gstlibcamerasrc.cpp` in libcamera 0.4 and 0.7, which are never translated.

use mos_camera_core::{DeviceId, Fault, FaultKind};

use crate::report::{Code, Report, common};

/// The fault of an error message.
pub(super) fn classify(device: &DeviceId, error: &gst::message::Error) -> Fault {
    fault(device, &Report::of(error))
}

fn fault(device: &DeviceId, report: &Report) -> Fault {
    let found = if report.element == super::ELEMENT {
        own(report)
    } else {
        None
    };
    let Some((kind, hint)) = found else {
        return common(device, report);
    };
    let message = format!("{device}: {}: {}", report.element, report.describe());
    Fault::new(kind, message, hint)
}

const ABSENT: (FaultKind, &str) = (
    FaultKind::Absent,
    "check the sensor's cable; the stream goes on when libcamera finds the camera again",
);
const BUSY: (FaultKind, &str) = (
    FaultKind::Busy,
    "stop the other program that uses the camera, or the other stream: the image signal processor has one way for pictures",
);
const PERMISSION: (FaultKind, &str) = (
    FaultKind::NoPermission,
    "make the service's user a member of the groups of /dev/media*, /dev/video* and /dev/dma_heap/* (on Debian `video`)",
);
const SETTINGS: (FaultKind, &str) = (
    FaultKind::Unsupported,
    "configure a size that `mosctl devices` lists for the camera, and a rate that its sensor has, or none: libcamera lists no rates",
);
const MEMORY: (FaultKind, &str) = (
    FaultKind::Internal,
    "the kernel has no contiguous memory left for pictures: a smaller size, fewer cameras, or a larger `cma=` on its command line",
);
const START: (FaultKind, &str) = (
    FaultKind::Internal,
    "the kernel's log says what the sensor or the receiver refused",
);

fn own(report: &Report) -> Option<(FaultKind, &'static str)> {
    use gst::ResourceError;
    let says = |text| report.says(text);
    match report.code {
        Code::Resource(ResourceError::NotFound) => Some(ABSENT),
        Code::Resource(ResourceError::Busy) => Some(BUSY),
        Code::Resource(ResourceError::NoSpaceLeft) => Some(MEMORY),
        _ => match errno(&report.debug) {
            Some(1 | 13) => Some(PERMISSION),
            Some(16) => Some(BUSY),
            Some(2 | 6 | 19) => Some(ABSENT),
            Some(12) => Some(MEMORY),
            // It named its formats when it was listed: of a camera that is gone, an element that is open learns no more than this.
            _ if says("generateConfiguration()") => Some(ABSENT),
            _ if says("Camera::configure()") => Some(SETTINGS),
            _ if says("Camera.start()") => Some(START),
            // It says no more than that caps were refused.
            _ if says("reason not-negotiated") => Some(SETTINGS),
            _ => None,
        },
    }
}

/// The number in `... failed with error code -13`.
fn errno(debug: &str) -> Option<i32> {
    let (_, number) = debug.rsplit_once("error code ")?;
    let digits: String = number
        .trim_start_matches('-')
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use mos_camera_core::Transport;

    use super::*;

    #[test]
    fn errors_have_the_class_that_decides_what_to_do() {
        use gst::{ResourceError, StreamError};
        let device = DeviceId::new(Transport::MipiCsi, "cam");
        let resource = Code::Resource;
        for (code, debug, kind) in [
            (
                resource(ResourceError::NotFound),
                "libcamera::CameraMananger::get() returned nullptr",
                FaultKind::Absent,
            ),
            (
                resource(ResourceError::Busy),
                "libcamera::Camera::acquire() failed: Success",
                FaultKind::Busy,
            ),
            (
                resource(ResourceError::Settings),
                "Camera::configure() failed with error code -22",
                FaultKind::Unsupported,
            ),
            (
                resource(ResourceError::Settings),
                "Camera::generateConfiguration() returned nullptr",
                FaultKind::Absent,
            ),
            (
                resource(ResourceError::Settings),
                "Camera.start() failed with error code -13",
                FaultKind::NoPermission,
            ),
            (
                resource(ResourceError::Settings),
                "Camera.start() failed with error code -16",
                FaultKind::Busy,
            ),
            (
                resource(ResourceError::Settings),
                "Camera.start() failed with error code -19",
                FaultKind::Absent,
            ),
            (
                resource(ResourceError::Settings),
                "Camera.start() failed with error code -32",
                FaultKind::Internal,
            ),
            (
                resource(ResourceError::Settings),
                "Camera.start() failed with error code -12",
                FaultKind::Internal,
            ),
            (
                resource(ResourceError::NoSpaceLeft),
                "gst_libcamera_allocator_new() failed.",
                FaultKind::Internal,
            ),
            (
                Code::Stream(StreamError::Failed),
                "streaming stopped, reason not-negotiated (-4)",
                FaultKind::Unsupported,
            ),
            (
                Code::Stream(StreamError::Failed),
                "streaming stopped, reason error (-5)",
                FaultKind::Internal,
            ),
        ] {
            let fault = fault(&device, &Report::new("libcamerasrc", code, "text", debug));
            assert_eq!(fault.kind, kind, "{debug}");
            assert!(
                fault.message.starts_with("csi:cam: libcamerasrc: "),
                "{fault}"
            );
        }
    }

    #[test]
    fn another_elements_error_is_none_of_libcameras() {
        let device = DeviceId::new(Transport::MipiCsi, "cam");
        let report = Report::new(
            "videoconvert",
            Code::Resource(gst::ResourceError::Busy),
            "text",
            "error code -13",
        );
        assert_eq!(fault(&device, &report), common(&device, &report));
    }
}
