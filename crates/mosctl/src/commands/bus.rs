//! Subscribing to a stream, for the commands that do.

use std::path::Path;

use mos_frame::{ConnectError, Reason, RecvError, Subscriber, SubscriberOptions};

use crate::exit::{Exit, Failure, Result};

/// Subscribes to the stream whose socket is at `path`.
pub(super) fn subscribe(path: &Path, options: SubscriberOptions) -> Result<Subscriber> {
    Subscriber::connect(path, options).map_err(Failure::from)
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        let (code, hint) = match &error {
            ConnectError::NotFound { .. } => (
                Exit::NotFound,
                "see `mosctl status`; name the bus's folder with --frame-dir if it is another",
            ),
            ConnectError::Permission { .. } => (Exit::Permission, ""),
            ConnectError::Refused {
                reason: Reason::NotAllowed,
                ..
            } => (Exit::Permission, "ask for access to the service"),
            ConnectError::Refused {
                reason: Reason::OverBudget,
                ..
            } => (
                Exit::FailedPrecondition,
                "ask for a smaller --window or --hold, end another subscriber, or configure more --max-subscribers",
            ),
            ConnectError::Refused { .. } => (Exit::FailedPrecondition, ""),
            ConnectError::Timeout { .. } => {
                (Exit::Unavailable, "the producer may be stopped or hang")
            }
            _ => (Exit::Other, ""),
        };
        Self::new(code, error.to_string(), hint)
    }
}

impl From<RecvError> for Failure {
    fn from(error: RecvError) -> Self {
        let code = match &error {
            RecvError::Disconnected | RecvError::Evicted { .. } => Exit::Unavailable,
            _ => Exit::Other,
        };
        Self::new(code, error.to_string(), "")
    }
}
