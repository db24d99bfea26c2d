//! Gives the shared library its soname.

/// Number of the binary interface: raised with a change that programs built before would not survive.
const ABI: &str = include_str!("ABI");

fn main() {
    println!("cargo::rerun-if-changed=ABI");
    let soname = format!("libmos_frame.so.{}", ABI.trim_ascii());
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,{soname}");
}
