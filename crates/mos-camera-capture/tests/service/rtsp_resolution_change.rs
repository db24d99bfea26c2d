//! An RTSP camera that changes its resolution in mid-stream.

use mos_camera_api::v1::State;
use mos_testkit::{RtspServer, RtspServerOptions};

use crate::bystander::Bystander;
use crate::harness::{PATIENCE, Service};

#[tokio::test]
async fn subscribers_see_a_new_epoch_of_the_new_size() {
    let options = RtspServerOptions {
        size: (640, 480),
        resize_to: Some((320, 240)),
        ..RtspServerOptions::default()
    };
    let server = RtspServer::start(&options).unwrap();
    let service = Service::start(&format!(
        "[cameras.subject.rtsp]\nurl = '{}'\n[cameras.other.test]\n",
        server.url(0)
    ));
    let other = Bystander::watch(&service).await;
    service.wait_state("subject", State::Streaming).await;
    let mut subscriber = service.subscribe("subject", "reader");
    let first = subscriber.next_timeout(PATIENCE).unwrap().expect("a frame");
    assert_eq!((first.format().width, first.format().height), (640, 480));
    drop(first);
    server.resize().unwrap();
    let deadline = std::time::Instant::now() + PATIENCE;
    let small = loop {
        assert!(
            std::time::Instant::now() < deadline,
            "no frame of the new size"
        );
        match subscriber.next_timeout(PATIENCE).unwrap() {
            Some(frame) if frame.format().width == 320 => break frame,
            _ => {}
        }
    };
    assert_eq!((small.format().height, small.epoch() > 0), (240, true));
    let status = service
        .wait_for("subject", "the new size", |s| {
            s.format
                .as_ref()
                .is_some_and(|f| f.size.unwrap().width == 320)
        })
        .await;
    assert_eq!(status.state(), State::Streaming);
    other.did_not_notice();
}
