//! Decisions before a pipeline is built: whether a device can give what was asked for, and how its pictures become NV12.
//!
//! [`explain`] takes what a source offers, what is wished, what the machine has and the rules that are known, and gives
//! the cheapest [`Plan`] together with the reason against everything else. Nothing here looks at the machine itself.

mod cost;
mod explanation;
mod machine;
mod offer;
mod planner;
#[cfg(test)]
mod properties;
mod rules;
mod size;
#[cfg(test)]
mod tables;
mod validate;

pub use cost::{Costlier, Loss};
pub use explanation::{
    Capture, Explanation, FrameMemory, NoPlan, Obstacle, Plan, Reason, Rejected,
};
pub use machine::{Build, ElementFacts, Formats, Machine, PoolMemory};
pub use offer::{Handover, Mode, Offer, Offered, Wish, is_compressed};
pub use planner::{Request, explain};
pub use rules::{Copies, EndsIn, InvalidStep, Kind, RAW, Rule, Step, built_in};
pub use validate::{
    ConfigError, MAX_SIDE, MAX_SUBSCRIBERS, TIMEOUT_RANGE, validate, validate_controls,
};
