//! What the errors of an RTSP session mean.
//!
//! The texts were recorded from runs against gst-rtsp-server and against ports that misbehave (GStreamer 1.22).

use std::time::Duration;

use mos_camera_core::carrier::{Carrier, Shown};
use mos_camera_core::{DeviceId, Fault, FaultKind, TlsProblem};

use super::memory::Run;
use super::url::{Url, is_tls};
use super::{Camera, tls};
use crate::report::{Code, Report, common};

/// The fault of an error message; what it shows about the carrier is remembered.
pub(super) fn classify(camera: &Camera, error: &gst::message::Error) -> Fault {
    let report = Report::of(error);
    let location = location(camera);
    let cause = {
        let mut known = camera.memory.lock();
        let cause = cause(&report, &known.run);
        if let Some(shown) = cause.and_then(Cause::shown) {
            known.show(shown);
        }
        cause
    };
    if let Some((problem, detail)) = cause.and_then(|cause| tls_problem(camera, cause)) {
        return problem.fault(&camera.id, &location, &detail);
    }
    let known = camera.memory.lock();
    let at = Place {
        device: &camera.id,
        location: &location,
        may_change: known.carriers.may_change(),
        run: &known.run,
    };
    fault(cause, &at, &report)
}

/// The camera sends its viewer from one address to the next, without end.
pub(super) fn circle(camera: &Camera) -> Fault {
    Fault::new(
        FaultKind::NotFound,
        format!(
            "{} at {}: the camera asks again and again, or redirects in a circle, and describes nothing",
            camera.id,
            location(camera)
        ),
        "check the path of the camera's URL; its manual lists the paths",
    )
}

/// Nothing came by a carrier that was agreed on.
pub(super) fn silence(camera: &Camera, carrier: Carrier, patience: Duration) -> Fault {
    let (id, location, next) = (
        &camera.id,
        location(camera),
        camera.memory.lock().carriers.next(),
    );
    Fault::new(
        FaultKind::NoFirstFrame,
        format!(
            "{id} at {location}: the camera plays, but no packet came by {carrier} within {patience:?}"
        ),
        format!(
            "{next} is tried next; check the camera's own limits on viewers, and that no firewall drops its packets"
        ),
    )
}

fn location(camera: &Camera) -> String {
    Url::parse(&camera.source.url)
        .map(|url| url.shown())
        .unwrap_or_default()
}

/// What was wrong with TLS, if that can be why: what was seen of the certificate, else what a look by ourselves tells.
fn tls_problem(camera: &Camera, cause: Cause) -> Option<(TlsProblem, String)> {
    if !is_tls(&camera.source.url) || !cause.may_be_tls() {
        return None;
    }
    let diagnosed = {
        let mut known = camera.memory.lock();
        if known.run.asked || known.run.tls.is_some() {
            return known.run.tls.clone();
        }
        std::mem::replace(&mut known.run.diagnosed, true)
    };
    if diagnosed {
        return None;
    }
    let url = Url::parse(&camera.source.url).ok()?;
    let problem = tls::diagnose(url.authority(), camera.source.timeout.min(LOOK));
    camera.memory.lock().run.tls.clone_from(&problem);
    problem
}

/// Longest look at a server whose TLS failed; it holds the stream's stop up for so long.
const LOOK: Duration = Duration::from_secs(2);

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
    NothingTaken,
    NoStreams,
    NoDescription,
    CarrierRefused,
    CarrierSilent,
    Certificate,
    Answer,
}

impl Cause {
    /// What it says about the session's carrier.
    const fn shown(self) -> Option<Shown> {
        match self {
            Self::CarrierRefused => Some(Shown::Refused),
            Self::CarrierSilent => Some(Shown::Silence),
            _ => None,
        }
    }

    /// Whether a connection that was not made for TLS looks like this.
    const fn may_be_tls(self) -> bool {
        matches!(
            self,
            Self::CannotConnect
                | Self::ConnectTimeout
                | Self::NoAnswer
                | Self::NotRtsp
                | Self::Closed
                | Self::Certificate
                | Self::Answer
        )
    }
}

/// Which camera it is about, and how far its session came.
#[derive(Debug, Clone, Copy)]
struct Place<'a> {
    device: &'a DeviceId,
    location: &'a str,
    /// Whether another carrier is tried next.
    may_change: bool,
    run: &'a Run,
}

/// The fault of a report.
fn fault(cause: Option<Cause>, at: &Place<'_>, report: &Report) -> Fault {
    match (cause, &at.run.refusal) {
        (Some(Cause::NothingTaken | Cause::NoStreams), Some(refusal)) => refusal.clone(),
        (Some(cause), _) => explain(cause, at, report),
        (None, _) => common(at.device, report),
    }
}

/// Finds the cause by the code and the untranslated debug text.
fn cause(report: &Report, run: &Run) -> Option<Cause> {
    use gst::{ResourceError, StreamError};
    if report.element != "rtspsrc" {
        return None;
    }
    let Code::Resource(code) = report.code else {
        // The element takes it for a missing plugin when none of the tracks is taken, or when the one that was wanted is
        // refused (461).
        let none_set_up = report.code == Code::Stream(StreamError::CodecNotFound);
        let cause = if run.asked {
            Cause::CarrierRefused
        } else {
            Cause::NothingTaken
        };
        return none_set_up.then_some(cause);
    };
    Some(match code {
        ResourceError::NotAuthorized if report.says("(403)") => Cause::Forbidden,
        ResourceError::NotAuthorized => Cause::Unauthorized,
        ResourceError::NotFound => Cause::NotFound,
        _ if report.says("(503)") || report.says("(453)") => Cause::Unavailable,
        _ if report.says("no protocols left") => Cause::CarrierRefused,
        _ if report.says("any UDP packets") => Cause::CarrierSilent,
        _ if report.says("SDP contains no streams") => Cause::NoStreams,
        _ if report.says("SDP") => Cause::NoDescription,
        _ if report.says("did not select transport") => Cause::CarrierRefused,
        // What else servers answer to a SETUP that they do not like.
        _ if run.asked && REFUSALS.iter().any(|code| report.says(code)) => Cause::CarrierRefused,
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

/// Answers to a SETUP that may be about its transport (RFC 2326, 11).
const REFUSALS: [&str; 5] = ["(400)", "(406)", "(461)", "(500)", "(501)"];

/// Words a cause.
fn explain(cause: Cause, at: &Place<'_>, report: &Report) -> Fault {
    let (device, location, carrier) = (at.device, at.location, at.run.carrier);
    let (kind, what, hint) = match cause {
        Cause::CarrierRefused | Cause::CarrierSilent => carrier_words(cause, at.may_change),
        cause => words(cause),
    };
    let more = match cause {
        Cause::CarrierRefused | Cause::CarrierSilent => format!(" by {carrier}"),
        Cause::Answer | Cause::Certificate => format!(": {}", report.describe()),
        _ => String::new(),
    };
    let message = format!("{device} at {location}: {what}{more}");
    Fault::new(kind, message, hint)
}

/// A carrier that did not do: where another one may be tried this is no matter for a person.
const fn carrier_words(cause: Cause, may_change: bool) -> (FaultKind, &'static str, &'static str) {
    let refused = matches!(cause, Cause::CarrierRefused);
    let what = if refused {
        "the camera refuses to send its media"
    } else {
        "the camera plays, but no packet came"
    };
    match (may_change, refused) {
        (true, true) => (
            FaultKind::Unreachable,
            what,
            "the other transport is tried next",
        ),
        (true, false) => (
            FaultKind::NoFirstFrame,
            what,
            "it is tried again, and then by the other transport",
        ),
        (false, true) => (
            FaultKind::Unsupported,
            what,
            "use `transport = \"auto\"`, or the transport that the camera takes",
        ),
        (false, false) => (
            FaultKind::NoFirstFrame,
            what,
            "check that no firewall drops UDP from the camera, or use `transport = \"auto\"`",
        ),
    }
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
        Cause::NothingTaken | Cause::NoStreams => (
            FaultKind::Unsupported,
            "the camera describes no media to take",
            "check the path of the camera's URL, and that its video is switched on",
        ),
        Cause::NoDescription => (
            FaultKind::NotFound,
            "the server's answer is no session description",
            "check the path of the camera's URL; its manual lists the paths",
        ),
        Cause::CarrierRefused | Cause::CarrierSilent => carrier_words(cause, true),
        Cause::Certificate => (
            FaultKind::Unreachable,
            "the connection was not made",
            "the log of the service has the details",
        ),
        Cause::Answer => (
            FaultKind::Internal,
            "the session failed",
            "the log of the service has the details",
        ),
    }
}

#[cfg(test)]
mod tests {
    use gst::{CoreError, ResourceError, StreamError};
    use mos_camera_core::{RtspSource, Transport};

    use super::*;

    const OPEN: Code = Code::Resource(ResourceError::OpenReadWrite);
    const READ: Code = Code::Resource(ResourceError::Read);

    fn door() -> DeviceId {
        DeviceId::new(Transport::Rtsp, "door")
    }

    fn run(asked: bool) -> Run {
        let memory = super::super::memory::Memory::new(&RtspSource::new("rtsp://door/live"));
        let mut run = memory.lock().run.clone();
        run.asked = asked;
        run
    }

    fn place<'a>(device: &'a DeviceId, run: &'a Run) -> Place<'a> {
        Place {
            device,
            location: "rtsp://door/live",
            may_change: true,
            run,
        }
    }

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
            (
                "no media at all",
                recorded(
                    Code::Resource(ResourceError::Settings),
                    "Internal data stream error.",
                    "7826): gst_rtspsrc_setup_streams_start",
                    "SDP contains no streams",
                ),
                FaultKind::Unsupported,
            ),
        ] {
            let run = run(false);
            let fault = fault(cause(&report, &run), &place(&door(), &run), &report);
            assert_eq!(fault.kind, kind, "{title}: {fault}");
            assert!(
                fault.message.starts_with("rtsp:door at rtsp://door/live: "),
                "{title}: {fault}"
            );
            assert!(!fault.hint.is_empty(), "{title}");
        }
    }

    #[test]
    fn a_refused_carrier_is_told_from_a_track_that_was_not_taken() {
        let none = recorded(
            Code::Stream(StreamError::CodecNotFound),
            "No supported stream was found.",
            "1): f",
            "",
        );
        let bad = |code: &str| {
            let code = format!("Error ({code}): x");
            recorded(Code::Resource(ResourceError::Write), "x", "7694): f", &code)
        };
        let settings =
            |cause| recorded(Code::Resource(ResourceError::Settings), "x", "1): f", cause);
        let udp = recorded(
            READ,
            "x",
            "6137): f",
            "Could not receive any UDP packets for 5.0 seconds, maybe",
        );
        for (report, asked, expected, shown) in [
            (&none, false, Cause::NothingTaken, None),
            (&none, true, Cause::CarrierRefused, Some(Shown::Refused)),
            (
                &bad("461"),
                true,
                Cause::CarrierRefused,
                Some(Shown::Refused),
            ),
            (
                &bad("400"),
                true,
                Cause::CarrierRefused,
                Some(Shown::Refused),
            ),
            (&bad("400"), false, Cause::Answer, None),
            (&bad("503"), true, Cause::Unavailable, None),
            (
                &settings("Server did not select transport."),
                true,
                Cause::CarrierRefused,
                Some(Shown::Refused),
            ),
            (
                &settings("Server does not support SDP, got text/html."),
                false,
                Cause::NoDescription,
                None,
            ),
            (
                &settings("Server can not provide an SDP."),
                false,
                Cause::NoDescription,
                None,
            ),
            (
                &settings("SDP contains no streams"),
                false,
                Cause::NoStreams,
                None,
            ),
            (&udp, true, Cause::CarrierSilent, Some(Shown::Silence)),
        ] {
            let found = cause(report, &run(asked)).unwrap();
            assert_eq!((found, found.shown()), (expected, shown), "{report:?}");
        }
    }

    #[test]
    fn only_where_no_other_carrier_is_tried_a_person_is_asked() {
        for (cause, may_change, kind) in [
            (Cause::CarrierRefused, true, FaultKind::Unreachable),
            (Cause::CarrierRefused, false, FaultKind::Unsupported),
            (Cause::CarrierSilent, true, FaultKind::NoFirstFrame),
            (Cause::CarrierSilent, false, FaultKind::NoFirstFrame),
        ] {
            assert_eq!(carrier_words(cause, may_change).0, kind);
        }
    }

    #[test]
    fn errors_of_other_elements_are_not_the_session_s() {
        let report = Report::new(
            "h264parse",
            Code::Core(CoreError::MissingPlugin),
            "no decoder",
            "",
        );
        let run = run(false);
        let fault = fault(cause(&report, &run), &place(&door(), &run), &report);
        assert_eq!(fault.kind, FaultKind::Missing);
    }
}
