//! Decisions before a pipeline is built: whether a device can give what was asked for, and which elements to build from.

mod elements;
mod validate;

pub use elements::{Chain, Codec, MissingElements, Wanted, choose_converter, choose_decoder};
pub use validate::{
    ConfigError, MAX_SIDE, MAX_SUBSCRIBERS, TIMEOUT_RANGE, validate, validate_controls,
};
