//! TCP and UDP, and going over from one to the other.

use std::time::{Duration, Instant};

use mos_camera_core::{FaultKind, RtspSource, RtspTransport};
use mos_testkit::{Protocols, RtspServer, RtspServerOptions, Script, ScriptedRtsp};

use crate::rig::{backend, facts, fails, impatient, streams};

fn only(protocols: Protocols) -> RtspServer {
    RtspServer::start(&RtspServerOptions {
        protocols: Some(protocols),
        ..RtspServerOptions::default()
    })
    .unwrap()
}

#[test]
fn a_camera_without_tcp_is_asked_for_it_once() {
    let server = only(Protocols::Udp);
    let backend = backend(RtspSource::new(server.url(0)));
    let before = Instant::now();
    let fault = fails(&backend);
    // Retried by itself, and told soon: nothing was waited for.
    assert_eq!(fault.kind, FaultKind::Unreachable, "{fault}");
    assert!(
        before.elapsed() < RtspSource::TIMEOUT,
        "{:?}",
        before.elapsed()
    );
    for _ in 0..2 {
        let running = streams(&backend);
        assert_eq!(facts(&running).protocol, "RTSP over UDP");
    }
}

#[test]
fn a_camera_that_turns_udp_off_is_asked_by_tcp_again() {
    let first = only(Protocols::Udp);
    let (url, port) = (first.url(0), first.port());
    let backend = backend(RtspSource::new(url));
    fails(&backend);
    drop(streams(&backend));
    first.kill().unwrap();
    let options = RtspServerOptions {
        port,
        protocols: Some(Protocols::Tcp),
        ..RtspServerOptions::default()
    };
    let _server = RtspServer::start(&options).unwrap();
    assert_eq!(fails(&backend).kind, FaultKind::Unreachable);
    assert_eq!(facts(&streams(&backend)).protocol, "RTSP over TCP");
}

#[test]
fn where_the_transport_is_fixed_a_refusal_says_what_to_do() {
    for (protocols, transport) in [
        (Protocols::Tcp, RtspTransport::Udp),
        (Protocols::Udp, RtspTransport::Tcp),
    ] {
        let server = only(protocols);
        let backend = backend(RtspSource {
            transport,
            ..RtspSource::new(server.url(0))
        });
        for _ in 0..2 {
            let fault = fails(&backend);
            assert_eq!(fault.kind, FaultKind::Unsupported, "{fault}");
            assert!(fault.hint.contains("auto"), "{fault}");
        }
    }
}

#[test]
fn a_camera_that_plays_and_is_silent_is_given_up_and_tried_otherwise() {
    let server = ScriptedRtsp::start(Script::default()).unwrap();
    let source = RtspSource {
        timeout: Duration::from_millis(500),
        ..impatient(server.url())
    };
    let backend = backend(source);
    let fault = fails(&backend);
    assert_eq!(fault.kind, FaultKind::NoFirstFrame, "{fault}");
    assert!(
        fault.message.contains("TCP") && fault.hint.contains("UDP"),
        "{fault}"
    );
}
