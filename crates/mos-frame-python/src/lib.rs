//! The frame bus for Python: the native half of the package `mos_frame`.
//!
//! Only a wrapper: what is decided is decided in `mos-frame`. Waiting releases the interpreter, and Ctrl-C ends it.

#![allow(
    clippy::doc_markdown,
    reason = "these comments become Python's docstrings"
)]
#![allow(
    clippy::needless_pass_by_value,
    reason = "arguments come from Python by value"
)]

mod errors;
mod frame;
mod inspect;
mod interrupt;
mod lease;
mod plane;
mod subscriber;
#[cfg(feature = "development")]
mod view;

use pyo3::prelude::*;

/// The native half of `mos_frame`; import that instead.
#[pymodule]
mod _native {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::frame::{Format, Frame};
    #[pymodule_export]
    use crate::inspect::inspect;
    #[pymodule_export]
    use crate::plane::Plane;
    #[pymodule_export]
    use crate::subscriber::{Stats, Subscriber};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        module.add("CPU_ACCESS", cfg!(feature = "development"))
    }
}
