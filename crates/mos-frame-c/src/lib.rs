//! The frame bus for C and C++, as a shared and a static library.
//!
//! Only a wrapper: what is decided is decided in `mos-frame`. Here pointers are checked, errors become a status and a text,
//! and panics are stopped at the boundary. The names are those of the header, which is made from these files.

#![allow(non_camel_case_types, reason = "the names are those of the C header")]

mod boundary;
mod format;
mod frame;
mod inspect;
#[cfg(feature = "development")]
mod mapping;
mod options;
mod status;
mod subscriber;
mod version;

pub use format::*;
pub use frame::*;
pub use inspect::*;
#[cfg(feature = "development")]
pub use mapping::*;
pub use options::*;
pub use status::*;
pub use subscriber::*;
pub use version::*;
