//! Errors of the bus as Python's exceptions; the classes are in `mos_frame/errors.py`.

use std::io;

use mos_frame::{ConnectError, Reason, RecvError};
use pyo3::PyErr;

/// The exception classes, under names that don't meet the bus's.
pub(crate) mod class {
    pyo3::import_exception!(mos_frame.errors, ConnectError);
    pyo3::import_exception!(mos_frame.errors, ConnectTimeoutError);
    pyo3::import_exception!(mos_frame.errors, DisconnectedError);
    pyo3::import_exception!(mos_frame.errors, EvictedError);
    pyo3::import_exception!(mos_frame.errors, FrameReleasedError);
    pyo3::import_exception!(mos_frame.errors, FrameTimeoutError);
    pyo3::import_exception!(mos_frame.errors, HoldLimitError);
    #[cfg(feature = "development")]
    pyo3::import_exception!(mos_frame.errors, MappingError);
    pyo3::import_exception!(mos_frame.errors, ProtocolError);
    pyo3::import_exception!(mos_frame.errors, RefusedError);
    pyo3::import_exception!(mos_frame.errors, StreamNotFoundError);
    pyo3::import_exception!(mos_frame.errors, StreamPermissionError);
    pyo3::import_exception!(mos_frame.errors, SubscriberClosedError);
}

/// A subscription that could not be made.
pub(crate) fn connect(error: ConnectError) -> PyErr {
    let text = error.to_string();
    match error {
        ConnectError::NotFound { .. } => class::StreamNotFoundError::new_err(text),
        ConnectError::Permission { .. } => class::StreamPermissionError::new_err(text),
        ConnectError::Refused { reason, .. } => {
            class::RefusedError::new_err((text, reason_name(reason)))
        }
        ConnectError::Timeout { .. } => class::ConnectTimeoutError::new_err(text),
        ConnectError::Protocol { .. } => class::ProtocolError::new_err(text),
        _ => class::ConnectError::new_err(text),
    }
}

/// A frame that could not be had.
pub(crate) fn receive(error: RecvError) -> PyErr {
    let text = error.to_string();
    match error {
        RecvError::Disconnected => class::DisconnectedError::new_err(text),
        RecvError::Evicted { reason, .. } => {
            class::EvictedError::new_err((text, reason_name(reason)))
        }
        RecvError::HoldLimit { hold } => class::HoldLimitError::new_err(format!(
            "as many frames are held as were asked for ({hold}): let one go first (frame.release(), and del of its arrays), \
             or subscribe with a larger hold"
        )),
        RecvError::Protocol(_) => class::ProtocolError::new_err(text),
        RecvError::Io(error) => error.into(),
        _ => io::Error::other(text).into(),
    }
}

/// A reason's name for programs; part of the interface.
const fn reason_name(reason: Reason) -> &'static str {
    match reason {
        Reason::OverBudget => "over-budget",
        Reason::Version => "version",
        Reason::BadRequest => "bad-request",
        Reason::HoldZero => "hold-zero",
        Reason::NotAllowed => "not-allowed",
        Reason::Timeout => "timeout",
        Reason::Protocol => "protocol",
        Reason::BadLease => "bad-lease",
        Reason::HoldExceeded => "hold-exceeded",
        Reason::Resources => "resources",
        _ => "other",
    }
}
