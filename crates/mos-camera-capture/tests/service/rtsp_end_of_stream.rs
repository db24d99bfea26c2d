//! An RTSP camera that ends its stream, and one that vanishes.

use mos_camera_api::v1::{FaultKind, State};
use mos_testkit::{RtspServer, RtspServerOptions};

use crate::bystander::Bystander;
use crate::harness::Service;

#[tokio::test]
async fn an_ended_stream_is_opened_again() {
    let server = RtspServer::start(&RtspServerOptions {
        frames: Some(30),
        ..RtspServerOptions::default()
    })
    .unwrap();
    let service = Service::start(&format!(
        "[cameras.subject.rtsp]\nurl = '{}'\n[cameras.other.test]\n",
        server.url(0)
    ));
    let other = Bystander::watch(&service).await;
    let ended = service
        .wait_for("subject", "an end of the stream", |s| s.fault.is_some())
        .await;
    let fault = ended.fault.unwrap();
    assert!(
        matches!(
            fault.kind(),
            FaultKind::EndOfStream | FaultKind::Disconnected
        ),
        "{fault:?}"
    );
    service
        .wait_for("subject", "the stream again", |s| {
            s.state() == State::Streaming && s.restarts >= 1
        })
        .await;
    other.did_not_notice();
}

#[tokio::test]
async fn a_camera_that_vanishes_is_waited_for() {
    let server = RtspServer::start_default().unwrap();
    let port = server.port();
    let service = Service::start(&format!(
        "[cameras.subject.rtsp]\nurl = '{}'\n[cameras.other.test]\n",
        server.url(0)
    ));
    let other = Bystander::watch(&service).await;
    service.wait_state("subject", State::Streaming).await;
    server.kill().unwrap();
    let gone = service
        .wait_for("subject", "a failed attempt", |s| {
            s.state() == State::Backoff && s.attempt >= 2
        })
        .await;
    assert!(gone.fault.is_some() && gone.wanted);
    let _server = RtspServer::start(&RtspServerOptions {
        port,
        ..RtspServerOptions::default()
    })
    .unwrap();
    service.wait_state("subject", State::Streaming).await;
    other.did_not_notice();
}
