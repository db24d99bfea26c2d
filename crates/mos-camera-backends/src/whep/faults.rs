//! What the errors of a WebRTC session's elements mean. Most faults are the signalling's own, and need no reading.

use mos_camera_core::{Fault, FaultKind};

use super::Camera;
use crate::http::{parse_url, shown};
use crate::report::{Report, common};

/// The fault of an error message.
pub(super) fn classify(camera: &Camera, error: &gst::message::Error) -> Fault {
    let location = parse_url(&camera.source.url)
        .map(|url| shown(&url))
        .unwrap_or_default();
    fault(camera, &location, &Report::of(error))
}

fn fault(camera: &Camera, location: &str, report: &Report) -> Fault {
    let (kind, what, hint) = match report.element.as_str() {
        "dtlsdec" | "dtlsenc" => (
            FaultKind::Disconnected,
            "DTLS failed or was closed by the server",
            "it is tried again; if this goes on, the server accepts no ECDSA P-256 certificate or no DTLS 1.2",
        ),
        "nicesrc" | "nicesink" => (
            FaultKind::Disconnected,
            "the media's connection failed",
            "it is tried again; check that UDP passes between this machine and the server",
        ),
        "srtpdec" | "srtpenc" => (
            FaultKind::Disconnected,
            "packets of the server could not be decrypted",
            "it is tried again; if this goes on, the server and this machine disagree about SRTP",
        ),
        _ => return common(&camera.id, report),
    };
    let message = format!("{} at {location}: {what}: {}", camera.id, report.describe());
    Fault::new(kind, message, hint)
}

#[cfg(test)]
mod tests {
    use gst::ResourceError;
    use mos_camera_core::{DeviceId, Transport, WhepSource};

    use super::*;
    use crate::report::Code;

    #[test]
    fn elements_of_the_session_are_the_session_s() {
        let camera = Camera {
            id: DeviceId::new(Transport::Whep, "door"),
            source: WhepSource::new("https://host/whep?key=s3cret"),
            memory: std::sync::Arc::default(),
            codec: std::sync::Arc::default(),
        };
        for (element, kind) in [
            ("dtlsdec", FaultKind::Disconnected),
            ("nicesrc", FaultKind::Disconnected),
            ("srtpdec", FaultKind::Disconnected),
            ("avdec_h264", FaultKind::Internal),
        ] {
            let report = Report::new(element, Code::Resource(ResourceError::Failed), "No.", "");
            let fault = fault(&camera, "https://host/whep", &report);
            assert_eq!(fault.kind, kind, "{element}");
            assert!(
                fault.message.starts_with("whep:door") && !fault.hint.is_empty(),
                "{fault}"
            );
        }
    }
}
