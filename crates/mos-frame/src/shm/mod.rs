//! Memory that two processes share, reached only through types of its own: no slice, no reference to plain data.

mod board;
mod holds;
mod lease;
mod order;
mod scan;
#[cfg(not(mos_loom))]
mod words;
#[cfg(mos_loom)]
#[path = "words_model.rs"]
mod words;

pub(crate) use board::{Board, BoardReader, Descriptor};
pub(crate) use holds::{Hold, Holds};
pub(crate) use lease::{LeasePage, LeaseView, State, publish_fence, unpack};
#[cfg(mos_loom)]
pub(crate) use order::Step;
pub(crate) use scan::{candidates, offers};

/// Most buffers of a stream. A model has fewer, for it goes through every way that their words can take.
pub(crate) const SLOTS: usize = if cfg!(mos_loom) { 2 } else { 256 };
/// Most frames that a window can span; also the length of the board's ring.
pub(crate) const RING: usize = if cfg!(mos_loom) { 4 } else { 256 };
