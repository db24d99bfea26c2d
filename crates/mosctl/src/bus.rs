//! Looking at producers on the frame bus: what they report, and what it means.

mod doctor;
mod look;
mod render;

pub(crate) use doctor::{Diagnosis, Process, diagnose};
pub(crate) use look::Look;
