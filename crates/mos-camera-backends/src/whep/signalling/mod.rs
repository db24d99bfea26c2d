//! WHEP's signalling (draft-ietf-wish-whep, and RFC 9725 for what it has in common with WHIP), without I/O: what happened
//! goes in with the time, what is to be done comes out.
//!
//! A session: `OPTIONS` asks for STUN and TURN servers, `POST` carries the offer with the candidates that are known by then,
//! `PATCH` those that are found later, `DELETE` ends it. Candidates are waited for only as long as finding those of this
//! machine's own addresses takes, unless the server is known to take no `PATCH`.

#[cfg(test)]
pub(crate) mod fuzzing;
mod link;
mod machine;
mod refusal;
mod relays;
mod sdp;

pub(super) use machine::{Endpoint, Input, Link, Machine, Memory, Output, Trickle};
pub(super) use relays::Verdict;
pub(super) use sdp::Answer as Agreed;
