//! What goes wrong with the camera service and its cameras, whatever the release. `failures!` makes a test of each.

use std::time::Duration;

use gstqmmfstandin::service;
use mos_camera_core::{FaultKind, StreamConfig};

use super::{Board, alone, among_others};
use crate::conformance::{PATIENCE, Running, next};

/// One `#[test]` for each, on boards of `$board()`.
#[macro_export]
macro_rules! failures {
    ($board:path; $($case:ident),+ $(,)?) => {
        $(
            #[test]
            fn $case() {
                $crate::qmmf::failures::$case($board);
            }
        )+
    };
    ($board:path) => {
        $crate::failures!(
            $board;
            the_service_dies_and_comes_back,
            the_service_dies_and_nobody_says_so,
            the_camera_breaks_down,
            the_camera_breaks_down_without_an_error,
            the_camera_recovers,
            the_sensor_freezes,
            the_camera_is_not_there,
        );
    };
}

pub(crate) fn config(board: &Board) -> StreamConfig {
    StreamConfig {
        size: Some((640, 480)),
        ..StreamConfig::new(board.device.clone())
    }
}

pub(crate) fn start(board: &Board) -> Running {
    Running::start(&board.backend, &config(board)).unwrap()
}

/// The class of the fault that a stream ends with.
pub(crate) fn fault_of(board: &Board) -> FaultKind {
    match Running::start(&board.backend, &config(board)) {
        Ok(running) => running.fault().kind,
        Err(fault) => fault.kind,
    }
}

pub(crate) fn streams(board: &Board) {
    let running = start(board);
    running.first_frame();
    next(&mut running.subscribe());
}

/// The element can't be brought down when its service is dead: everything else is, and a new one works when the service is back.
pub(crate) fn the_service_dies_and_comes_back(board: fn() -> Board) {
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

/// The same where the client does not notice: frames end without a word, and only what is asked of the service fails.
pub(crate) fn the_service_dies_and_nobody_says_so(board: fn() -> Board) {
    let _guard = alone();
    let mut board = board();
    let running = start(&board);
    running.first_frame();
    let mut subscriber = running.subscribe();
    let held = next(&mut subscriber);
    board.listen(false);
    service().die_unheard();
    assert_eq!(running.events.drain(), []);
    running.pipeline.stop();
    assert!(!running.socket().exists(), "the stream is still offered");
    assert_eq!(running.events.drain(), []);
    assert!(rustix::fs::fstat(held.fd(0).unwrap()).is_ok());
    assert_eq!(fault_of(&board), FaultKind::Unreachable);
    board.listen(true);
    service().revive();
    streams(&board);
}

/// An error of the camera ends the stream; after a reset it is opened anew.
pub(crate) fn the_camera_breaks_down(board: fn() -> Board) {
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
pub(crate) fn the_camera_breaks_down_without_an_error(board: fn() -> Board) {
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
pub(crate) fn the_camera_recovers(board: fn() -> Board) {
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

/// The sensor gives no more frames, and no error either: whoever watches the frames brings the stream down, and it is opened anew.
pub(crate) fn the_sensor_freezes(board: fn() -> Board) {
    let _guard = among_others();
    let board = board();
    let camera = board.camera.camera();
    let running = start(&board);
    running.first_frame();
    let mut subscriber = running.subscribe();
    service().freeze_frames(camera);
    let frozen = service().reports(camera)[0].frames;
    // What was on its way arrives, and then nothing.
    while subscriber
        .next_timeout(Duration::from_millis(200))
        .unwrap()
        .is_some()
    {}
    assert_eq!(service().reports(camera)[0].frames, frozen);
    assert_eq!(running.events.drain(), []);
    drop(running);
    assert!(board.backend.reset(&board.device).is_ok());
    streams(&board);
}

/// A number that the service can't open, and then can.
pub(crate) fn the_camera_is_not_there(board: fn() -> Board) {
    let _guard = among_others();
    let board = board();
    service().set_absent(board.camera.camera(), true);
    assert_eq!(fault_of(&board), FaultKind::Absent);
    service().set_absent(board.camera.camera(), false);
    streams(&board);
}
