//! The hold on a frame, shared by the frame, its planes and what is mapped of it.

use std::sync::{Arc, Mutex, PoisonError};

use pyo3::PyResult;

use crate::errors::class::FrameReleasedError;

/// A frame that may have been released. Clones are the same hold.
#[derive(Debug, Clone)]
pub(crate) struct Lease(Arc<Mutex<Option<Arc<mos_frame::Frame>>>>);

impl Lease {
    pub(crate) fn new(frame: mos_frame::Frame) -> Self {
        Self(Arc::new(Mutex::new(Some(Arc::new(frame)))))
    }

    /// The frame, unless it was released.
    pub(crate) fn frame(&self) -> PyResult<Arc<mos_frame::Frame>> {
        self.get().ok_or_else(|| {
            FrameReleasedError::new_err(
                "the frame was released; read what you need before, or keep a duplicate of its descriptor (os.dup)",
            )
        })
    }

    pub(crate) fn get(&self) -> Option<Arc<mos_frame::Frame>> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Gives this hold up; what is mapped keeps its own.
    pub(crate) fn release(&self) {
        let frame = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(frame);
    }
}
