//! `mos_frame.Plane`.

use std::os::fd::{AsRawFd, RawFd};

use pyo3::prelude::*;
#[cfg(feature = "development")]
use pyo3::types::PyBytes;

use crate::lease::Lease;
#[cfg(feature = "development")]
use crate::view::{Mapped, array};

/// One plane of a frame.
#[derive(Debug)]
#[pyclass(frozen, module = "mos_frame")]
pub(crate) struct Plane {
    lease: Lease,
    /// Its place among the frame's planes, from 0.
    #[pyo3(get)]
    index: usize,
    /// Which of the frame's descriptors holds it, from 0; planes may share one.
    #[pyo3(get)]
    fd_index: u8,
    /// First byte, from the start of the descriptor's memory.
    #[pyo3(get)]
    offset: u64,
    /// Bytes from one row to the next.
    #[pyo3(get)]
    stride: u32,
    /// Bytes that the plane covers.
    #[pyo3(get)]
    size: u64,
}

impl Plane {
    pub(crate) fn new(lease: Lease, index: usize, plane: &mos_frame::Plane) -> Self {
        Self {
            lease,
            index,
            fd_index: plane.fd,
            offset: plane.offset,
            stride: plane.stride,
            size: plane.size,
        }
    }
}

#[pymethods]
impl Plane {
    /// The memory: a dma-buf or a memfd. It belongs to the frame, until that is released: don't close it; ``os.dup`` it to
    /// keep it.
    #[getter]
    fn fd(&self) -> PyResult<RawFd> {
        let frame = self.lease.frame()?;
        let fd = frame.fd(self.index).map(|fd| fd.as_raw_fd());
        fd.ok_or_else(|| pyo3::exceptions::PyIndexError::new_err("the frame has no such plane"))
    }

    #[cfg(feature = "development")]
    /// The plane as a NumPy array of bytes of shape (rows, stride), with what lies between the rows. A read-only view
    /// without a copy that keeps the frame held. Needs NumPy; development builds only.
    fn array<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let frame = self.lease.frame()?;
        let mapped = py.detach(|| Mapped::new(&frame))?;
        let stride = self.stride as usize;
        let rows = (self.size as usize).checked_div(stride).unwrap_or(0);
        array(py, mapped.view(self.index, &[rows, stride])?)
    }

    #[cfg(feature = "development")]
    /// A copy of the plane's bytes, with what lies between the rows; development builds only.
    fn tobytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let frame = self.lease.frame()?;
        let mapped = py.detach(|| Mapped::new(&frame))?;
        Ok(PyBytes::new(py, mapped.bytes(self.index)?))
    }

    fn __repr__(&self) -> String {
        format!(
            "<mos_frame.Plane {} offset {} stride {} size {}>",
            self.index, self.offset, self.stride, self.size
        )
    }
}
