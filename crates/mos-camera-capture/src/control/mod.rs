//! The control socket: who listens on it, who may speak, and what is answered.

pub mod access;
pub mod convert;
pub mod events;
pub mod fail;
pub mod gate;
pub mod inspect;
pub mod lock;
pub mod peer;
pub mod server;
pub mod service;
pub mod socket;
pub mod sources;
