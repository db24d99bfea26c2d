//! `mos_frame.Frame` and `mos_frame.Format`.

use mos_frame::{ClockSource, FrameFlags, FrameMeta, MemoryKind};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

#[cfg(feature = "development")]
use crate::errors::class::MappingError;
use crate::lease::Lease;
use crate::plane::Plane;
#[cfg(feature = "development")]
use crate::view::{Mapped, array};

/// Format of a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
#[pyclass(frozen, eq, get_all, module = "mos_frame")]
pub(crate) struct Format {
    /// Width in pixels.
    width: u32,
    /// Height in pixels.
    height: u32,
    /// Pixel format, four characters as in ``drm_fourcc.h``: ``"NV12"`` for all cameras of this service.
    fourcc: String,
    /// DRM format modifier; 0 is linear.
    modifier: u64,
    /// Frames per second as (numerator, denominator); (0, 1) if it varies or is not known.
    framerate: (u32, u32),
    /// ``"dmabuf"``, which devices can import, or ``"memfd"``, in development builds.
    memory: &'static str,
    /// Whether the kernel keeps this process from writing to the pixels. Never write to them in any case.
    read_only: bool,
    /// Colorimetry as GStreamer writes it, such as ``"bt709"``; empty if not known.
    colorimetry: String,
}

impl From<&mos_frame::Format> for Format {
    fn from(format: &mos_frame::Format) -> Self {
        Self {
            width: format.width,
            height: format.height,
            fourcc: format.fourcc.to_string(),
            modifier: format.modifier,
            framerate: format.framerate,
            memory: match format.memory {
                MemoryKind::Memfd => "memfd",
                MemoryKind::DmaBuf => "dmabuf",
            },
            read_only: format.read_only,
            colorimetry: format.colorimetry.clone(),
        }
    }
}

#[pymethods]
impl Format {
    fn __repr__(&self) -> String {
        let (frames, seconds) = self.framerate;
        format!(
            "<mos_frame.Format {}x{} {} {frames}/{seconds} {}>",
            self.width, self.height, self.fourcc, self.memory
        )
    }
}

/// A frame of a camera. While it is held nobody writes to its memory.
///
/// It is held until it and the arrays made of it are gone, or until ``release()`` (also by ``with frame:``), after which
/// numbers, times and format can still be read.
#[derive(Debug)]
#[pyclass(frozen, module = "mos_frame")]
pub(crate) struct Frame {
    lease: Lease,
    meta: FrameMeta,
    /// Number of the frame, from 1, rising by one per published frame of a session: a gap is a frame that was missed.
    #[pyo3(get)]
    seq: u64,
    /// Number of the producer's session. A restarted producer has another, and ``seq`` starts anew.
    #[pyo3(get)]
    session: u64,
    /// Counts the format changes of the session, from 1.
    #[pyo3(get)]
    epoch: u32,
    /// Number of the buffer within the session: the same memory has the same number, so imports can be kept.
    #[pyo3(get)]
    buffer_id: u32,
    /// Time of publishing in nanoseconds of ``CLOCK_MONOTONIC`` (``time.monotonic_ns()``).
    #[pyo3(get)]
    publish_ns: u64,
    /// Size, pixel format, memory.
    #[pyo3(get)]
    format: Py<Format>,
    /// Luma, then chroma.
    #[pyo3(get)]
    planes: Py<PyTuple>,
}

impl Frame {
    pub(crate) fn new(py: Python<'_>, frame: mos_frame::Frame) -> PyResult<Self> {
        let format = Py::new(py, Format::from(frame.format()))?;
        let (meta, seq, session) = (*frame.meta(), frame.seq(), frame.session());
        let (epoch, buffer_id, publish_ns) = (frame.epoch(), frame.buffer_id(), frame.publish_ns());
        let layout = frame.layout().clone();
        let lease = Lease::new(frame);
        let planes = layout
            .planes
            .iter()
            .enumerate()
            .map(|(index, plane)| Plane::new(lease.clone(), index, plane));
        let planes = PyTuple::new(py, planes.collect::<Vec<_>>())?.unbind();
        Ok(Self {
            lease,
            meta,
            seq,
            session,
            epoch,
            buffer_id,
            publish_ns,
            format,
            planes,
        })
    }
}

#[pymethods]
impl Frame {
    /// Width in pixels.
    #[getter]
    fn width(&self) -> u32 {
        self.format.get().width
    }

    /// Height in pixels.
    #[getter]
    fn height(&self) -> u32 {
        self.format.get().height
    }

    /// Pixel format, such as ``"NV12"``.
    #[getter]
    fn fourcc(&self) -> &str {
        &self.format.get().fourcc
    }

    /// Time of capture in nanoseconds of ``CLOCK_MONOTONIC`` (``time.monotonic_ns()``).
    #[getter]
    fn capture_ns(&self) -> u64 {
        self.meta.capture_ns
    }

    /// What ``capture_ns`` was taken from: ``"arrival"``, ``"driver"``, ``"pipeline"``, ``"ntp"``, ``"ptp"``, ``"ntp-relative"``,
    /// ``"ptp-relative"`` or ``"unknown"``; a relative one is late by the shortest way from the camera.
    #[getter]
    fn clock_source(&self) -> &'static str {
        match self.meta.clock_source {
            ClockSource::Unknown => "unknown",
            ClockSource::Arrival => "arrival",
            ClockSource::Driver => "driver",
            ClockSource::PipelineClock => "pipeline",
            ClockSource::Ntp => "ntp",
            ClockSource::Ptp => "ptp",
            ClockSource::NtpRelative => "ntp-relative",
            ClockSource::PtpRelative => "ptp-relative",
        }
    }

    /// Bound of the error of ``capture_ns`` in nanoseconds; 0 if none is known.
    #[getter]
    fn clock_error_ns(&self) -> u32 {
        self.meta.clock_error_ns
    }

    /// Presentation time of the source in nanoseconds, or ``None``.
    #[getter]
    fn pts_ns(&self) -> Option<u64> {
        self.meta.pts_ns
    }

    /// Time of day of the capture in nanoseconds since 1970 UTC where the camera gave it, or ``None``.
    #[getter]
    fn wall_ns(&self) -> Option<u64> {
        self.meta.wall_ns
    }

    /// Whether frames are missing at the source between this one and the one before it.
    #[getter]
    fn discontinuity(&self) -> bool {
        self.meta.flags.contains(FrameFlags::DISCONT)
    }

    /// Whether the source said that the picture is damaged.
    #[getter]
    fn corrupted(&self) -> bool {
        self.meta.flags.contains(FrameFlags::CORRUPTED)
    }

    /// Whether its times and those of the frame before do not compare: another clock, one that was set, or a held time.
    #[getter]
    fn retimed(&self) -> bool {
        self.meta.flags.contains(FrameFlags::RETIMED)
    }

    /// All flags as bits: 1 discontinuity, 2 corrupted, 4 retimed.
    #[getter]
    fn flags(&self) -> u16 {
        self.meta.flags.0
    }

    #[cfg(feature = "development")]
    /// Luma and chroma of an NV12 frame as NumPy arrays: ``y`` of shape (height, width), ``uv`` of shape
    /// (height / 2, width / 2, 2) with Cb and Cr (odd sizes rounded up). Read-only views without a copy, whatever the
    /// strides are; they keep the frame held. Needs NumPy; development builds only.
    fn nv12<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
        if self.fourcc() != "NV12" {
            let text = format!("the frame is {}, not NV12", self.fourcc());
            return Err(MappingError::new_err(text));
        }
        let frame = self.lease.frame()?;
        let mapped = py.detach(|| Mapped::new(&frame))?;
        let (width, height) = (self.width() as usize, self.height() as usize);
        let luma = mapped.view(0, &[height, width])?;
        let chroma = mapped.view(1, &[height.div_ceil(2), width.div_ceil(2), 2])?;
        Ok((array(py, luma)?, array(py, chroma)?))
    }

    /// Whether the frame is still ours. False once it was released or the producer took it back: by the window of a hold of
    /// 0, or because it cut this subscriber off. What was read before is good if this is true afterwards.
    #[getter]
    fn is_valid(&self) -> bool {
        self.lease.get().is_some_and(|frame| frame.is_valid())
    }

    /// Lets the frame go. Arrays made of it keep it held until they are gone. A second time does nothing.
    fn release(&self) {
        self.lease.release();
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (*_exc))]
    fn __exit__(&self, _exc: &Bound<'_, PyTuple>) {
        self.lease.release();
    }

    fn __repr__(&self) -> String {
        let released = if self.lease.get().is_none() {
            " released"
        } else {
            ""
        };
        format!(
            "<mos_frame.Frame {} {}x{} {}{released}>",
            self.seq,
            self.width(),
            self.height(),
            self.fourcc()
        )
    }
}
