//! What the protocol's document says about inspection suffices to write it in another language: the pure-Python subscriber
//! asks a real producer and gets what the Rust one gets.

#![allow(clippy::unwrap_used, reason = "a test program")]

use std::process::Command;
use std::time::Duration;

use mos_frame::{
    Budget, Format, FrameMeta, MemfdPool, PoolFrame, Publisher, PublisherOptions, Subscriber,
    SubscriberOptions,
};
use serde_json::Value;

const PYTHON: &str = "/usr/bin/python3";

#[test]
fn a_report_is_read_in_python() {
    if !std::path::Path::new(PYTHON).exists() {
        let why = format!("{PYTHON} is not there; run `cargo xtask setup`");
        return mos_testkit::skip::skip("a_report_is_read_in_python", &why).unwrap();
    }
    let dir = tempfile::tempdir().unwrap();
    let path = mos_frame::socket_path(dir.path(), "inspected");
    let budget = Budget {
        slots: 64,
        ..Budget::default()
    };
    let options = PublisherOptions {
        budget,
        ..PublisherOptions::default()
    };
    let publisher = Publisher::<PoolFrame>::bind(&path, options).unwrap();
    let format = Format::nv12_memfd(64, 48, (30, 1));
    publisher.set_format(format.clone());
    let pool = MemfdPool::new(&publisher, &format, 8).unwrap();
    // Enough of them that the report takes several packets, and names that are cut in the middle of a character.
    let mut subscribers: Vec<Subscriber> = (0..20)
        .map(|n| {
            let name = "\u{20ac}".repeat(20) + &n.to_string();
            let options = SubscriberOptions {
                name,
                ..SubscriberOptions::default()
            };
            Subscriber::connect(&path, options).unwrap()
        })
        .collect();
    let frame = pool.acquire().unwrap();
    frame.publish(&publisher, FrameMeta::default()).unwrap();
    let held = subscribers[3].next().unwrap();

    let program = mos_testkit::paths::root().join("tests/python-subscriber");
    let output = Command::new(PYTHON)
        .arg(program)
        .arg("--inspect")
        .arg(&path)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let theirs: Value = serde_json::from_slice(&output.stdout).unwrap();
    let ours = mos_frame::inspect(&path, Duration::from_secs(20)).unwrap();
    let ours = serde_json::to_value(ours).unwrap();
    assert_eq!(theirs["session"], ours["session"]);
    assert_eq!(theirs["published"], 1);
    assert_eq!(theirs["format"], ours["format"]);
    let (theirs, ours) = (&theirs["subscribers"], &ours["subscribers"]);
    assert_eq!(theirs.as_array().unwrap().len(), 20);
    for n in 0..20 {
        for field in ["id", "name", "pid", "window", "hold", "counters"] {
            assert_eq!(theirs[n][field], ours[n][field], "{field} of {n}");
        }
    }
    assert_eq!(theirs[3]["holds"][0]["seq"], 1);
    drop(held);
}
