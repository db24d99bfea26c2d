//! A stream's name is taken: the second producer is told so, the first does not notice.
#![cfg(feature = "development")]
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod common;

use std::os::unix::fs::PermissionsExt;

use common::{Pipeline, next, subscribe};
use gst::prelude::*;
use mos_testkit::TempBus;

fn line(directory: &str, more: &str) -> String {
    format!(
        "videotestsrc is-live=true ! video/x-raw,format=NV12,width=320,height=240,framerate=60/1 \
         ! mosnv12contract ! mosframesink name=sink directory={directory} {more}"
    )
}

#[test]
fn the_second_producer_is_refused() {
    let bus = TempBus::new().unwrap();
    let directory = bus.dir().display().to_string();
    let first = Pipeline::play(&line(&directory, "stream=front"));
    let second = Pipeline::new(&line(&directory, "stream=front"));
    assert!(second.0.set_state(gst::State::Playing).is_err());
    let fault = second.fault();
    assert_eq!(
        (fault.kind.as_str(), fault.reason.as_str()),
        ("bus", "in-use")
    );
    assert!(fault.text.contains("front.sock"), "{}", fault.text);
    let mut subscriber = subscribe(&bus, "front", 2, 1);
    let seq = next(&mut subscriber).seq();
    assert!(next(&mut subscriber).seq() > seq);
    assert!(first.pending_error().is_none());
}

#[test]
fn a_start_that_fails_says_why() {
    let bus = TempBus::new().unwrap();
    let directory = bus.dir().display().to_string();
    let missing = format!("{directory}/missing");
    let cases = [
        (line(&directory, ""), "no-stream"),
        (line(&directory, "stream=../x"), "no-stream"),
        (line(&missing, "stream=front"), "no-folder"),
    ];
    for (line, reason) in cases {
        let pipeline = Pipeline::new(&line);
        assert!(pipeline.0.set_state(gst::State::Playing).is_err(), "{line}");
        assert_eq!(pipeline.fault().reason, reason, "{line}");
    }
}

#[test]
fn a_folder_without_write_permission_says_so() {
    if rustix::process::geteuid().is_root() {
        mos_testkit::skip::skip(
            "a_folder_without_write_permission_says_so",
            "root may write everywhere",
        )
        .unwrap();
        return;
    }
    let bus = TempBus::new().unwrap();
    std::fs::set_permissions(bus.dir(), std::fs::Permissions::from_mode(0o500)).unwrap();
    let pipeline = Pipeline::new(&line(&bus.dir().display().to_string(), "stream=front"));
    assert!(pipeline.0.set_state(gst::State::Playing).is_err());
    assert_eq!(pipeline.fault().reason, "permission");
}
