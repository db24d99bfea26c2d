//! What the errors of an RTSP session mean.
//!
//! The texts were recorded from runs against gst-rtsp-server and against ports that misbehave (GStreamer 1.22).

use mos_camera_core::{DeviceId, Fault, FaultKind};

use super::Camera;
use super::url::Url;
use crate::report::{Code, Report, common};

/// The fault of an error message.
pub(super) fn classify(camera: &Camera, error: &gst::message::Error) -> Fault {
    let location = Url::parse(&camera.source.url)
        .map(|url| url.shown())
        .unwrap_or_default();
    fault(
        &camera.id,
        &location,
        &camera.offer.list(),
        &Report::of(error),
    )
}

/// What a session can fail of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    CannotConnect,
    ConnectTimeout,
    NoAnswer,
    NotRtsp,
    Unauthorized,
    Forbidden,
    NotFound,
    Unavailable,
    Closed,
    NoH264,
    Certificate,
    Answer,
}

/// The fault of a report about the camera at `location`, which said that it has the streams of `offer`.
fn fault(device: &DeviceId, location: &str, offer: &[String], report: &Report) -> Fault {
    match cause(report) {
        Some(cause) => explain(cause, device, location, offer, report),
        None => common(device, report),
    }
}

/// Finds the cause by the code and the untranslated debug text.
fn cause(report: &Report) -> Option<Cause> {
    use gst::{ResourceError, StreamError};
    if report.element != "rtspsrc" {
        return None;
    }
    let Code::Resource(code) = report.code else {
        // The element takes it for a missing plugin when none of the streams is wanted.
        let none_chosen = report.code == Code::Stream(StreamError::CodecNotFound);
        return none_chosen.then_some(Cause::NoH264);
    };
    Some(match code {
        ResourceError::NotAuthorized if report.says("(403)") => Cause::Forbidden,
        ResourceError::NotAuthorized => Cause::Unauthorized,
        ResourceError::NotFound => Cause::NotFound,
        _ if report.says("(503)") || report.says("(453)") => Cause::Unavailable,
        _ if report.says("TLS") || report.says("ertificate") => Cause::Certificate,
        _ if report.says("closed the connection") || report.says("gst_rtspsrc_loop") => {
            Cause::Closed
        }
        ResourceError::OpenReadWrite if report.says("Timeout") => Cause::ConnectTimeout,
        ResourceError::OpenReadWrite => Cause::CannotConnect,
        _ if report.says("Timeout") => Cause::NoAnswer,
        _ if report.says("Parse error") => Cause::NotRtsp,
        ResourceError::Read if report.says("End-of-file") || report.says("System error") => {
            Cause::Closed
        }
        _ => Cause::Answer,
    })
}

/// Words a cause.
fn explain(
    cause: Cause,
    device: &DeviceId,
    location: &str,
    offer: &[String],
    report: &Report,
) -> Fault {
    let (kind, what, hint) = words(cause);
    let more = match cause {
        Cause::NoH264 => format!("; it offers {}", offered(offer)),
        Cause::Answer | Cause::Certificate => format!(": {}", report.describe()),
        _ => String::new(),
    };
    let message = format!("{device} at {location}: {what}{more}");
    Fault::new(kind, message, hint)
}

fn words(cause: Cause) -> (FaultKind, &'static str, &'static str) {
    match cause {
        Cause::CannotConnect => (
            FaultKind::Unreachable,
            "can't connect: the connection is refused, there is no route, or the host's name is unknown",
            "check host and port in the camera's URL, and that the camera is on",
        ),
        Cause::ConnectTimeout => (
            FaultKind::Unreachable,
            "no answer to the connection within the camera's timeout",
            "check that the camera is on and that no firewall drops the connection",
        ),
        Cause::NoAnswer => (
            FaultKind::Unreachable,
            "connected, but the server did not answer within the camera's timeout",
            "check that the port is the camera's RTSP port; restart the camera if it is",
        ),
        Cause::NotRtsp => (
            FaultKind::Unreachable,
            "no RTSP answer: the address can't be reached, or what listens there speaks another protocol",
            "check host and port in the camera's URL (RTSP's port is 554)",
        ),
        Cause::Unauthorized => (
            FaultKind::Unauthorized,
            "the camera refuses user and password (401)",
            "correct them and reset the stream; it is not retried by itself, since cameras lock accounts out",
        ),
        Cause::Forbidden => (
            FaultKind::Unauthorized,
            "the user may not see this stream (403)",
            "give the user the right to view in the camera's settings, or use another one; then reset the stream",
        ),
        Cause::NotFound => (
            FaultKind::NotFound,
            "the camera is there, but has no stream at this path (404)",
            "check the path of the camera's URL; its manual lists the paths",
        ),
        Cause::Unavailable => (
            FaultKind::Busy,
            "the camera can't serve another viewer now (503 or 453)",
            "it is tried again; if this goes on, disconnect other viewers or restart the camera",
        ),
        Cause::Closed => (
            FaultKind::Disconnected,
            "the camera closed the connection",
            "it is tried again; if this goes on, the camera may restart or allow fewer viewers",
        ),
        Cause::NoH264 => (
            FaultKind::Unsupported,
            "no H.264 video to take",
            "set the camera to H.264, or use the path of its H.264 stream",
        ),
        Cause::Certificate => (
            FaultKind::Unreachable,
            "the TLS connection was not made",
            "the camera's certificate has to be valid for its name and issued by an authority that this machine trusts",
        ),
        Cause::Answer => (
            FaultKind::Internal,
            "the session failed",
            "the log of the service has the details",
        ),
    }
}

fn offered(offer: &[String]) -> String {
    if offer.is_empty() {
        "nothing".to_owned()
    } else {
        offer.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use gst::{CoreError, ResourceError, StreamError};
    use mos_camera_core::Transport;

    use super::*;

    const OPEN: Code = Code::Resource(ResourceError::OpenReadWrite);
    const READ: Code = Code::Resource(ResourceError::Read);

    /// Debug texts begin with the place in the source and the element's path.
    fn recorded(code: Code, text: &str, place: &str, cause: &str) -> Report {
        let debug = format!(
            "../gst/rtsp/gstrtspsrc.c({place} (): /GstPipeline:pipeline0/GstRTSPSrc:rtspsrc0:\n{cause}"
        );
        Report::new("rtspsrc", code, text, &debug)
    }

    #[test]
    fn recorded_errors_mean_what_they_meant() {
        let open = "Could not open resource for reading and writing.";
        let read = "Could not read from resource.";
        let no_stream = "No supported stream was found. You might need to allow more transport protocols or may otherwise be missing the right GStreamer RTSP extension plugin.";
        let (connect, receive) = (
            "8336): gst_rtspsrc_retrieve_sdp",
            "6682): gst_rtsp_src_receive_response",
        );
        for (title, report, kind) in [
            (
                "port refused, name unknown",
                recorded(OPEN, open, connect, "Failed to connect. (Generic error)"),
                FaultKind::Unreachable,
            ),
            (
                "host gone",
                recorded(
                    OPEN,
                    open,
                    connect,
                    "Failed to connect. (Timeout while waiting for server response)",
                ),
                FaultKind::Unreachable,
            ),
            (
                "port silent",
                recorded(
                    READ,
                    read,
                    receive,
                    "Could not receive message. (Timeout while waiting for server response)",
                ),
                FaultKind::Unreachable,
            ),
            (
                "no route, HTTP server",
                recorded(
                    READ,
                    read,
                    receive,
                    "Could not receive message. (Parse error)",
                ),
                FaultKind::Unreachable,
            ),
            (
                "wrong password",
                recorded(
                    Code::Resource(ResourceError::NotAuthorized),
                    "Unauthorized",
                    "6899): gst_rtspsrc_send",
                    "Unauthorized (401)",
                ),
                FaultKind::Unauthorized,
            ),
            (
                "unknown path",
                recorded(
                    Code::Resource(ResourceError::NotFound),
                    "Not found",
                    "6895): gst_rtspsrc_send",
                    "Not Found (404)",
                ),
                FaultKind::NotFound,
            ),
            (
                "media shutting down",
                recorded(
                    Code::Resource(ResourceError::Read),
                    "Unhandled error",
                    "6954): gst_rtspsrc_send",
                    "Service Unavailable (503)",
                ),
                FaultKind::Busy,
            ),
            (
                "TCP server killed",
                recorded(
                    READ,
                    read,
                    "5885): gst_rtspsrc_loop_interleaved",
                    "The server closed the connection.",
                ),
                FaultKind::Disconnected,
            ),
            (
                "UDP server killed",
                recorded(
                    READ,
                    read,
                    "5970): gst_rtspsrc_loop_udp",
                    "The server closed the connection.",
                ),
                FaultKind::Disconnected,
            ),
            (
                "UDP server killed, second message",
                recorded(
                    OPEN,
                    open,
                    "6038): gst_rtspsrc_loop_udp",
                    "Could not connect to server. (Generic error)",
                ),
                FaultKind::Disconnected,
            ),
            (
                "audio only",
                recorded(
                    Code::Stream(StreamError::CodecNotFound),
                    no_stream,
                    "7894): gst_rtspsrc_setup_streams_start",
                    "",
                ),
                FaultKind::Unsupported,
            ),
        ] {
            let id = DeviceId::new(Transport::Rtsp, "door");
            let fault = fault(&id, "rtsp://door/live", &["audio PCMA".to_owned()], &report);
            assert_eq!(fault.kind, kind, "{title}: {fault}");
            assert!(
                fault.message.starts_with("rtsp:door at rtsp://door/live: "),
                "{title}: {fault}"
            );
            assert!(!fault.hint.is_empty(), "{title}");
        }
    }

    #[test]
    fn a_camera_without_h264_is_told_with_what_it_offers() {
        let id = DeviceId::new(Transport::Rtsp, "door");
        let report = recorded(
            Code::Stream(StreamError::CodecNotFound),
            "No supported stream was found.",
            "1): f",
            "",
        );
        let offer = ["video JPEG".to_owned(), "audio PCMA".to_owned()];
        let fault = fault(&id, "rtsp://door/", &offer, &report);
        assert!(
            fault.message.ends_with("it offers video JPEG, audio PCMA"),
            "{fault}"
        );
    }

    #[test]
    fn errors_of_other_elements_are_not_the_session_s() {
        let id = DeviceId::new(Transport::Rtsp, "door");
        let report = Report::new(
            "h264parse",
            Code::Core(CoreError::MissingPlugin),
            "no decoder",
            "",
        );
        assert_eq!(fault(&id, "", &[], &report).kind, FaultKind::Missing);
    }
}
