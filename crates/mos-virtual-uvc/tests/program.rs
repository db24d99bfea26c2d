//! The program on a host that can have no virtual cameras, and on wrong usage.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::{Command, Stdio};

/// Exit code and standard error.
fn run(arguments: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_mos-virtual-uvc"))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code().unwrap(), said)
}

#[test]
fn a_host_without_the_module_says_what_to_load() {
    if Path::new("/sys/devices/platform/vhci_hcd.0").exists() {
        mos_testkit::skip::skip("mos-virtual-uvc program", "this host has vhci_hcd").unwrap();
        return;
    }
    let (code, said) = run(&[]);
    assert_eq!(code, 1);
    assert!(said.contains("modprobe vhci_hcd"), "{said}");
}

#[test]
fn wrong_usage_says_what_is_right() {
    let cases = [
        (["--format", "mjpeg"], "KIND:WxH@RATE"),
        (["--format", "nv12:640"], "WIDTHxHEIGHT"),
        (["--fault", "stal"], "short-frames"),
        (["--fault", "lie:white"], "zero-length"),
        (["--vendor", "xyz"], "hexadecimal"),
    ];
    for (arguments, says) in cases {
        let (code, said) = run(&arguments);
        assert_eq!(code, 2, "{said}");
        assert!(said.contains(says), "{arguments:?}: {said}");
    }
}

#[test]
fn impossible_cameras_are_refused_before_the_host_is_looked_at() {
    let (code, said) = run(&["--format", "nv12:321x240@30"]);
    assert_eq!(code, 1);
    assert!(said.contains("even widths"), "{said}");
}
