//! What a sink did so far.

use gst::prelude::*;
use mos_frame::{PublisherStats, SubscriberInfo};

use crate::clock::StreamClock;

/// Figures of a sink since it started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkStats {
    /// The bus's figures: frames published, epoch, subscribers and their counters.
    pub bus: PublisherStats,
    /// Frames that were copied because their memory has no descriptor (development builds).
    pub copied: u64,
    /// Frames that upstream flagged as damaged; not published.
    pub corrupted: u64,
    /// Frames not published because no buffer was free: upstream reused one that a subscriber holds, or the copy found none.
    pub dropped: u64,
    /// The clock of the newest frame; `None` before the first.
    pub clock: Option<StreamClock>,
}

impl SinkStats {
    /// The same as the value of the property `stats`.
    pub(crate) fn to_structure(&self) -> gst::Structure {
        gst::Structure::builder("mos-frame-sink-stats")
            .field("published", self.bus.published)
            .field("copied", self.copied)
            .field("corrupted", self.corrupted)
            .field("dropped", self.dropped)
            .field("refused", self.bus.refused)
            .field("evicted", self.bus.evicted)
            .field("epoch", self.bus.epoch)
            .field("buffers", self.bus.buffers)
            .field("session", self.bus.session)
            .field(
                "subscribers",
                gst::Array::new(
                    self.bus
                        .subscribers
                        .iter()
                        .map(|s| subscriber(s).to_send_value()),
                ),
            )
            .build()
    }
}

fn subscriber(info: &SubscriberInfo) -> gst::Structure {
    let counters = &info.counters;
    gst::Structure::builder("subscriber")
        .field("id", info.id)
        .field("name", &info.name)
        .field("pid", info.pid)
        .field("uid", info.uid)
        .field("window", info.window)
        .field("hold", info.hold)
        .field("offered", counters.offered)
        .field("claimed", counters.claimed)
        .field("recalled", counters.recalled)
        .field("skipped", counters.skipped)
        .field("revoked", counters.revoked)
        .field("held", counters.held)
        .field("max-held", counters.max_held)
        .build()
}
