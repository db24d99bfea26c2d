//! The contract is enforced: what breaks it in a production service is refused or found, counted exactly and told.
//!
//! The test is the deliberately bad element: it runs the service in its own process on virtual cameras, and maps frames there.
//! It needs two capture nodes with NV12, which the camera lab has. That frames which are no dma-bufs are refused is
//! shown without cameras, by `gst-plugin-mos`'s tests `production` (memfd, process memory) and `contract` (the rest).

#![cfg(not(feature = "development"))]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bad_element;
mod mapped_dmabuf;
mod refused_maps;
mod service;
mod stops;
