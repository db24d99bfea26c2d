//! An RTSP camera at an address where nobody answers.

use mos_camera_api::v1::{FaultKind, State};
use mos_testkit::{ClosedPort, RtspServer, RtspServerOptions};

use crate::bystander::Bystander;
use crate::harness::Service;

#[tokio::test]
async fn it_is_tried_again_until_the_camera_is_there() {
    let closed = ClosedPort::new().unwrap();
    let port = closed.port();
    let config = format!(
        "[cameras.subject.rtsp]\nurl = 'rtsp://127.0.0.1:{port}/cam0'\n[cameras.other.test]\n"
    );
    let service = Service::start(&config);
    let other = Bystander::watch(&service).await;
    let failed = service
        .wait_for("subject", "second attempt", |s| {
            s.state() == State::Backoff && s.attempt >= 2
        })
        .await;
    let fault = failed.fault.unwrap();
    assert_eq!(fault.kind(), FaultKind::Unreachable, "{fault:?}");
    assert!(
        !fault.hint.is_empty() && failed.next_attempt_in.is_some() && failed.wanted,
        "{fault:?}"
    );
    other.goes_on();

    drop(closed);
    let _server = RtspServer::start(&RtspServerOptions {
        port,
        ..RtspServerOptions::default()
    })
    .unwrap();
    let streaming = service.wait_state("subject", State::Streaming).await;
    assert_eq!(streaming.attempt, 0);
    other.did_not_notice();
}
