//! Exit codes, and failures that end in one.

use std::io;
use std::process::ExitCode;

use mos_camera_api::client::ConnectError;
use mos_camera_api::v1::ErrorDetail;
use tonic::{Code, Status};

use crate::text;

/// What the process exits with; part of the command line's contract, listed in `mosctl --help`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Anything that has no code of its own.
    Other = 1,
    /// The command line is wrong; clap exits with the same number.
    Usage = 2,
    /// The service can't be reached: not running, or something else is at its socket.
    Unreachable = 3,
    /// No such device, stream or bus socket.
    NotFound = 4,
    /// The service refused a value.
    InvalidArgument = 5,
    /// Not in this state: start before configure, a subscription over the stream's budget.
    FailedPrecondition = 6,
    /// The caller may not do that.
    Permission = 7,
    /// Could not be done now: time-out, service stopping, disk full.
    Unavailable = 8,
    /// This build of mosctl can't do that.
    NotInThisBuild = 9,
}

impl Exit {
    /// Every code with its meaning, for `--help`.
    pub(crate) const TABLE: [(u8, &str); 10] = [
        (0, "done"),
        (Self::Other as u8, "any other failure"),
        (Self::Usage as u8, "wrong usage of mosctl"),
        (Self::Unreachable as u8, "the service can't be reached"),
        (Self::NotFound as u8, "no such device or stream"),
        (
            Self::InvalidArgument as u8,
            "the service refused a value; the answer lists what is supported",
        ),
        (
            Self::FailedPrecondition as u8,
            "not possible in this state, e.g. start before configure",
        ),
        (
            Self::Permission as u8,
            "no permission on the control socket or on the stream",
        ),
        (
            Self::Unavailable as u8,
            "not possible now: time-out, service stopping, disk full",
        ),
        (Self::NotInThisBuild as u8, "not in this build of mosctl"),
    ];

    /// The code's name in JSON.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Other => "other",
            Self::Usage => "usage",
            Self::Unreachable => "unreachable",
            Self::NotFound => "not_found",
            Self::InvalidArgument => "invalid_argument",
            Self::FailedPrecondition => "failed_precondition",
            Self::Permission => "permission",
            Self::Unavailable => "unavailable",
            Self::NotInThisBuild => "not_in_this_build",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl From<Code> for Exit {
    fn from(code: Code) -> Self {
        match code {
            Code::NotFound => Self::NotFound,
            Code::InvalidArgument | Code::OutOfRange => Self::InvalidArgument,
            Code::FailedPrecondition | Code::AlreadyExists | Code::Aborted => {
                Self::FailedPrecondition
            }
            Code::PermissionDenied | Code::Unauthenticated => Self::Permission,
            Code::Unavailable
            | Code::DeadlineExceeded
            | Code::ResourceExhausted
            | Code::Cancelled => Self::Unavailable,
            _ => Self::Other,
        }
    }
}

/// Why a command ended early, as it is told to the user.
#[derive(Debug)]
pub(crate) struct Failure {
    /// What the process exits with.
    pub(crate) code: Exit,
    /// What happened.
    pub(crate) message: String,
    /// What to do; may be empty.
    pub(crate) hint: String,
    /// What the service added for programs, what the device supports among it.
    pub(crate) detail: Box<ErrorDetail>,
    /// Our own output could not be written.
    pipe: bool,
}

pub(crate) type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    pub(crate) fn new(code: Exit, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            hint: hint.into(),
            detail: Box::default(),
            pipe: false,
        }
    }

    /// Whether the reader of our output went away.
    pub(crate) const fn is_closed_pipe(&self) -> bool {
        self.pipe
    }

    /// An error while writing the output.
    pub(crate) fn output(error: &io::Error) -> Self {
        let failure = Self::new(Exit::Other, format!("can't write the output: {error}"), "");
        Self {
            pipe: error.kind() == io::ErrorKind::BrokenPipe,
            ..failure
        }
    }

    /// What a person reads on standard error.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("mosctl: {}\n", self.message);
        // The service's messages are complete in themselves; what they say already is not said twice.
        if !self.hint.is_empty() && !self.message.contains(&self.hint) {
            text.push_str(&format!("  what to do: {}\n", self.hint));
        }
        let told = |c: &String| self.message.contains(c);
        let supported = self.detail.supported.iter().map(text::capability);
        for (n, capability) in supported.filter(|c| !told(c)).enumerate() {
            let label = if n == 0 { "supported:" } else { "" };
            text.push_str(&format!("  {label:10} {capability}\n"));
        }
        text
    }
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        let code = if matches!(error, ConnectError::Permission { .. }) {
            Exit::Permission
        } else {
            Exit::Unreachable
        };
        Self::new(code, error.to_string(), "")
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        // Only what happened on this side of the connection has a source; the service's own answers have none.
        if let Some(cause) = std::error::Error::source(&status) {
            let message = format!("the connection to the service broke: {}", chain(cause));
            return Self::new(
                Exit::Unavailable,
                message,
                "see whether the service runs, and whether it is what listens at the socket",
            );
        }
        let detail = mos_camera_api::detail_of(&status).unwrap_or_default();
        let message = match status.message() {
            "" => format!("the service answered {:?} without a message", status.code()),
            message => message.to_owned(),
        };
        let failure = Self::new(status.code().into(), message, detail.hint.clone());
        Self {
            detail: Box::new(detail),
            ..failure
        }
    }
}

/// An error with what caused it, each said once.
fn chain(error: &dyn std::error::Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        if parts.last().is_none_or(|last| !last.contains(&text)) {
            parts.push(text);
        }
        next = error.source();
    }
    parts.join(": ")
}

#[cfg(test)]
mod tests {
    use mos_camera_api::status_with_detail;
    use mos_camera_api::v1::{Capability, Size};

    use super::*;

    #[test]
    fn grpc_codes_end_in_the_documented_exit_codes() {
        for (code, exit) in [
            (Code::NotFound, 4),
            (Code::InvalidArgument, 5),
            (Code::FailedPrecondition, 6),
            (Code::PermissionDenied, 7),
            (Code::Unavailable, 8),
            (Code::DeadlineExceeded, 8),
            (Code::ResourceExhausted, 8),
            (Code::Internal, 1),
            (Code::Unknown, 1),
        ] {
            assert_eq!(Exit::from(code) as u8, exit, "{code:?}");
        }
    }

    #[test]
    fn the_help_table_lists_every_code_once_in_order_of_its_number() {
        let mut numbers: Vec<u8> = Exit::TABLE.iter().map(|(number, _)| *number).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..10).collect::<Vec<u8>>());
    }

    #[test]
    fn a_refusal_shows_message_hint_and_what_is_supported() {
        let sizes = vec![Size {
            width: 640,
            height: 480,
        }];
        let capability = Capability {
            format: "NV12".into(),
            sizes,
            ..Capability::default()
        };
        let detail = ErrorDetail {
            hint: "choose one of the sizes".into(),
            supported: vec![capability.clone(), capability],
            ..ErrorDetail::default()
        };
        let failure = Failure::from(status_with_detail(
            Code::InvalidArgument,
            "no such size",
            detail,
        ));
        assert_eq!(
            failure.text(),
            "mosctl: no such size\n  what to do: choose one of the sizes\n  supported: NV12 640x480\n             NV12 640x480\n"
        );
    }

    #[test]
    fn a_status_without_a_message_still_says_something() {
        assert_eq!(
            Failure::from(Status::unavailable("")).message,
            "the service answered Unavailable without a message"
        );
    }
}
