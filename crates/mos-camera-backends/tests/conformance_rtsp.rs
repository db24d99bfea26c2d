//! The conformance suite on RTSP cameras: gst-rtsp-server in a process of its own, and ports that misbehave.

#![cfg(feature = "development")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod conformance;

use std::sync::Arc;
use std::time::{Duration, Instant};

use conformance::{PATIENCE, Running, Subject};
use mos_camera_backends::{Backend, PipelineEvent, RtspBackend};
use mos_camera_core::{
    DeviceId, Fault, FaultKind, RtspSource, RtspTransport, Secret, StreamConfig,
};
use mos_testkit::{
    Auth, ClosedPort, Codec, RtspServer, RtspServerOptions, SaturatedPort, SilentPort, wait_until,
};

const BOTH: [RtspTransport; 2] = [RtspTransport::Tcp, RtspTransport::Udp];

fn camera() -> DeviceId {
    "rtsp:door".parse().unwrap()
}

fn config() -> StreamConfig {
    StreamConfig::new(camera())
}

fn backend(source: RtspSource) -> Arc<dyn Backend> {
    mos_camera_backends::init().unwrap();
    Arc::new(RtspBackend::new(vec![("door".to_owned(), source)]))
}

/// The camera of a server, with the right user and password.
fn of(server: &RtspServer, options: &RtspServerOptions, transport: RtspTransport) -> RtspSource {
    RtspSource {
        user: Some(options.user.clone()),
        password: Some(Secret::new(&options.password)),
        transport,
        timeout: PATIENCE,
        ..RtspSource::new(server.url(0))
    }
}

fn start(options: &RtspServerOptions, transport: RtspTransport) -> (RtspServer, Running) {
    let server = RtspServer::start(options).unwrap();
    let running = Running::start(&backend(of(&server, options, transport)), &config()).unwrap();
    running.first_frame();
    (server, running)
}

/// The fault of a camera that can't be reached, told soon.
fn fault_of(source: RtspSource) -> Fault {
    let timeout = Duration::from_secs(2);
    let fault = Running::start(&backend(RtspSource { timeout, ..source }), &config())
        .unwrap()
        .fault();
    assert!(fault.message.contains("rtsp:door"), "{fault}");
    assert!(!fault.hint.is_empty(), "{fault}");
    fault
}

fn subjects() -> Vec<Subject> {
    let options = RtspServerOptions::default();
    let subject = |transport| {
        let server = RtspServer::start(&options).unwrap();
        Subject {
            backend: backend(of(&server, &options, transport)),
            device: camera(),
            absent: "rtsp:garden".parse().unwrap(),
            size: options.size,
            unsupported: (1920, 1080),
            keep: Box::new(server),
        }
    };
    BOTH.map(subject).into()
}

suite!(subjects);

#[test]
fn every_picture_of_the_camera_arrives_once_and_in_order() {
    // Slow, and patient with late packets: a busy machine must not make it lose pictures.
    let options = RtspServerOptions {
        counter: true,
        fps: 10,
        ..Default::default()
    };
    let server = RtspServer::start(&options).unwrap();
    for transport in BOTH {
        let source = RtspSource {
            latency: Duration::from_secs(2),
            ..of(&server, &options, transport)
        };
        let running = Running::start(&backend(source), &config()).unwrap();
        running.first_frame();
        let mut subscriber = running.subscribe();
        let mut number =
            || gstmos::counter::read_frame(&conformance::next(&mut subscriber)).unwrap();
        let first = number().expect("no counter in the picture");
        for n in 1..20 {
            assert_eq!(number(), Some(first + n), "{transport:?}");
        }
    }
}

#[test]
fn logs_in_as_the_camera_asks() {
    for auth in [Auth::Basic, Auth::Digest] {
        let options = RtspServerOptions {
            auth,
            ..Default::default()
        };
        let (_server, running) = start(&options, RtspTransport::Tcp);
        assert!(running.pipeline.stats().frames > 0);
    }
}

#[test]
fn a_wrong_password_is_unauthorized_and_shown_nowhere() {
    for auth in [Auth::Basic, Auth::Digest] {
        let options = RtspServerOptions {
            auth,
            ..Default::default()
        };
        let server = RtspServer::start(&options).unwrap();
        let wrong = RtspSource {
            password: Some(Secret::new("hunter2")),
            ..of(&server, &options, RtspTransport::Tcp)
        };
        let backend = backend(wrong);
        let running = Running::start(&backend, &config()).unwrap();
        let fault = running.fault();
        assert_eq!(fault.kind, FaultKind::Unauthorized, "{auth:?}: {fault}");
        let shown = format!(
            "{fault} {fault:?} {backend:?} {:?} {}",
            backend.discover(),
            running.pipeline.dot()
        );
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(fault_of(RtspSource::new(server.url(0))).kind == FaultKind::Unauthorized);
    }
}

#[test]
fn an_unknown_path_is_not_found() {
    let server = RtspServer::start_default().unwrap();
    let fault = fault_of(RtspSource::new(format!("{}/nowhere", server.url(0))));
    assert_eq!(fault.kind, FaultKind::NotFound, "{fault}");
}

#[test]
fn a_camera_that_can_not_be_reached_is_unreachable() {
    let (closed, silent, saturated) = (
        ClosedPort::new().unwrap(),
        SilentPort::new().unwrap(),
        SaturatedPort::new().unwrap(),
    );
    for (what, port) in [
        ("refuses", closed.port()),
        ("silent", silent.port().unwrap()),
        ("gone", saturated.port()),
    ] {
        let fault = fault_of(RtspSource::new(format!("rtsp://127.0.0.1:{port}/cam0")));
        assert_eq!(fault.kind, FaultKind::Unreachable, "{what}: {fault}");
    }
}

#[test]
fn waiting_for_an_answer_does_not_hold_up_a_stop() {
    let (silent, saturated) = (SilentPort::new().unwrap(), SaturatedPort::new().unwrap());
    for port in [silent.port().unwrap(), saturated.port()] {
        let source = RtspSource {
            timeout: PATIENCE,
            ..RtspSource::new(format!("rtsp://127.0.0.1:{port}/cam0"))
        };
        let running = Running::start(&backend(source), &config()).unwrap();
        let before = Instant::now();
        running.pipeline.stop();
        assert!(before.elapsed() < PATIENCE / 2, "{:?}", before.elapsed());
        assert_eq!(running.events.drain(), []);
    }
}

#[test]
fn a_killed_server_is_a_disconnect() {
    for transport in BOTH {
        let (server, running) = start(&RtspServerOptions::default(), transport);
        server.kill().unwrap();
        let fault = running.fault();
        assert_eq!(
            fault.kind,
            FaultKind::Disconnected,
            "{transport:?}: {fault}"
        );
    }
}

#[test]
fn a_stream_that_ends_is_an_end() {
    for transport in BOTH {
        let options = RtspServerOptions {
            frames: Some(20),
            ..Default::default()
        };
        let (_server, running) = start(&options, transport);
        assert_eq!(running.end(), PipelineEvent::Eos, "{transport:?}");
    }
}

/// The socket stays open, so only the frames tell: their count stands still, and nothing else is reported.
#[test]
fn a_frozen_server_shows_in_the_frame_time_only() {
    for transport in BOTH {
        let (server, running) = start(&RtspServerOptions::default(), transport);
        server.freeze().unwrap();
        let quiet = Duration::from_millis(700).as_nanos() as u64;
        let stalled = wait_until("a gap between frames", PATIENCE, || {
            let last = running.pipeline.progress().1?;
            (mos_frame::monotonic_ns() - last > quiet).then_some(())
        });
        stalled.unwrap();
        assert_eq!(running.events.drain(), []);
        let before = Instant::now();
        running.pipeline.stop();
        assert!(
            before.elapsed() < PATIENCE / 2,
            "{transport:?}: {:?}",
            before.elapsed()
        );
        server.thaw().unwrap();
    }
}

#[test]
fn a_new_size_in_mid_stream_is_a_new_epoch() {
    let options = RtspServerOptions {
        resize_to: Some((320, 240)),
        ..Default::default()
    };
    let (server, running) = start(&options, RtspTransport::Tcp);
    let mut subscriber = running.subscribe();
    let before = conformance::next(&mut subscriber);
    assert_eq!(
        (before.format().width, before.format().height),
        options.size
    );
    let epoch = before.epoch();
    drop(before);
    server.resize().unwrap();
    let after = wait_until("a frame of the new size", PATIENCE, || {
        let frame = conformance::next(&mut subscriber);
        (frame.format().width == 320).then_some(frame)
    })
    .unwrap();
    assert!(after.epoch() > epoch);
    assert_eq!(running.events.drain(), []);
}

#[test]
fn a_new_size_in_mid_stream_is_a_fault_where_another_was_asked_for() {
    let options = RtspServerOptions {
        resize_to: Some((320, 240)),
        ..Default::default()
    };
    let server = RtspServer::start(&options).unwrap();
    let asked = StreamConfig {
        size: Some(options.size),
        ..config()
    };
    let running =
        Running::start(&backend(of(&server, &options, RtspTransport::Tcp)), &asked).unwrap();
    running.first_frame();
    server.resize().unwrap();
    let fault = running.fault();
    assert_eq!(fault.kind, FaultKind::Unsupported, "{fault}");
    assert!(fault.message.contains("320x240"), "{fault}");
}

#[test]
fn audio_beside_the_video_is_left_alone() {
    let options = RtspServerOptions {
        audio: true,
        ..Default::default()
    };
    let (_server, running) = start(&options, RtspTransport::Tcp);
    assert!(running.pipeline.stats().frames > 0);
}

#[test]
fn a_camera_without_video_says_what_it_offers() {
    let server = RtspServer::start(&RtspServerOptions {
        codec: Codec::None,
        audio: true,
        ..Default::default()
    })
    .unwrap();
    let fault = fault_of(RtspSource::new(server.url(0)));
    assert_eq!(fault.kind, FaultKind::Unsupported, "{fault}");
    assert!(fault.message.contains("audio PCMA"), "{fault}");
}

#[test]
fn a_url_with_credentials_is_refused_without_repeating_them() {
    let fault = Running::start(
        &backend(RtspSource::new("rtsp://me:hunter2@127.0.0.1/")),
        &config(),
    )
    .err()
    .unwrap();
    assert_eq!(fault.kind, FaultKind::Unsupported);
    assert!(!fault.to_string().contains("hunter2"), "{fault}");
}
