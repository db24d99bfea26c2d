//! Compiles the protobuf contract in Rust alone: neither `protoc` nor its include files are needed.

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

use prost::Message as _;

const PROTO_DIR: &str = "proto";
const PROTO: &str = "mos/services/camera/v1/capture_control.proto";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={PROTO_DIR}");
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    let files = protox::compile([PROTO], [PROTO_DIR])?;
    fs::write(out.join("capture_control.bin"), files.encode_to_vec())?;
    // A stream's status is many times the size of every other event.
    tonic_prost_build::configure()
        .boxed(".mos.services.camera.v1.Event.kind.snapshot")
        .build_transport(false)
        .compile_fds(files)?;
    Ok(())
}
