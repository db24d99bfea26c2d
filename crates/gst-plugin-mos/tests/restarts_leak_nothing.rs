//! Pipelines that come and go leave no descriptor behind: no memfd, no socket, no eventfd.
#![cfg(feature = "development")]
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod common;

use common::{DEADLINE, Pipeline, buffers_at};
use gst::prelude::*;
use mos_testkit::{TempBus, process, wait_until};

/// One life of a producer and a consumer, with a frame kept beyond the end of both. `more` goes before the gate.
fn life(more: &str) {
    let bus = TempBus::new().unwrap();
    let directory = bus.dir().display();
    let producer = Pipeline::play(&format!(
        "videotestsrc is-live=true ! video/x-raw,format=NV12,width=320,height=240,framerate=120/1 {more} \
         ! mosnv12contract ! mosframesink stream=front directory={directory}"
    ));
    let consumer = Pipeline::new(&format!(
        "mosframesrc name=src stream=front directory={directory} ! fakesink"
    ));
    let received = buffers_at(&consumer.element("src").static_pad("src").unwrap());
    consumer.start();
    let kept = received
        .wait_for("three frames", DEADLINE, |b| {
            (b.offset() >= 3).then(|| b.clone())
        })
        .unwrap();
    drop(producer);
    drop(consumer);
    drop(kept);
}

#[test]
fn descriptors_stay_flat() {
    common::init();
    let idle = process::open_fds().unwrap();
    for more in ["", "! identity drop-allocation=true"] {
        life(more);
        let after_one = process::open_fds().unwrap();
        for _ in 0..10 {
            life(more);
        }
        // The last unref of a stopped pipeline can be a moment late, in one of GStreamer's own threads.
        wait_until(
            "the descriptors of ten lives to be closed",
            DEADLINE,
            || (process::open_fds().unwrap() <= after_one).then_some(()),
        )
        .unwrap_or_else(|_| {
            panic!(
                "{idle} idle, {after_one} after one life, {} after eleven",
                process::open_fds().unwrap()
            )
        });
    }
}
