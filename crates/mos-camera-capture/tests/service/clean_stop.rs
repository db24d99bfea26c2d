//! The service is asked to stop.

use std::time::{Duration, Instant};

use mos_camera_api::v1::{self, State};
use mos_testkit::RtspServer;
use rustix::process::Signal;

use crate::harness::{PATIENCE, Service, TWO_CAMERAS};

#[tokio::test]
async fn it_ends_well_and_leaves_no_socket() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut service = Service::start(TWO_CAMERAS);
        service.wait_state("subject", State::Streaming).await;
        let mut reader = service.subscribe("subject", "reader");
        reader.next_timeout(PATIENCE).unwrap().expect("a frame");
        let asked = Instant::now();
        service.signal(signal);
        let status = service.wait_for_end();
        assert!(status.success(), "{status}");
        assert!(
            asked.elapsed() < Duration::from_secs(15),
            "{:?}",
            asked.elapsed()
        );
        let left = [
            service.home.control_socket(),
            service.home.bus_socket("subject"),
            service.home.bus_socket("other"),
        ];
        assert_eq!(
            left.iter().filter(|path| path.exists()).collect::<Vec<_>>(),
            [] as [&std::path::PathBuf; 0]
        );
    }
}

#[tokio::test]
async fn watchers_and_open_connections_do_not_hold_it_up() {
    let mut service = Service::start(TWO_CAMERAS);
    let mut events = service.events().await;
    let mut watch = events
        .watch_events(v1::WatchEventsRequest::default())
        .await
        .unwrap()
        .into_inner();
    watch.message().await.unwrap().expect("a snapshot");
    let idle = service.control().await;
    service.signal(Signal::TERM);
    let drained = tokio::time::timeout(PATIENCE, async {
        while let Ok(Some(_)) = watch.message().await {}
    });
    drained.await.expect("the watch ends");
    assert!(service.wait_for_end().success());
    drop(idle);
}

#[tokio::test]
async fn a_camera_that_hangs_does_not_hold_it_up_for_long() {
    let server = RtspServer::start_default().unwrap();
    let config = format!(
        "[cameras.subject.rtsp]\nurl = '{}'\n[cameras.other.test]\n",
        server.url(0)
    );
    let mut service = Service::start(&config);
    service.wait_state("subject", State::Streaming).await;
    server.freeze().unwrap();
    let asked = Instant::now();
    service.signal(Signal::TERM);
    let status = service.wait_for_end();
    assert!(
        matches!(status.code(), Some(0 | 75)),
        "well, or with the code for a pipeline that hangs: {status}"
    );
    assert!(
        asked.elapsed() < Duration::from_secs(20),
        "{:?}",
        asked.elapsed()
    );
    assert!(!service.home.control_socket().exists());
}
