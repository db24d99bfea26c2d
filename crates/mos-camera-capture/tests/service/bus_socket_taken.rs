//! Who has a stream's socket on the frame bus: a live producer, or one that died.

use std::fs;

use mos_camera_api::v1::{FaultKind, State};
use mos_frame::{Publisher, PublisherOptions};
use std::os::unix::net::UnixListener;

use crate::bystander::Bystander;
use crate::harness::{Home, TWO_CAMERAS, reset};

#[tokio::test]
async fn a_live_producer_keeps_its_socket_and_only_that_stream_waits() {
    let home = Home::new(TWO_CAMERAS);
    fs::create_dir_all(home.frame_dir()).unwrap();
    let foreign =
        Publisher::<()>::bind(&home.bus_socket("subject"), PublisherOptions::default()).unwrap();
    let service = home.start();
    let other = Bystander::watch(&service).await;
    let refused = service
        .wait_for("subject", "a fault", |s| s.fault.is_some())
        .await;
    let fault = refused.fault.clone().unwrap();
    assert_eq!(fault.kind(), FaultKind::Bus, "{fault:?}");
    assert!(fault.message.contains("subject.sock"), "{fault:?}");
    assert_ne!(refused.state(), State::Streaming);
    other.goes_on();

    drop(foreign);
    service
        .control()
        .await
        .reset_capture(reset("subject"))
        .await
        .unwrap();
    service.wait_state("subject", State::Streaming).await;
    other.did_not_notice();
}

#[tokio::test]
async fn the_socket_of_a_dead_producer_is_replaced() {
    let home = Home::new(TWO_CAMERAS);
    fs::create_dir_all(home.frame_dir()).unwrap();
    drop(UnixListener::bind(home.bus_socket("subject")).unwrap());
    let service = home.start();
    let other = Bystander::watch(&service).await;
    service.wait_state("subject", State::Streaming).await;
    service.subscribe("subject", "reader").next().unwrap();
    other.did_not_notice();
}
