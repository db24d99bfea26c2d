//! Measuring what arrives on the frame bus.

mod measure;
mod report;

pub(crate) use measure::{Arrival, Measure};
pub(crate) use report::{HEADER, Kind, Report};
