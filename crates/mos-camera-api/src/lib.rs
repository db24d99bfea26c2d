//! The control surface of mos-camera: the protobuf contract, the code generated from it, and a client.
//!
//! - [`v1`]: messages, the server traits and the clients of `mos.services.camera.v1`;
//! - [`FILE_DESCRIPTOR_SET`]: the contract in binary form, for the reflection service;
//! - [`error`]: the typed detail that goes with an error status;
//! - [`client`]: reaching the service through its Unix socket.
//!
//! The contract itself, with units, defaults, idempotence and the error codes of every method, is
//! `proto/mos/services/camera/v1/capture_control.proto`.

pub mod client;
pub mod error;

pub use error::{StatusExt, detail_of, status_with_detail};

/// Generated from the contract.
#[allow(
    missing_docs,
    unreachable_pub,
    rustdoc::all,
    clippy::all,
    clippy::pedantic,
    clippy::unwrap_used,
    reason = "generated code; its documentation is the comments of the .proto file"
)]
pub mod v1 {
    tonic::include_proto!("mos.services.camera.v1");
}

/// The contract and all that it imports as an encoded `google.protobuf.FileDescriptorSet`, for the reflection service.
pub const FILE_DESCRIPTOR_SET: &[u8] =
    include_bytes!(concat!(env!("OUT_DIR"), "/capture_control.bin"));
