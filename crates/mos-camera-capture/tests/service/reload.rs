//! SIGHUP: the file is read again, and only what changed in it moves.

use mos_camera_api::v1::{self, State};
use rustix::process::Signal;

use crate::bystander::Bystander;
use crate::harness::{Service, TWO_CAMERAS};

#[tokio::test]
async fn cameras_come_go_and_change_while_others_stream_on() {
    let service = Service::start(TWO_CAMERAS);
    let other = Bystander::watch(&service).await;
    service.wait_state("subject", State::Streaming).await;
    let other_config = "[cameras.other]\nwidth = 320\nheight = 240\nframerate = '30'\ntest = {}\n";

    let changed = format!(
        "{other_config}[cameras.subject]\nwidth = 640\nheight = 480\ntest = {{}}\n[cameras.new.test]\n"
    );
    service.home.configure(&changed);
    service.signal(Signal::HUP);
    service
        .wait_for("subject", "the new size", |s| {
            s.format
                .as_ref()
                .is_some_and(|f| f.size.unwrap().width == 640)
        })
        .await;
    service
        .wait_for("new", "a stream", |s| s.state() == State::Streaming)
        .await;

    service.home.configure(&format!(
        "{other_config}[cameras.subject]\nstart = false\ntest = {{}}\n"
    ));
    service.signal(Signal::HUP);
    service.wait_state("subject", State::Configured).await;
    let names = || async {
        let all = service
            .control()
            .await
            .get_status(v1::GetStatusRequest::default())
            .await
            .unwrap()
            .into_inner();
        all.streams
            .into_iter()
            .map(|s| s.stream)
            .collect::<Vec<_>>()
    };
    let deadline = tokio::time::Instant::now() + crate::harness::PATIENCE;
    while names().await != ["other", "subject"] {
        assert!(
            tokio::time::Instant::now() < deadline,
            "{:?}",
            names().await
        );
    }
    assert!(
        !service.home.bus_socket("new").exists(),
        "a stream that is gone leaves no socket"
    );
    assert_eq!(service.status("other").await.restarts, 0);
    other.did_not_notice();
}
