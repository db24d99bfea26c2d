//! The capture service of mos-camera: every configured camera on the frame bus, one control service over all of them.
//!
//! [`run::run`] is the whole service; the binary around it reads the command line and listens for signals.
//!
//! - [`config`]: the configuration file;
//! - [`state`]: what was asked for at run time, kept over restarts;
//! - [`engine`]: the streams, each an actor around the core's lifecycle;
//! - [`control`]: the gRPC services on a Unix socket, gated by the kernel's word on the peer;
//! - [`machine`]: what the probe of the platform says of a machine, as JSON;
//! - [`exit`]: why the process ended.

pub mod cli;
pub mod config;
pub mod control;
pub mod engine;
pub mod exit;
pub mod log;
pub mod machine;
pub mod run;
pub mod state;
pub mod systemd;
