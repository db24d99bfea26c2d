//! Subscribing to a stream, for the commands that do.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use mos_frame::{ConnectError, Reason, RecvError, Subscriber, SubscriberOptions};

use crate::exit::{Exit, Failure, Result};

/// Time between two looks at a socket that is not there yet. Nothing tells when a producer begins to listen.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Subscribes to the stream whose socket is at `path`; waits so long for it to be published.
///
/// A stream that was just started has no socket yet, and one that is being rebuilt has none for a moment.
pub(super) fn subscribe(
    path: &Path,
    options: &SubscriberOptions,
    wait: Duration,
) -> Result<Subscriber> {
    let deadline = Instant::now() + wait;
    loop {
        match Subscriber::connect(path, options.clone()) {
            Err(ConnectError::NotFound { .. }) if Instant::now() < deadline => {
                thread::sleep(LOOK_AGAIN);
            }
            connected => return connected.map_err(Failure::from),
        }
    }
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        Self::from(&error)
    }
}

impl From<&ConnectError> for Failure {
    fn from(error: &ConnectError) -> Self {
        Self::new(exit_code(error), error.to_string(), hint(error))
    }
}

/// What `mosctl` exits with after this error.
const fn exit_code(error: &ConnectError) -> Exit {
    match error {
        ConnectError::NotFound { .. } => Exit::NotFound,
        ConnectError::Permission { .. }
        | ConnectError::Refused {
            reason: Reason::NotAllowed,
            ..
        } => Exit::Permission,
        ConnectError::Refused { .. } => Exit::FailedPrecondition,
        ConnectError::Timeout { .. } => Exit::Unavailable,
        _ => Exit::Other,
    }
}

const fn hint(error: &ConnectError) -> &'static str {
    match error {
        ConnectError::NotFound { .. } => {
            "see `mosctl status`; name the bus's folder with --frame-dir if it is another"
        }
        ConnectError::Refused {
            reason: Reason::NotAllowed,
            ..
        } => "ask for access to the service",
        ConnectError::Refused {
            reason: Reason::OverBudget,
            ..
        } => {
            "ask for a smaller --window or --hold, end another subscriber, or configure more --max-subscribers; `mosctl bus doctor` says how many buffers are missing"
        }
        ConnectError::Timeout { .. } => "the producer may be stopped or hang",
        _ => "",
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
