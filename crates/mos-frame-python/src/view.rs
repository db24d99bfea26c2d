//! Pixels for NumPy, without a copy; development builds only.

use std::io;
use std::sync::Arc;

use mos_frame::MappedFrame;
use pyo3::exceptions::PyModuleNotFoundError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::errors::class::MappingError;

/// A frame that is mapped for reading, and held by that.
#[derive(Debug, Clone)]
pub(crate) struct Mapped(Arc<MappedFrame<'static>>);

impl Mapped {
    pub(crate) fn new(frame: &Arc<mos_frame::Frame>) -> PyResult<Self> {
        let mapped = frame.map_shared();
        let mapped = mapped.map_err(|error| match error.kind() {
            io::ErrorKind::Unsupported
            | io::ErrorKind::InvalidData
            | io::ErrorKind::UnexpectedEof => MappingError::new_err(error.to_string()),
            _ => error.into(),
        })?;
        Ok(Self(Arc::new(mapped)))
    }

    /// Bytes of a plane.
    pub(crate) fn bytes(&self, plane: usize) -> PyResult<&[u8]> {
        self.0
            .plane(plane)
            .ok_or_else(|| MappingError::new_err(format!("the frame has no plane {plane}")))
    }

    /// A plane as rows of `shape[1..]`, with the plane's stride between them.
    pub(crate) fn view(&self, plane: usize, shape: &[usize]) -> PyResult<View> {
        let bytes = self.bytes(plane)?;
        let layout = self.0.frame().layout();
        let stride = layout
            .planes
            .get(plane)
            .map_or(0, |plane| plane.stride as usize);
        let strides = strides(shape, stride);
        if !fits(shape, &strides, bytes.len()) {
            let text = format!(
                "plane {plane} of {} bytes, {stride} a row, is too small for shape {shape:?}",
                bytes.len()
            );
            return Err(MappingError::new_err(text));
        }
        Ok(View {
            address: bytes.as_ptr().addr(),
            shape: shape.to_vec(),
            strides,
            _mapped: self.clone(),
        })
    }
}

/// Packed bytes within a row.
fn strides(shape: &[usize], row: usize) -> Vec<usize> {
    let mut strides: Vec<usize> = (1..=shape.len())
        .map(|from| shape[from..].iter().product())
        .collect();
    if let Some(first) = strides.first_mut() {
        *first = row;
    }
    strides
}

/// Whether every element lies within `size` bytes and no row runs into the next.
fn fits(shape: &[usize], strides: &[usize], size: usize) -> bool {
    let row: usize = shape[1..].iter().product();
    let rows = shape[0];
    row <= strides[0]
        && (rows == 0
            || (rows - 1)
                .checked_mul(strides[0])
                .and_then(|last| last.checked_add(row))
                .is_some_and(|end| end <= size))
}

/// What NumPy makes an array of; the array keeps it, and it keeps the frame.
#[derive(Debug)]
#[pyclass(frozen, module = "mos_frame")]
pub(crate) struct View {
    address: usize,
    shape: Vec<usize>,
    strides: Vec<usize>,
    _mapped: Mapped,
}

#[pymethods]
impl View {
    /// <https://numpy.org/doc/stable/reference/arrays.interface.html>
    #[getter(__array_interface__)]
    fn array_interface<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let interface = PyDict::new(py);
        interface.set_item("version", 3)?;
        interface.set_item("typestr", "|u1")?;
        interface.set_item("shape", PyTuple::new(py, &self.shape)?)?;
        interface.set_item("strides", PyTuple::new(py, &self.strides)?)?;
        // True: read-only.
        interface.set_item("data", (self.address, true))?;
        Ok(interface)
    }
}

/// A NumPy array of a view.
pub(crate) fn array(py: Python<'_>, view: View) -> PyResult<Bound<'_, PyAny>> {
    numpy(py)?.call_method1("asarray", (view,))
}

/// NumPy, which is installed by whoever wants arrays.
fn numpy(py: Python<'_>) -> PyResult<Bound<'_, PyModule>> {
    py.import("numpy").map_err(|error| {
        if !error.is_instance_of::<PyModuleNotFoundError>(py) {
            return error;
        }
        let explained = PyModuleNotFoundError::new_err(
            "arrays need NumPy, which is not installed here (`pip install numpy`); tobytes() and descriptors work without it",
        );
        explained.set_cause(py, Some(error));
        explained
    })
}
