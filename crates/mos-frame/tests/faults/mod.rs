//! Faults by seed: what may happen to a subscriber, when, and the processes that it happens to.
//!
//! - [`Dice`] draws every choice of a scenario from one seed. The seed is printed, which shows when the scenario fails; the
//!   environment variable `MOS_FAULT_SEED` sets it, so that the same faults are tried in the same order again.
//! - [`Peer`] is a subscriber in a process of its own that can be stopped, resumed and killed.
//! - [`Raw`] speaks the protocol by hand, independently of the library, to any [`Step`] and no further; that also is how
//!   garbage is sent, sockets are filled and lease words are forged.

#![allow(unreachable_pub, reason = "support of tests")]

mod dice;
mod peer;
mod raw;

pub use dice::Dice;
pub use peer::{PART, Peer, say};
pub use raw::{Joined, Raw, State, Step, kind, packet};
