//! Peers of WebRTC streams that nobody here wrote, beside aiortc.

mod relay;
mod whepserversink;
