//! What it means for a camera that a conversation failed.

use mos_camera_core::profile::ProfileError;
use mos_camera_core::{DeviceId, Fault, FaultKind, Health};

use super::talk::TalkError;
use crate::http::HttpError;

/// The fault of a stream of the camera at `location`.
pub(super) fn fault(device: &DeviceId, location: &str, error: &TalkError) -> Fault {
    if let TalkError::Http(error) = error {
        return error.fault(device, location);
    }
    let (kind, hint) = advice(error);
    Fault::new(kind, format!("{device} at {location}: {error}"), hint)
}

fn advice(error: &TalkError) -> (FaultKind, &'static str) {
    match error {
        TalkError::Http(_) | TalkError::Soap { .. } => (
            FaultKind::Internal,
            "the camera does not keep to ONVIF, or another program answers at this port: check the address, update the camera's firmware, or use its RTSP URL instead",
        ),
        TalkError::Status {
            status: 301 | 302 | 303 | 307 | 308,
            ..
        } => (
            FaultKind::NotFound,
            "the camera wants another URL, mostly https: put it into the camera's `address`",
        ),
        TalkError::Status { status: 503, .. } => (
            FaultKind::Busy,
            "the camera has too much to do; it is tried again",
        ),
        TalkError::Status { .. } => (
            FaultKind::NotFound,
            "check the port of the camera's address, and that ONVIF is switched on in its settings",
        ),
        TalkError::Fault { .. } => (
            FaultKind::Unsupported,
            "the camera's settings or its manual may say more",
        ),
        TalkError::NoCredentials => (
            FaultKind::Unauthorized,
            "give the camera's table a `user` and a password, or all cameras one in the table `onvif`; some cameras have users for ONVIF apart from others",
        ),
        TalkError::Denied { plain_left: false } => (
            FaultKind::Unauthorized,
            "correct them and reset the stream; nothing is tried again by itself, since cameras lock accounts out. Some cameras have users for ONVIF apart from others",
        ),
        TalkError::Denied { plain_left: true } => (
            FaultKind::Unauthorized,
            "correct them and reset the stream; nothing is tried again by itself, since cameras lock accounts out. Some cameras have users for ONVIF apart from others. If the camera takes no digest at all, `plain_password = true` lets the password be sent as it is",
        ),
    }
}

/// How the camera is, by what its conversation failed of.
pub(super) fn health(error: &TalkError) -> Health {
    let hint = match error {
        TalkError::Http(_) => String::new(),
        error => format!(" ({})", advice(error).1),
    };
    let text = format!("{error}{hint}");
    match error {
        TalkError::Http(
            HttpError::NotHttp | HttpError::CredentialsInUrl | HttpError::Authorities(_),
        ) => Health::Unusable(text),
        TalkError::Http(HttpError::Connect(_) | HttpError::Timeout | HttpError::Client(_)) => {
            Health::Unreachable(format!("{text} (check that it is on, and its address)"))
        }
        TalkError::Http(HttpError::Tls { problem, detail }) => {
            let fault = problem.fault(&"TLS", "its port", detail);
            Health::Reachable(fault.to_string())
        }
        TalkError::Http(_)
        | TalkError::Status { .. }
        | TalkError::Soap { .. }
        | TalkError::Fault { .. } => Health::Reachable(text),
        TalkError::NoCredentials | TalkError::Denied { .. } => Health::Unauthorized(text),
    }
}

/// No profile is what the stream asks for.
pub(super) fn profile(error: &ProfileError) -> Fault {
    Fault::new(FaultKind::Unsupported, error.to_string(), error.hint())
}

#[cfg(test)]
mod tests {
    use mos_camera_core::{TlsProblem, Transport};

    use super::*;
    use crate::onvif::soap::{SoapError, SoapFault};

    #[test]
    fn each_failure_has_its_class_and_says_what_to_do() {
        use FaultKind as K;
        let call = "GetProfiles";
        let status = |status| TalkError::Status { call, status };
        let soap = TalkError::Soap {
            call,
            error: SoapError::NoBody,
        };
        let refused = TalkError::Fault {
            call,
            fault: SoapFault::default(),
        };
        let tls = |problem| {
            TalkError::Http(HttpError::Tls {
                problem,
                detail: String::new(),
            })
        };
        for (error, kind, class) in [
            (
                HttpError::Connect("refused".to_owned()).into(),
                K::Unreachable,
                "Unreachable",
            ),
            (HttpError::Timeout.into(), K::Unreachable, "Unreachable"),
            (HttpError::Closed.into(), K::Unreachable, "Reachable"),
            (
                HttpError::TooLarge { limit: 1 }.into(),
                K::Internal,
                "Reachable",
            ),
            (tls(TlsProblem::Expired), K::Certificate, "Reachable"),
            (
                tls(TlsProblem::OtherFingerprint),
                K::Certificate,
                "Reachable",
            ),
            (status(404), K::NotFound, "Reachable"),
            (status(302), K::NotFound, "Reachable"),
            (status(503), K::Busy, "Reachable"),
            (soap, K::Internal, "Reachable"),
            (refused, K::Unsupported, "Reachable"),
            (TalkError::NoCredentials, K::Unauthorized, "Unauthorized"),
            (
                TalkError::Denied { plain_left: false },
                K::Unauthorized,
                "Unauthorized",
            ),
            (
                TalkError::Denied { plain_left: true },
                K::Unauthorized,
                "Unauthorized",
            ),
        ] {
            let id = DeviceId::new(Transport::Rtsp, "yard");
            let fault = fault(&id, "http://yard/", &error);
            assert_eq!(fault.kind, kind, "{fault}");
            assert!(
                fault.message.starts_with("rtsp:yard at http://yard/: "),
                "{fault}"
            );
            assert!(!fault.hint.is_empty(), "{fault}");
            let health = format!("{:?}", health(&error));
            assert!(health.starts_with(class), "{health}");
        }
    }
}
