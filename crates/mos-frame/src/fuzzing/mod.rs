//! What the fuzz targets in `fuzz/` run; only in builds with `--cfg fuzzing`, and in this crate's tests, which replay the
//! committed corpora. Every target drives the shipped code, both ends check their invariants after each step, and a panic is a
//! finding. See docs/testing.md.

mod board;
mod from_producer;
mod from_subscriber;
mod input;
mod lease_page;
#[cfg(test)]
mod replay;
mod scene;
#[cfg(test)]
mod seeds;

pub use board::run as board;
pub use from_producer::run as wire_from_producer;
pub use from_subscriber::run as wire_from_subscriber;
pub use lease_page::run as lease_page;
