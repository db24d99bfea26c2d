//! `mosframesrc`: a stream of the frame bus as a live source.
//!
//! ```text
//! gst-launch-1.0 mosframesrc stream=front ! videoconvert ! autovideosink
//! ```
//!
//! Each buffer is the producer's own memory: one read-only `GstMemory` for each descriptor, planes in a `GstVideoMeta`.
//! The frame stays leased until the last user of that memory lets go, also through shallow copies of the buffer;
//! an element that writes gets a copy from GStreamer.
//!
//! # Caps
//! Dma-bufs come as `video/x-raw(memory:DMABuf), format=NV12`, or as `format=DMA_DRM, drm-format=NV12` for elements
//! that know only this (GStreamer 1.24 and later). Memfds of a development build come as plain `video/x-raw,
//! format=NV12`; a development build also offers dma-bufs so to elements that map frames. A change of format by the
//! producer renegotiates. Downstream must understand `GstVideoMeta` if the producer's rows are padded.
//!
//! # Frames
//! `window` (N) frames are kept on offer; a consumer that is slower misses older ones, the producer never waits.
//! At most `hold` frames may be in use downstream at once: queues, encoders with look-ahead, the sink's last sample.
//! With that many in use the source waits until downstream lets go of one, and misses frames meanwhile. `latest=true`
//! skips to the newest frame each time.
//! A producer that restarts is found again by itself; meanwhile the source waits, or fails after `timeout`.
//!
//! # Start
//! The stream need not be there yet. The state changes are not held up: the source waits for the stream once it plays, says so
//! by progress messages of the code `connect`, and fails after `connect-timeout` (10 s unless set; 0 fails at the start).
//!
//! # Time
//! PTS is the capture time as running time, so that a live sink shows frames with the camera's own rhythm. The buffer's
//! offset is the sequence on the bus; DISCONT marks a gap. `GstReferenceTimestampMeta` (`timestamp/x-unix`) carries the
//! time of day where the camera gave it.
//!
//! # Properties
//! `stream`, `directory`, `socket-path`, `window`, `hold`, `latest`, `timeout` (ns, 0 waits for ever),
//! `connect-timeout` (ns, 0 does not wait, the largest value waits for ever);
//! and `stats`, to be read at any time: a structure `mos-frame-src-stats` with `received`, `missed` (frames that were published and
//! not received), `gaps`, `reconnects` (u64).
//!
//! # Errors
//! With [details](crate::fault::DETAILS): `kind=bus` and reason `no-stream`, `not-found`, `refused`, `permission`,
//! `handshake-timeout`, `protocol`, `io` at the start or when the stream did not appear in time, `timeout`, `evicted`, `disconnected`, `receive` later;
//! `kind=contract` and reason `format` or `not-negotiated`.

mod caps;
mod imp;
mod inlet;
mod release;
mod settings;
mod wait;
mod wrap;

use gst::prelude::*;

gst::glib::wrapper! {
    /// The element `mosframesrc`.
    pub struct MosFrameSrc(ObjectSubclass<imp::FrameSrc>)
        @extends gst_base::PushSrc, gst_base::BaseSrc, gst::Element, gst::Object;
}

pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), gst::glib::BoolError> {
    gst::Element::register(
        Some(plugin),
        "mosframesrc",
        gst::Rank::NONE,
        MosFrameSrc::static_type(),
    )
}
