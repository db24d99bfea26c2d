//! Decisions before a pipeline is built: whether a device can give what was asked for, and how its pictures become NV12.
//!
//! [`explain`] takes what a source offers, what is wished, what the machine has and the rules that are known, and gives
//! the cheapest [`Plan`] together with the reason against everything else. Rules come from [`Profiles`], which are files.
//! Nothing here looks at the machine itself.

mod cost;
mod explanation;
mod machine;
mod offer;
mod place;
mod planner;
mod profile;
mod profile_file;
#[cfg(test)]
mod profile_tests;
#[cfg(test)]
mod properties;
mod registry;
mod rules;
mod size;
#[cfg(test)]
mod tables;
mod touch;
mod validate;

pub use cost::{Costlier, Loss, PoolLimit};
pub use explanation::{
    Capture, Explanation, FrameMemory, NoPlan, Obstacle, Plan, Reason, Rejected,
};
pub use machine::{Build, ElementFacts, Formats, Machine, PoolMemory, Property};
pub use offer::{Handover, Mode, Offer, Offered, Wish, is_compressed};
pub use place::ProfileError;
pub use planner::{Request, explain};
pub use profile::{BUILT_IN_ORIGIN, Profile, Profiles};
pub use registry::{InvalidRegistry, Registry};
pub use rules::{
    Copies, EndsIn, Forbidden, InvalidStep, Kind, RAW, Rule, Rules, Setting, Step, Trap, is_kind_of,
};
pub use validate::{
    ConfigError, MAX_SIDE, MAX_SUBSCRIBERS, TIMEOUT_RANGE, validate, validate_controls,
};
