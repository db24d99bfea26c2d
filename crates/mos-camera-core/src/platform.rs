//! Which machine this is, and by what its own cameras are driven: decided at run time from what the machine says of itself and
//! what is really there, so that one binary fits every board.
//!
//! [`decide`] takes [`Evidence`] that somebody else gathered and gives a [`Platform`] with the ground of each decision.

mod board;
mod choice;
mod evidence;
mod family;
#[cfg(test)]
mod tables;

pub use board::Board;
pub use choice::{
    CAMERA_SERVICE, CsiBackend, DENIED_HINT, Ground, Platform, Problem, Refused, decide,
    decide_with,
};
pub use evidence::{CameraService, ElementState, Evidence, MediaDevice, SocIds, strings};
pub use family::{Family, Soc, UnknownFamily};
