//! `mos_frame.inspect`.

use std::path::PathBuf;
use std::time::Duration;

use pyo3::prelude::*;

use crate::errors;
use crate::subscriber::{duration, socket_of};

/// What a producer does and who subscribes to it, as a dictionary, without subscribing.
///
/// ``stream`` is a stream's name or the path of its socket; ``timeout`` is in seconds. Keys may be added.
#[pyfunction]
#[pyo3(signature = (stream, timeout = 5.0))]
pub(crate) fn inspect(py: Python<'_>, stream: PathBuf, timeout: f64) -> PyResult<Bound<'_, PyAny>> {
    let (path, timeout): (PathBuf, Duration) = (socket_of(&stream)?, duration(timeout)?);
    let inspection = py
        .detach(|| mos_frame::inspect(&path, timeout))
        .map_err(errors::connect)?;
    let text = serde_json::to_string(&inspection)
        .map_err(|error| pyo3::exceptions::PyRuntimeError::new_err(error.to_string()))?;
    py.import("json")?.call_method1("loads", (text,))
}
