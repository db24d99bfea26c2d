//! The conformance suite on the stand-in for Qualcomm's camera source as releases before November 2025 have it, and what goes wrong
//! with it: the old name alone, and nobody says that a camera was pulled.

#![cfg(feature = "development")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod conformance;
mod qmmf;

use std::time::Duration;

use conformance::Subject;
use gst::prelude::*;
use gstqmmfstandin::{Build, service};
use mos_camera_core::FaultKind;
use qmmf::failures::{fault_of, start, streams};
use qmmf::{Board, among_others};

const BUILD: Build = Build {
    gbm: true,
    older: true,
};

fn subjects() -> Vec<Subject> {
    qmmf::subjects(BUILD)
}

suite!(subjects);

fn board() -> Board {
    Board::new("qtiqmmfsrc", BUILD)
}

failures!(board);

/// Frames end, and nothing is told; opening it fails until it is back.
#[test]
fn a_camera_that_is_pulled_gives_no_frames() {
    let _guard = among_others();
    let board = board();
    let camera = board.camera.camera();
    let element = gst::ElementFactory::make("qtiqmmfsrc").build().unwrap();
    let signal = gst::glib::subclass::SignalId::lookup("device-status-change", element.type_());
    assert!(signal.is_none(), "this is no older release");
    let running = start(&board);
    running.first_frame();
    let mut subscriber = running.subscribe();
    service().plug(camera, false);
    while subscriber
        .next_timeout(Duration::from_millis(200))
        .unwrap()
        .is_some()
    {}
    assert_eq!(running.events.drain(), []);
    drop(running);
    assert_eq!(fault_of(&board), FaultKind::Absent);
    service().plug(camera, true);
    streams(&board);
}
