//! `mosframesink`: publishes a stream on the frame bus.
//!
//! It publishes upstream's own buffers: their descriptors are handed to subscribers once, and each buffer is kept until
//! the last of them let go of its frame. No pixel is copied or mapped. Put [`mosnv12contract`](crate::mosnv12contract)
//! before it.
//!
//! ```text
//! gst-launch-1.0 videotestsrc is-live=true ! video/x-raw,format=NV12,width=640,height=480 \
//!   ! mosnv12contract min-buffers=14 ! mosframesink stream=front expected-subscribers=8
//! ```
//!
//! A development build publishes memfds too, and copies frames whose memory has no descriptor at all into memfds of its
//! own: `stats` counts those copies.
//!
//! # Budget
//! A stream needs `W + max(1, N) + sum(H)` buffers: W in the camera or decoder (`in-flight`), the newest N on offer
//! (`window`), and what each of `expected-subscribers` holds (`hold`). The sink asks for that many in the ALLOCATION
//! query; since a `tee` drops such answers, give the gate before the tee the same figure as `min-buffers`.
//! Subscribers are admitted against what is really there: `slots` if it is set, else the upper bound of the pool that
//! the first buffer comes from, else the needed figure. A camera with a small pool of its own (4 to 8 buffers) thus
//! admits few subscribers and says so to the others; it is never starved by them.
//!
//! # Time
//! A frame's capture time is its running time carried over to `CLOCK_MONOTONIC`; where that can't be (no clock, a time
//! stamp in the future or more than 10 s back) it is the time of arrival, and the frame says which it is. Capture times rise
//! within a session: one that would not is held at the next nanosecond, and flagged. Time of day is passed on from
//! `GstReferenceTimestampMeta` (`timestamp/x-ntp`, `timestamp/x-unix`).
//!
//! Frames of network cameras are stamped by what is known of their packets ([`MosFrameSink::set_origins`]): by the camera's own
//! clock as soon as it tells its time, else by the arrival of a frame's first packet.
//! A dma-buf that its device still writes is waited for, so that what is on offer is finished.
//! Frames flagged `CORRUPTED` are dropped and counted, never published.
//!
//! # Properties
//! `stream`, `directory`, `socket-path`; `slots`, `in-flight`, `window`, `expected-subscribers`, `hold`;
//! `allow-uids` and `allow-gids` (ids separated by commas, beside our own user and root), `socket-mode`, `socket-gid`
//! (-1 leaves ours); and `stats`:
//! a structure `mos-frame-sink-stats` with `published`, `copied`, `corrupted`, `dropped`, `refused`, `evicted` (u64), `epoch`,
//! `buffers` (uint), `session` (u64) and `subscribers`, an array of structures `subscriber` with `id`, `name`, `pid`,
//! `uid`, `window`, `hold`, `offered`, `claimed`, `recalled`, `skipped`, `revoked`, `held`, `max-held`.
//! Rust programs take [`MosFrameSink::stats`].
//!
//! # Errors
//! With [details](crate::fault::DETAILS): `kind=bus` and reason `no-stream`, `access`, `in-use`, `permission`, `no-folder`, `io`
//! at the start, `import`, `publish`, `copy` later; `kind=contract` and reason `no-caps`, `planes`, `not-shareable`.

mod access;
#[cfg(feature = "development")]
mod copy;
mod fault;
mod imp;
mod outlet;
mod settings;
mod stats;

use gst::prelude::*;
use gst::subclass::prelude::*;

pub use crate::clock::StreamClock;
use crate::origins::Origins;
pub use access::StreamAccess;
pub use stats::SinkStats;

gst::glib::wrapper! {
    /// The element `mosframesink`.
    pub struct MosFrameSink(ObjectSubclass<imp::FrameSink>) @extends gst_base::BaseSink, gst::Element, gst::Object;
}

impl MosFrameSink {
    /// Says who may subscribe; takes effect with the next start.
    pub fn set_access(&self, access: StreamAccess) {
        self.imp().set_access(access);
    }

    /// The frames are a network camera's, whose times are told by `origins`; takes effect at once.
    pub fn set_origins(&self, origins: Origins) {
        self.imp().set_origins(origins);
    }

    /// What was published so far and to whom; `None` while the sink is stopped.
    pub fn stats(&self) -> Option<SinkStats> {
        self.imp().stats()
    }
}

pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), gst::glib::BoolError> {
    gst::Element::register(
        Some(plugin),
        "mosframesink",
        gst::Rank::NONE,
        MosFrameSink::static_type(),
    )
}
