//! Conformance suite for subscribers of the frame bus, in any language.
//!
//! A subscriber is wrapped in a small program, the *driver*, that takes commands as JSON lines (README.md). The suite starts
//! it, gives it a real producer or a scripted one that follows docs/frame-bus-protocol.md to the letter, or breaks it on
//! purpose, and looks at what the subscriber does: the frames it gives, the words it writes, what it holds open.
//!
//! ```sh
//! cargo run -p mos-frame-conformance -- PROGRAM [ARGUMENTS...]
//! ```

use std::panic::{AssertUnwindSafe, catch_unwind};

use libtest_mimic::{Failed, Trial};

pub mod driver;
pub mod packet;
pub mod scenarios;
pub mod scripted;
pub mod stream;

pub use driver::Implementation;

/// What a scenario comes to.
pub type Outcome = Result<(), Failed>;

/// One thing that every subscriber has to do right.
pub type Scenario = fn(&Implementation) -> Outcome;

/// Fails a scenario unless the condition holds.
#[macro_export]
macro_rules! ensure {
    ($condition:expr, $($text:tt)+) => {
        if !$condition {
            return Err(format!($($text)+).into());
        }
    };
}

/// All scenarios for one implementation, as tests named `<implementation>::<group>::<scenario>`.
pub fn trials(implementation: &Implementation) -> Vec<Trial> {
    scenarios::all()
        .map(|(name, scenario)| {
            let implementation = implementation.clone();
            let title = format!("{}::{name}", implementation.name);
            Trial::test(title, move || {
                // A scenario is code that may panic as well; the others go on.
                catch_unwind(AssertUnwindSafe(|| scenario(&implementation)))
                    .unwrap_or_else(|_| Err("the scenario panicked".into()))
            })
        })
        .collect()
}
