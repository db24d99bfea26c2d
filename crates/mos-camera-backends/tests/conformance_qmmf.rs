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
use qmmf::failures::{config, fault_of, start, streams};
use qmmf::{Board, among_others};

const BUILD: Build = Build {
    gbm: true,
    older: false,
};

fn subjects() -> Vec<Subject> {
    qmmf::subjects(BUILD)
}

suite!(subjects);

fn board() -> Board {
    Board::new("qticamsrc", BUILD)
}

failures!(board);

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

/// After the example of `maxim,max96712.yaml` (mainline): two of four links are connected.
const QUAD: &str = "
    compatible = qcom,monaco-evk qcom,qcs8300
    soc@0/compatible = simple-bus
    soc@0/cci@ac13000/compatible = qcom,qcs8300-cci qcom,msm8996-cci
    soc@0/cci@ac13000/i2c-bus@0/gmsl-deserializer@49/compatible = maxim,max96712
    soc@0/cci@ac13000/i2c-bus@0/gmsl-deserializer@49/ports/port@0/endpoint
    soc@0/cci@ac13000/i2c-bus@0/gmsl-deserializer@49/ports/port@3/endpoint
    soc@0/cci@ac13000/i2c-bus@0/gmsl-deserializer@49/ports/port@4/endpoint";

/// The links of a deserializer in the device tree are cameras, with nothing configured: each is listed, and opened by its place in the
/// tree as its number.
#[test]
fn links_of_the_device_tree_stream() {
    let _guard = among_others();
    let links = [
        ("gmsl:cci@ac13000/i2c-bus@0/max96712@49/link0", 0),
        ("gmsl:cci@ac13000/i2c-bus@0/max96712@49/link3", 1),
    ];
    for (id, number) in links {
        let board = Board::wired("qticamsrc", BUILD, QUAD, (id, number));
        let listed = board.backend.discover().unwrap();
        let ids: Vec<_> = listed.iter().map(|device| device.id.as_str()).collect();
        assert_eq!(ids, links.map(|(id, _)| id));
        let device = listed.iter().find(|d| d.id == board.device).unwrap();
        let at = "/soc@0/cci@ac13000/i2c-bus@0/gmsl-deserializer@49";
        let place = format!("camera {number} of the camera service, at {at}");
        assert_eq!(
            (&device.location, device.model.as_str()),
            (&place, "max96712")
        );
        let running = start(&board);
        running.first_frame();
        next(&mut running.subscribe());
        let opened = service().reports(number);
        assert!(opened.len() == 1 && opened[0].frames > 0, "{opened:?}");
    }
}

/// A frame that is flagged as broken reaches nobody and is counted.
#[test]
fn a_broken_frame_is_dropped() {
    let _guard = among_others();
    let board = board();
    let camera = board.camera.camera();
    let running = start(&board);
    running.first_frame();
    service().spoil(camera, 5);
    let given = service().reports(camera)[0].frames;
    assert!(service().wait(camera, PATIENCE, |reports| reports[0].frames > given + 10));
    assert_eq!(running.pipeline.stats().corrupt, 5);
    next(&mut running.subscribe());
    assert_eq!(running.events.drain(), []);
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
