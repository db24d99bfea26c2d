//! `mosnv12contract`: the gate through which every camera's frames pass.
//!
//! What enters are NV12 frames as sources really describe them; what leaves is the contract of the frame bus,
//! `video/x-raw(memory:DMABuf), format=NV12`, and only if the memory really is a dma-buf. The kernel is asked
//! (`exp_name` in `/proc/self/fdinfo`), not the label.
//!
//! ```text
//! gst-launch-1.0 videotestsrc is-live=true ! video/x-raw,format=NV12,width=640,height=480 \
//!   ! mosnv12contract ! tee ! mosframesink stream=front
//! ```
//!
//! # Caps
//! | Accepted | Who sends it |
//! |---|---|
//! | `video/x-raw(memory:DMABuf), format=DMA_DRM, drm-format=NV12` | `v4l2src` 1.26, VA elements: linear only |
//! | `video/x-raw, format=NV12` | `libcamerasrc`, `v4l2src io-mode=dmabuf`, NXP's elements, software (development) |
//! | `video/x-raw(memory:DMABuf), format=NV12` | elements that already keep the contract |
//! | `video/x-raw(memory:GBM), format=NV12` | Qualcomm's camera and converter |
//!
//! Since plain caps don't say what the memory is, the gate holds CAPS and the serialized events behind it until the
//! first buffer shows it. A change of format in mid-stream is decided anew in the same way.
//!
//! A development build also lets memfds and memory without a descriptor pass, **as plain `video/x-raw, format=NV12`**:
//! a memfd is no dma-buf and is not called one. `mosframesink` publishes memfds as they are and copies the rest.
//!
//! # Allocation
//! The gate answers the ALLOCATION query itself, because a `tee` behind it drops pools from the answer: it promises
//! support of `GstVideoMeta` (without that `libcamerasrc` copies silently), asks for `min-buffers` buffers, and in a
//! development build offers a [pool](crate::pool) for plain caps, so that elements without memory of their own write
//! straight into what is published: dma-bufs where the machine gives them (a dma-heap, or udmabuf), so that they pass as the
//! contract wants them, else memfds. `fallback` chooses, `fallback-memory` says what it became and why nothing better.
//! With `seal` the source still maps its own buffers; what leaves the gate is sealed. `min-buffers` should be the budget of the stream; see
//! [`mosframesink`](crate::mosframesink).
//!
//! # Seal
//! Dma-bufs leave the gate sealed if `seal` is set: behind it they are still dma-bufs to every element, with the same
//! descriptors and times, but GStreamer refuses to map or copy them (`gst_buffer_map` and all that is made of it), counts
//! that in `refused-maps` and names the thread in `last-map`. A production build always seals; a development build
//! does where it is asked to, since software elements have to map. Memory before the gate is as it was, and memfds are
//! never sealed. The property takes effect with the next start (READY to PAUSED).
//!
//! What the seal can't stop, an element that calls mmap(2) on the descriptor by itself, can be seen while it lasts: see
//! [`mos_frame::mappings`] and [`MosNv12Contract::memories`]. docs/adr/0018-sealed-frames.md has the reasons.
//!
//! # Properties
//! | Property | |
//! |---|---|
//! | `min-buffers` | writable; buffers that upstream is asked for |
//! | `seal` | writable before the start; see above |
//! | `fallback` | writable, development builds; `auto`, `dma-heap`, `udmabuf`, `memfd`: a memfd where it can't be had |
//! | `fallback-memory` | such as `udmabuf (no dma-heap: ...)`; null before a pool was offered |
//! | `memory` | `none`, `dmabuf`, `memfd`, `system` |
//! | `frames`, `violations` | frames that passed; caps and frames that were refused |
//! | `refused-maps`, `last-map` | attempts to map or copy sealed frames; the last one, such as `queue0:src: read` |
//!
//! # Errors
//! A frame or caps that break the contract end the stream with `GST_STREAM_ERROR_FORMAT`, flow `not-negotiated`, and
//! [details](crate::fault::DETAILS) with `kind=contract` and one of the reasons `media-type`, `format`, `layout`
//! (tiled or compressed), `memory-feature`, `empty`, `mixed-memory`, `mislabelled`, `not-dmabuf`, `planes`.

mod caps;
mod decide;
mod imp;
mod seen;

use gst::prelude::*;
use gst::subclass::prelude::*;
use mos_frame::memory::MemoryId;

pub(crate) use caps::SRC as CONTRACT_CAPS;

gst::glib::wrapper! {
    /// The element `mosnv12contract`.
    pub struct MosNv12Contract(ObjectSubclass<imp::Gate>) @extends gst::Element, gst::Object;
}

impl MosNv12Contract {
    /// The dma-bufs that passed last, at most 128, each once: what a mapping found by
    /// [`mos_frame::mappings`] is attributed to a stream by. A stop keeps the list, the next start empties it.
    pub fn memories(&self) -> Vec<MemoryId> {
        self.imp().memories()
    }
}

pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), gst::glib::BoolError> {
    gst::Element::register(
        Some(plugin),
        "mosnv12contract",
        gst::Rank::NONE,
        MosNv12Contract::static_type(),
    )
}
