//! The conformance suite on the stand-in for Qualcomm's camera source, with caps with GBM memory, and what goes wrong with it.

#![cfg(feature = "development")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod conformance;
mod qmmf;

use std::collections::HashSet;
use std::sync::Arc;

use conformance::{PATIENCE, Running, Subject, next};
use gst::prelude::*;
use gstqmmfstandin::{Build, service};
use mos_camera_backends::pipeline::Memory;
use mos_camera_backends::qmmf::Registry;
use mos_camera_backends::{Backend, QmmfBackend};
use mos_camera_core::plan::{Handover, Reason};
use mos_camera_core::{DeviceId, FaultKind, Framerate, Health, StreamConfig};
use mos_frame::{ConnectError, Subscriber, SubscriberOptions};
use qmmf::{Board, alone, among_others};

const BUILD: Build = Build { gbm: true };

fn subjects() -> [Subject; 2] {
    qmmf::subjects(BUILD)
}

suite!(subjects);

fn board() -> Board {
    Board::new("qticamsrc", BUILD)
}

fn config(board: &Board) -> StreamConfig {
    StreamConfig {
        size: Some((640, 480)),
        ..StreamConfig::new(board.device.clone())
    }
}

fn start(board: &Board) -> Running {
    Running::start(&board.backend, &config(board)).unwrap()
}

/// The class of the fault that a stream ends with.
fn fault_of(board: &Board) -> FaultKind {
    match Running::start(&board.backend, &config(board)) {
        Ok(running) => running.fault().kind,
        Err(fault) => fault.kind,
    }
}

fn streams(board: &Board) {
    let running = start(board);
    running.first_frame();
    next(&mut running.subscribe());
}

/// GBM caps are taken where they are offered.
#[test]
fn caps_with_gbm_memory_are_asked_for() {
    let _guard = among_others();
    let board = board();
    let plan = board
        .backend
        .explain(&board.device, &config(&board))
        .unwrap();
    assert_eq!(plan.chosen.unwrap().capture.handover, Handover::Gbm);
}

/// The element can't be brought down when its service is dead: everything else is, and a new one works when the service is back.
#[test]
fn the_service_dies_and_comes_back() {
    let _guard = alone();
    let mut board = board();
    let running = start(&board);
    running.first_frame();
    let mut subscriber = running.subscribe();
    let held = next(&mut subscriber);
    board.listen(false);
    service().die();
    assert_eq!(running.fault().kind, FaultKind::Disconnected);
    running.pipeline.stop();
    assert!(!running.socket().exists(), "the stream is still offered");
    assert_eq!(running.events.drain(), []);
    // What a subscriber holds is its own.
    assert!(rustix::fs::fstat(held.fd(0).unwrap()).is_ok());
    running.pipeline.start();
    assert_eq!(running.fault().kind, FaultKind::Internal);
    assert_eq!(fault_of(&board), FaultKind::Unreachable);
    assert_eq!(
        board.backend.reset(&board.device).unwrap_err().kind,
        FaultKind::Unreachable
    );
    board.listen(true);
    // It listens, but what was made before it came back is of no use.
    service().revive();
    assert!(board.backend.reset(&board.device).is_ok());
    streams(&board);
}

/// An error of the camera ends the stream; after a reset it is opened anew.
#[test]
fn the_camera_breaks_down() {
    let _guard = among_others();
    let board = board();
    let running = start(&board);
    running.first_frame();
    service().camera_error(board.camera.camera());
    let fault = running.fault();
    assert_eq!(fault.kind, FaultKind::Disconnected, "{fault}");
    drop(running);
    assert!(board.backend.reset(&board.device).is_ok());
    streams(&board);
}

/// What the element tells without an error ends the stream all the same, and it is opened anew.
#[test]
fn the_camera_breaks_down_without_an_error() {
    let _guard = among_others();
    let board = board();
    let camera = board.camera.camera();
    let fatal: [fn(u32); 2] = [
        |camera| service().fail_to_recover(camera),
        |camera| service().break_down(camera),
    ];
    for break_down in fatal {
        let running = start(&board);
        running.first_frame();
        break_down(camera);
        let fault = running.fault();
        assert_eq!(fault.kind, FaultKind::Disconnected, "{fault}");
        drop(running);
        assert!(board.backend.reset(&board.device).is_ok());
        streams(&board);
    }
}

/// The service gets over it by itself, and so does the stream.
#[test]
fn the_camera_recovers() {
    let _guard = among_others();
    let board = board();
    let camera = board.camera.camera();
    let running = start(&board);
    running.first_frame();
    service().recover(camera);
    let frames = service().reports(camera)[0].frames;
    assert!(service().wait(camera, PATIENCE, |reports| reports[0].frames > frames + 10));
    next(&mut running.subscribe());
    assert_eq!(running.events.drain(), []);
}

/// The camera is pulled, which ends its stream at once; another camera's is nothing to it. Plugged in again, it streams again.
#[test]
fn the_camera_is_pulled() {
    let _guard = among_others();
    let (board, other) = (board(), board());
    let running = start(&board);
    running.first_frame();
    service().plug(other.camera.camera(), false);
    let camera = board.camera.camera();
    let frames = service().reports(camera)[0].frames;
    assert!(service().wait(camera, PATIENCE, |reports| reports[0].frames > frames + 2));
    assert_eq!(running.events.drain(), []);
    service().plug(camera, false);
    let fault = running.fault();
    assert_eq!(fault.kind, FaultKind::Absent, "{fault}");
    drop(running);
    assert_eq!(fault_of(&board), FaultKind::Absent);
    service().plug(camera, true);
    streams(&board);
}

/// A number that the service can't open, and then can.
#[test]
fn the_camera_is_not_there() {
    let _guard = among_others();
    let board = board();
    service().set_absent(board.camera.camera(), true);
    assert_eq!(fault_of(&board), FaultKind::Absent);
    service().set_absent(board.camera.camera(), false);
    streams(&board);
}

/// The service gives a camera to one client; the second is told so, and the first goes on.
#[test]
fn a_camera_has_one_stream() {
    let _guard = among_others();
    let board = board();
    let first = start(&board);
    first.first_frame();
    assert_eq!(fault_of(&board), FaultKind::Busy);
    next(&mut first.subscribe());
}

/// The pads offer what the chip can; the sensor behind may give less.
#[test]
fn the_sensor_gives_less_than_the_chip() {
    let _guard = among_others();
    let board = board();
    service().set_largest(board.camera.camera(), 320, 240);
    let fault = start(&board).fault();
    assert_eq!(fault.kind, FaultKind::Internal);
    assert!(fault.hint.contains("size"), "{fault}");
}

/// The service is asked for as many buffers as subscribers may hold, and gets all others back at once.
#[test]
fn buffers_go_back() {
    let _guard = among_others();
    let board = board();
    // Slow, so that an emulated processor keeps up: between camera and pad there is a queue without a limit.
    let slow = StreamConfig {
        framerate: Framerate::new(5, 1),
        ..config(&board)
    };
    let running = Running::start(&board.backend, &slow).unwrap();
    running.first_frame();
    let camera = board.camera.camera();
    // 12 of its own, 2 on offer, 8 held.
    assert_eq!(service().reports(camera)[0].buffers, 12 + 2 + 8);
    let mut holding = running.subscribe();
    let held = next(&mut holding);
    let enough = service().wait(camera, PATIENCE, |reports| reports[0].frames > 30);
    let report = service().reports(camera)[0];
    // On offer, held, and on the way.
    assert!(enough && report.lent <= 2 + 1 + 2, "{report:?}");
    assert_eq!(report.starved, 0);
    drop(held);
    assert_eq!(running.pipeline.stats().bus.unwrap().copied, 0);
}

/// Where the machine has dma-bufs to give, frames are in them, and what a subscriber gets is another descriptor of the same.
/// `MOS_DMABUF_REQUIRED` says that it has.
#[test]
fn frames_are_the_services_own_dma_bufs() {
    let _guard = among_others();
    let board = board();
    let running = start(&board);
    running.first_frame();
    let mut subscriber = running.subscribe();
    let mut inodes = HashSet::new();
    for _ in 0..40 {
        let frame = next(&mut subscriber);
        inodes.insert(rustix::fs::fstat(frame.fd(0).unwrap()).unwrap().st_ino);
    }
    let stats = running.pipeline.stats();
    let required = std::env::var_os("MOS_DMABUF_REQUIRED").is_some();
    assert!(!required || stats.memory == Memory::DmaBuf, "{stats:?}");
    assert_eq!(stats.bus.unwrap().copied, 0);
    let buffers = service().reports(board.camera.camera())[0].buffers as usize;
    assert!(!inodes.is_empty() && inodes.len() <= buffers, "{inodes:?}");
}

/// Who would hold more than the extra buffers is refused with the figures.
#[test]
fn more_than_the_extra_buffers_are_refused() {
    let _guard = among_others();
    let board = board();
    let running = start(&board);
    running.first_frame();
    let options = SubscriberOptions {
        hold: 9,
        ..SubscriberOptions::default()
    };
    let refused = Subscriber::connect(&running.socket(), options).unwrap_err();
    assert!(matches!(refused, ConnectError::Refused { .. }), "{refused}");
    next(&mut running.subscribe());
}

/// Compressed frames (UBWC) are no way to NV12 for the planner, and the gate does not take their caps.
#[test]
fn ubwc_is_refused_before_the_gate_and_at_it() {
    let _guard = among_others();
    let board = board();
    let explanation = board
        .backend
        .explain(&board.device, &config(&board))
        .unwrap();
    let ubwc = |r: &&mos_camera_core::plan::Rejected| r.capture.format == "NV12_Q08C";
    let rejected: Vec<_> = explanation.rejected.iter().filter(ubwc).collect();
    assert!(!rejected.is_empty());
    assert!(
        rejected.iter().all(|r| r.reason == Reason::NoRule),
        "{rejected:?}"
    );
    let source = gst::ElementFactory::make("qticamsrc").build().unwrap();
    let filter = gst::ElementFactory::make("capsfilter").build().unwrap();
    let gate = gst::ElementFactory::make("mosnv12contract")
        .build()
        .unwrap();
    let bin = gst::Bin::new();
    bin.add_many([&source, &filter, &gate]).unwrap();
    let pad = source.request_pad_simple("video_%u").unwrap();
    pad.link(&filter.static_pad("sink").unwrap()).unwrap();
    for (caps, taken) in [
        (
            "video/x-raw(memory:GBM),format=NV12,width=640,height=480,framerate=30/1",
            true,
        ),
        (
            "video/x-raw(memory:GBM),format=NV12_Q08C,width=640,height=480,framerate=30/1",
            false,
        ),
        (
            "video/x-raw,format=NV12_Q08C,width=640,height=480,framerate=30/1",
            false,
        ),
    ] {
        filter.set_property("caps", caps.parse::<gst::Caps>().unwrap());
        assert_eq!(filter.link(&gate).is_ok(), taken, "{caps}");
        filter.unlink(&gate);
    }
}

/// Without the element, or without the service, it is said what is missing.
#[test]
fn what_is_missing_is_named() {
    let _guard = among_others();
    let mut board = board();
    let listed = board.backend.discover().unwrap();
    assert_eq!(listed[0].health, Health::Ready);
    board.listen(false);
    for fault in [
        board.backend.discover().unwrap_err(),
        board
            .backend
            .source(&board.device, &config(&board))
            .unwrap_err(),
    ] {
        assert_eq!(fault.kind, FaultKind::Unreachable);
    }
    board.listen(true);
    let bare: Arc<dyn Backend> =
        Arc::new(QmmfBackend::gmsl(Arc::new(Registry::new("/nowhere", None))));
    let id: DeviceId = "gmsl:x/link0".parse().unwrap();
    assert_eq!(bare.discover().unwrap_err().kind, FaultKind::Missing);
    assert_eq!(bare.reset(&id).unwrap_err().kind, FaultKind::Absent);
}
