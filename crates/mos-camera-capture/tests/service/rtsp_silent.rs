//! An RTSP camera that goes silent: its connection stays open and nothing comes.

use mos_camera_api::v1::{FaultKind, State};
use mos_testkit::RtspServer;

use crate::bystander::Bystander;
use crate::harness::Service;

#[tokio::test]
async fn the_watchdog_notices_and_the_stream_comes_back() {
    let server = RtspServer::start_default().unwrap();
    // The transport's own time-out is a minute, so that only the watchdog can have noticed.
    let config = format!(
        "[cameras.subject]\nsteady_timeout_ms = 1000\nrtsp = {{ url = '{}', timeout_ms = 60000 }}\n[cameras.other.test]\n",
        server.url(0)
    );
    let service = Service::start(&config);
    let other = Bystander::watch(&service).await;
    service
        .wait_for("subject", "some frames", |s| {
            s.frames.as_ref().is_some_and(|f| f.published >= 10)
        })
        .await;
    server.freeze().unwrap();
    let silent = service
        .wait_for("subject", "a stall", |s| {
            s.state() != State::Streaming && s.fault.is_some()
        })
        .await;
    let fault = silent.fault.unwrap();
    assert_eq!(fault.kind(), FaultKind::Stalled, "{fault:?}");
    other.goes_on();
    server.thaw().unwrap();
    service.wait_state("subject", State::Streaming).await;
    other.did_not_notice();
}
