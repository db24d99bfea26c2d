//! What a failed call answers: a status that a person understands, and a detail that a program does.

use mos_camera_api::status_with_detail;
use mos_camera_api::v1::{ErrorDetail, State};
use tonic::{Code, Status};

use super::convert;
use crate::engine::EngineError;

/// A request's field is malformed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct BadField {
    /// The field, dotted from the request.
    pub field: &'static str,
    /// Stable word for programs.
    pub reason: &'static str,
    /// What is wrong and what is expected.
    pub message: String,
}

impl From<BadField> for Status {
    fn from(bad: BadField) -> Self {
        let detail = ErrorDetail {
            reason: bad.reason.to_owned(),
            field: bad.field.to_owned(),
            ..ErrorDetail::default()
        };
        status_with_detail(Code::InvalidArgument, bad.to_string(), detail)
    }
}

/// The nodes could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum Stuck {
    /// A file system does not answer.
    #[error("the file system of a node does not answer")]
    Hangs,
    /// The look panicked.
    #[error("the look at nodes broke off: {0}")]
    BrokeOff(tokio::task::JoinError),
}

impl From<Stuck> for Status {
    fn from(stuck: Stuck) -> Self {
        match stuck {
            Stuck::Hangs => {
                let hint =
                    "see what is mounted below /dev and /run (`findmnt`), and end what serves it";
                let detail = ErrorDetail {
                    reason: "STUCK_NODES".to_owned(),
                    hint: hint.to_owned(),
                    ..ErrorDetail::default()
                };
                status_with_detail(Code::DeadlineExceeded, format!("{stuck}; {hint}"), detail)
            }
            Stuck::BrokeOff(_) => Self::internal(stuck.to_string()),
        }
    }
}

/// The caller is not on the allow list.
pub fn permission(message: &str) -> Status {
    let hint = "ask for your user to be added to `allow_uids`, or one of your groups to `allow_gids`, in the service's configuration";
    let detail = ErrorDetail {
        reason: "NOT_ALLOWED".to_owned(),
        hint: hint.to_owned(),
        ..ErrorDetail::default()
    };
    status_with_detail(Code::PermissionDenied, format!("{message}; {hint}"), detail)
}

impl From<EngineError> for Status {
    fn from(error: EngineError) -> Self {
        status_with_detail(code(&error), text(&error), detail(error))
    }
}

/// The answer to a request that names its device in the field `device`, not in a configuration.
pub fn of_device(error: EngineError) -> Status {
    let (code, text) = (code(&error), text(&error));
    let mut detail = detail(error);
    if detail.field == "config.device" {
        "device".clone_into(&mut detail.field);
    }
    status_with_detail(code, text, detail)
}

fn text(error: &EngineError) -> String {
    match hint(error) {
        "" => error.to_string(),
        hint => format!("{error}; {hint}"),
    }
}

const fn code(error: &EngineError) -> Code {
    match error {
        EngineError::UnknownDevice { .. }
        | EngineError::UnknownStream { .. }
        | EngineError::UnknownCamera { .. } => Code::NotFound,
        EngineError::Config { .. }
        | EngineError::ControlRefused { .. }
        | EngineError::NoProfile { .. }
        | EngineError::BadCamera(_) => Code::InvalidArgument,
        EngineError::DeviceInUse { .. }
        | EngineError::CameraInFile { .. }
        | EngineError::NotConfigured { .. }
        | EngineError::NoPlan { .. } => Code::FailedPrecondition,
        EngineError::DeviceUnavailable { .. } | EngineError::Stopping => Code::Unavailable,
        EngineError::Save(_) => Code::ResourceExhausted,
        EngineError::StuckTeardown { .. } => Code::DeadlineExceeded,
        EngineError::Internal { .. } => Code::Internal,
    }
}

/// Stable words for programs; never change one.
fn reason(error: &EngineError) -> &'static str {
    match error {
        EngineError::UnknownDevice { .. } => "UNKNOWN_DEVICE",
        EngineError::UnknownStream { .. } => "UNKNOWN_STREAM",
        EngineError::Config { error, .. } => error.reason(),
        EngineError::BadCamera(_) => "INVALID_CAMERA",
        EngineError::CameraInFile { .. } => "CAMERA_IN_FILE",
        EngineError::UnknownCamera { .. } => "UNKNOWN_CAMERA",
        EngineError::ControlRefused { .. } => "CONTROL_REFUSED",
        EngineError::NoPlan { error, .. } => error.reason(),
        EngineError::NoProfile { .. } => "NO_PROFILE",
        EngineError::DeviceInUse { .. } => "DEVICE_IN_USE",
        EngineError::NotConfigured { .. } => "NOT_CONFIGURED",
        EngineError::DeviceUnavailable { .. } => "DEVICE_UNAVAILABLE",
        EngineError::Stopping => "STOPPING",
        EngineError::Save(_) => "NOT_SAVED",
        EngineError::StuckTeardown { .. } => "STUCK_TEARDOWN",
        EngineError::Internal { .. } => "INTERNAL",
    }
}

fn hint(error: &EngineError) -> &str {
    match error {
        EngineError::UnknownDevice { .. } => "list the devices to see what is there",
        EngineError::UnknownStream { .. } => {
            "get the status to see which streams there are, or configure this one first"
        }
        EngineError::DeviceInUse { .. } => {
            "configure that stream for another device first; a device feeds one stream"
        }
        EngineError::NotConfigured { .. } => "configure the stream first",
        EngineError::CameraInFile { .. } => {
            "change it there and reload the service, or choose another name"
        }
        EngineError::UnknownCamera { .. } => {
            "cameras of the configuration file are removed there; those that are discovered go by themselves"
        }
        EngineError::DeviceUnavailable { fault, .. }
        | EngineError::NoProfile { fault, .. }
        | EngineError::ControlRefused { fault, .. } => &fault.hint,
        EngineError::NoPlan { error, .. } => error.hint(),
        EngineError::Stopping => "try again after the service is back",
        EngineError::StuckTeardown { .. } => {
            "a driver or the camera hangs: unplug or power-cycle it, then reset the stream"
        }
        EngineError::Internal { .. } => {
            "this is a bug of the service; please report it with the log"
        }
        // Their messages say what to do.
        EngineError::Config { .. } | EngineError::BadCamera(_) | EngineError::Save(_) => "",
    }
}

fn detail(error: EngineError) -> ErrorDetail {
    let mut detail = ErrorDetail {
        reason: reason(&error).to_owned(),
        hint: hint(&error).to_owned(),
        ..ErrorDetail::default()
    };
    match error {
        EngineError::UnknownDevice { device } => {
            "config.device".clone_into(&mut detail.field);
            detail.device = device.to_string();
        }
        EngineError::ControlRefused { stream, device, .. } => {
            "config.controls".clone_into(&mut detail.field);
            (detail.stream, detail.device) = (stream.to_string(), device.to_string());
        }
        EngineError::NoProfile { stream, device, .. } => {
            "config.profile".clone_into(&mut detail.field);
            (detail.stream, detail.device) = (stream.to_string(), device.to_string());
        }
        EngineError::DeviceUnavailable { device, .. } => detail.device = device.to_string(),
        EngineError::Config {
            stream,
            device,
            error,
        } => {
            detail.field = format!("config.{}", error.field());
            (detail.stream, detail.device) = (stream.to_string(), device.to_string());
            detail.supported = error.supported().iter().map(convert::capability).collect();
            detail.control = error.control().map(convert::control);
        }
        EngineError::NoPlan { stream, error } => {
            (detail.stream, detail.device) = (stream.to_string(), error.device.to_string());
            "config.device".clone_into(&mut detail.field);
        }
        EngineError::DeviceInUse {
            device,
            stream,
            state,
        } => {
            (detail.stream, detail.device) = (stream.to_string(), device.to_string());
            "config.device".clone_into(&mut detail.field);
            detail.state = convert::state(state).into();
        }
        EngineError::UnknownStream { stream } => detail.stream = stream.to_string(),
        EngineError::NotConfigured { stream, device } => {
            (detail.stream, detail.device) = (stream.to_string(), device.to_string());
            detail.state = State::Idle.into();
        }
        EngineError::StuckTeardown { stream } => {
            detail.stream = stream.to_string();
            detail.state = State::Failed.into();
        }
        EngineError::BadCamera(_) => "table".clone_into(&mut detail.field),
        EngineError::CameraInFile { .. } | EngineError::UnknownCamera { .. } => {
            "name".clone_into(&mut detail.field);
        }
        EngineError::Stopping | EngineError::Save(_) | EngineError::Internal { .. } => {}
    }
    detail
}
