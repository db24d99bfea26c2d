//! WS-Discovery (2005/04) as ONVIF uses it: messages here, sockets in [`listener`].

pub(super) mod interfaces;
pub(super) mod listener;
pub(super) mod message;
mod schedule;
