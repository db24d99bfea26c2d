//! What the errors of `qticamsrc` mean.
//!
//! Its texts are those of `camera_source.c` in `qualcomm/gst-plugins-imsdk`, which are not translated; its codes tell less.

use mos_camera_core::platform::CsiBackend;
use mos_camera_core::{DeviceId, Fault, FaultKind};

use super::registry::Registry;
use crate::report::{Code, Report, common};

/// The fault of an error message.
pub(super) fn classify(
    registry: &Registry,
    device: &DeviceId,
    error: &gst::message::Error,
) -> Fault {
    let around = Around {
        open_elsewhere: error
            .src()
            .is_some_and(|src| registry.is_open_elsewhere(src)),
        listens: registry.check_service().is_ok(),
    };
    fault(device, &Report::of(error), around)
}

/// What the element does not tell.
#[derive(Debug, Clone, Copy)]
struct Around {
    /// Another stream of ours has the camera.
    open_elsewhere: bool,
    /// The service listens.
    listens: bool,
}

fn fault(device: &DeviceId, report: &Report, around: Around) -> Fault {
    let own = CsiBackend::Qmmf
        .elements()
        .contains(&report.element.as_str());
    let Some((kind, hint)) = own.then(|| meaning(report, around)).flatten() else {
        return common(device, report);
    };
    let message = format!("{device}: {}: {}", report.element, report.describe());
    Fault::new(kind, message, hint)
}

type Meaning = (FaultKind, &'static str);

const DIED: Meaning = (
    FaultKind::Disconnected,
    "the camera service died; the stream is opened again by itself when it is back. Its log (`journalctl -u cam-server`) may say why",
);
const BROKE_DOWN: Meaning = (
    FaultKind::Disconnected,
    "the camera or its driver broke down; it is opened again by itself. The kernel's log and the camera service's may say why",
);
const BUSY: Meaning = (
    FaultKind::Busy,
    "another stream has this camera: it gives one stream; subscribe to that one, or stop it",
);
const NO_SERVICE: Meaning = (
    FaultKind::Unreachable,
    "start the camera service (`systemctl start cam-server`, or as the board's maker names it); the stream is opened again when it is back",
);
const NOT_OPENED: Meaning = (
    FaultKind::Absent,
    "check the camera's cable, whether another program has it open, and by `mosctl devices` whether it is this number of the camera service's",
);
const NO_STREAM: Meaning = (
    FaultKind::Internal,
    "the sensor may not give this size and rate, or the chip not beside its other streams: try a smaller size; the camera service's log says more",
);

fn meaning(report: &Report, around: Around) -> Option<Meaning> {
    use gst::{ResourceError, StreamError};
    let says = |text| report.text.contains(text);
    match report.code {
        Code::Resource(ResourceError::NotFound) if says("service has died") => Some(DIED),
        Code::Resource(ResourceError::NotFound) if says("Open Camera") => Some(match around {
            Around { listens: false, .. } => NO_SERVICE,
            Around {
                open_elsewhere: true,
                ..
            } => BUSY,
            _ => NOT_OPENED,
        }),
        Code::Resource(ResourceError::Failed) => Some(BROKE_DOWN),
        Code::Stream(StreamError::Failed) if !around.listens => Some(DIED),
        Code::Stream(StreamError::Failed) if says("create stream") || says("start stream") => {
            Some(NO_STREAM)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use mos_camera_core::Transport;

    use super::*;

    const ALONE: Around = Around {
        open_elsewhere: false,
        listens: true,
    };

    #[test]
    fn errors_have_the_class_that_decides_what_to_do() {
        use gst::{CoreError, ResourceError, StreamError};
        let device = DeviceId::new(Transport::Gmsl2, "max96712@29/link0");
        let resource = Code::Resource;
        let failed = Code::Stream(StreamError::Failed);
        let busy = Around {
            open_elsewhere: true,
            ..ALONE
        };
        let deserted = Around {
            listens: false,
            ..busy
        };
        for (code, text, around, kind) in [
            (
                resource(ResourceError::NotFound),
                "Camera service has died !",
                ALONE,
                FaultKind::Disconnected,
            ),
            (
                resource(ResourceError::Failed),
                "Camera device encountered an un-recovarable error !",
                ALONE,
                FaultKind::Disconnected,
            ),
            (
                resource(ResourceError::NotFound),
                "Failed to Open Camera!",
                ALONE,
                FaultKind::Absent,
            ),
            (
                resource(ResourceError::NotFound),
                "Failed to Open Camera!",
                busy,
                FaultKind::Busy,
            ),
            (
                resource(ResourceError::NotFound),
                "Failed to Open Camera!",
                deserted,
                FaultKind::Unreachable,
            ),
            (
                failed,
                "Failed to create stream!",
                ALONE,
                FaultKind::Internal,
            ),
            (
                failed,
                "Failed to start stream!",
                ALONE,
                FaultKind::Internal,
            ),
            (
                failed,
                "Failed to stop stream!",
                deserted,
                FaultKind::Disconnected,
            ),
            (failed, "Failed to stop stream!", ALONE, FaultKind::Internal),
            (
                Code::Core(CoreError::Event),
                "Failed to send EOS to source pads !",
                ALONE,
                FaultKind::Internal,
            ),
        ] {
            for element in CsiBackend::Qmmf.elements() {
                let fault = fault(&device, &Report::new(element, code, text, ""), around);
                assert_eq!(fault.kind, kind, "{text} {around:?}");
                assert!(
                    fault.message.contains(text) && !fault.hint.is_empty(),
                    "{fault}"
                );
            }
        }
    }

    #[test]
    fn another_elements_error_is_none_of_the_services() {
        let device = DeviceId::new(Transport::Gmsl2, "x");
        let code = Code::Resource(gst::ResourceError::Failed);
        let report = Report::new("qtivtransform", code, "text", "");
        assert_eq!(fault(&device, &report, ALONE), common(&device, &report));
    }
}
