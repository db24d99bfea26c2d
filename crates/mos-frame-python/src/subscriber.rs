//! `mos_frame.Subscriber` and `mos_frame.Stats`.

use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use mos_frame::{SubscriberOptions, SubscriberStats};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::errors::{self, class};
use crate::frame::Frame;
use crate::interrupt;

/// What a subscriber received so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[pyclass(frozen, eq, get_all, module = "mos_frame")]
pub(crate) struct Stats {
    /// Frames received.
    received: u64,
    /// Frames that were published in between and not received.
    missed: u64,
    /// Places where at least one frame was missed.
    gaps: u64,
    /// Producers that came back after the first.
    reconnects: u64,
}

impl From<SubscriberStats> for Stats {
    fn from(stats: SubscriberStats) -> Self {
        Self {
            received: stats.received,
            missed: stats.missed,
            gaps: stats.gaps,
            reconnects: stats.reconnects,
        }
    }
}

#[pymethods]
impl Stats {
    fn __repr__(&self) -> String {
        format!(
            "<mos_frame.Stats received {} missed {} gaps {} reconnects {}>",
            self.received, self.missed, self.gaps, self.reconnects
        )
    }
}

/// Receives the frames of one stream; iterate over it, or call ``next()``.
///
/// ``stream`` is a stream's name, such as ``"front"``, or the path of its socket. Names are looked for in the folder that
/// ``$MOS_FRAME_DIR`` says, else the service's.
///
/// ``window``: how many of the newest frames wait for you, 1 to 64; older ones are skipped. ``hold``: most frames held at
/// once, 0 to 64; each costs the camera a buffer. Two by default, because a loop's variables still hold the last frame
/// while the next is taken. ``reconnect``: wait for the producer to come back when it goes away. ``timeout``: longest wait
/// for the producer's answer, in seconds. ``name``: shown in the producer's status. ``await_stream``: don't fail if nobody
/// publishes the stream yet, but wait for it as for one that went away.
///
/// Waiting lets other threads run, and Ctrl-C ends it. Threads may share a subscriber; each frame goes to one of them.
#[derive(Debug)]
#[pyclass(frozen, module = "mos_frame")]
pub(crate) struct Subscriber {
    /// Locked for calls that don't wait only, and never while the interpreter is waited for.
    inner: Mutex<Option<mos_frame::Subscriber>>,
    /// Of the subscriber's readiness; outlives it, so that a wait never meets a closed descriptor.
    ready: OwnedFd,
}

/// What is taken by one call that does not wait.
type Take =
    fn(&mut mos_frame::Subscriber) -> Result<Option<mos_frame::Frame>, mos_frame::RecvError>;

impl Subscriber {
    fn with<T: Send>(
        &self,
        py: Python<'_>,
        act: impl FnOnce(&mut mos_frame::Subscriber) -> T + Send,
    ) -> PyResult<T> {
        py.detach(|| {
            let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
            inner.as_mut().map(act)
        })
        .ok_or_else(|| class::SubscriberClosedError::new_err("the subscriber was closed"))
    }

    fn take(&self, py: Python<'_>, how: Take) -> PyResult<Option<Frame>> {
        match self.with(py, how)?.map_err(errors::receive)? {
            Some(frame) => Frame::new(py, frame).map(Some),
            None => Ok(None),
        }
    }

    fn wait_for(&self, py: Python<'_>, how: Take, timeout: Option<f64>) -> PyResult<Frame> {
        let timeout = timeout.map(duration).transpose()?;
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            if let Some(frame) = self.take(py, how)? {
                return Ok(frame);
            }
            if !interrupt::wait(py, self.ready.as_fd(), deadline)? {
                let text = format!("no frame came within {:?}", timeout.unwrap_or_default());
                return Err(class::FrameTimeoutError::new_err(text));
            }
        }
    }
}

#[pymethods]
impl Subscriber {
    #[new]
    #[pyo3(signature = (stream, *, window = 2, hold = 2, reconnect = true, timeout = 5.0, name = None, await_stream = false))]
    #[expect(clippy::too_many_arguments, reason = "they are keywords in Python")]
    fn new(
        py: Python<'_>,
        stream: PathBuf,
        window: u32,
        hold: u32,
        reconnect: bool,
        timeout: f64,
        name: Option<String>,
        await_stream: bool,
    ) -> PyResult<Self> {
        let path = socket_of(&stream)?;
        let options = SubscriberOptions {
            name: match name {
                Some(name) => name,
                None => program_name(py)?,
            },
            window,
            hold,
            reconnect,
            timeout: duration(timeout)?,
        };
        let inner = py.detach(|| {
            if await_stream {
                mos_frame::Subscriber::await_stream(&path, options).map_err(PyErr::from)
            } else {
                mos_frame::Subscriber::connect(&path, options).map_err(errors::connect)
            }
        })?;
        let ready = inner.as_fd().try_clone_to_owned()?;
        Ok(Self {
            inner: Mutex::new(Some(inner)),
            ready,
        })
    }

    /// The next frame in order; frames that left the window are skipped (``seq`` has a gap then). Waits for it, also while
    /// the producer is away; after ``timeout`` seconds it raises ``FrameTimeoutError``.
    #[pyo3(signature = (timeout = None))]
    fn next(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Frame> {
        self.wait_for(py, mos_frame::Subscriber::try_next, timeout)
    }

    /// As ``next()``, but the newest frame: older ones are skipped. What was given before is not given again.
    #[pyo3(signature = (timeout = None))]
    fn latest(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Frame> {
        self.wait_for(py, mos_frame::Subscriber::try_latest, timeout)
    }

    /// The next frame if one is there, else ``None``: then wait until ``fileno()`` is readable and call again.
    fn try_next(&self, py: Python<'_>) -> PyResult<Option<Frame>> {
        self.take(py, mos_frame::Subscriber::try_next)
    }

    /// As ``try_next()``, but the newest frame.
    fn try_latest(&self, py: Python<'_>) -> PyResult<Option<Frame>> {
        self.take(py, mos_frame::Subscriber::try_latest)
    }

    /// A descriptor for ``select``, ``selectors`` or ``asyncio``, the same over all reconnections. Once it is readable call
    /// ``try_next()`` until it gives ``None``; do that before the first wait, too.
    fn fileno(&self) -> RawFd {
        self.ready.as_raw_fd()
    }

    /// Whether a producer is there now.
    #[getter]
    fn is_connected(&self, py: Python<'_>) -> PyResult<bool> {
        self.with(py, |inner| inner.is_connected())
    }

    /// What was received so far.
    #[getter]
    fn stats(&self, py: Python<'_>) -> PyResult<Stats> {
        self.with(py, |inner| inner.stats().into())
    }

    /// Ends the subscription. Frames in hand stay valid. A second time does nothing.
    fn close(&self, py: Python<'_>) {
        py.detach(|| {
            let inner = self
                .inner
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take();
            drop(inner);
        });
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    /// Ends with the producer where the subscriber does not wait for another.
    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Frame>> {
        match self.next(py, None) {
            Ok(frame) => Ok(Some(frame)),
            Err(error) if error.is_instance_of::<class::DisconnectedError>(py) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (*_exc))]
    fn __exit__(&self, py: Python<'_>, _exc: &Bound<'_, PyTuple>) {
        self.close(py);
    }
}

/// The socket that a caller names.
pub(crate) fn socket_of(stream: &Path) -> PyResult<PathBuf> {
    mos_frame::find_socket(stream.as_os_str()).ok_or_else(|| {
        PyValueError::new_err("stream is neither a stream's name nor the path of a socket")
    })
}

/// Seconds.
pub(crate) fn duration(seconds: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(seconds)
        .map_err(|_| PyValueError::new_err(format!("{seconds} is no time to wait, in seconds")))
}

/// The script's name rather than the interpreter's.
fn program_name(py: Python<'_>) -> PyResult<String> {
    let arguments: Vec<String> = py
        .import("sys")?
        .getattr("argv")?
        .extract()
        .unwrap_or_default();
    let script = arguments.first().map(Path::new).and_then(Path::file_name);
    Ok(script.map_or_else(
        || "python".into(),
        |name| name.to_string_lossy().into_owned(),
    ))
}
