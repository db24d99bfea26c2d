//! Faults on the wire, for the conformance table of network cameras (`cargo xtask conformance`).
//!
//! - `mos-wire` joins pairs of network interfaces and passes their Ethernet frames on: late, out of order, or not at all,
//!   as `tc netem` does where the kernel has it.
//! - `mos-rtsp-faults` stands before a real RTSP server and does what a sane one never does: it resets connections,
//!   dribbles, sends headers of 10,000 bytes, parameter sets that are no parameter sets, and time stamps that run back.
//!
//! Both take commands on standard input, answer each with a line, and end when it closes. Everything that is left to chance
//! comes from a seed. What they decide is in this library, without I/O.

pub mod certificate;
pub mod command;
pub mod corrupt;
pub mod dice;
pub mod h264;
pub mod leg;
pub mod rtsp;
pub mod sdp;
pub mod shape;
pub mod transport;
