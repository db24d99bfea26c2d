//! The service is killed and started again: its subscribers go on by themselves.

use mos_camera_api::v1::State;

use crate::harness::{PATIENCE, Service, TWO_CAMERAS};

#[tokio::test]
async fn subscribers_reconnect_and_continue() {
    let service = Service::start(TWO_CAMERAS);
    service.wait_state("subject", State::Streaming).await;
    let mut subscriber = service.subscribe("subject", "reader");
    let first = subscriber
        .next_timeout(PATIENCE)
        .unwrap()
        .expect("a frame before")
        .session();
    let home = service.kill();
    let service = home.start();
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        assert!(
            std::time::Instant::now() < deadline,
            "no frame of the new session"
        );
        match subscriber.next_timeout(PATIENCE).unwrap() {
            Some(frame) if frame.session() != first => break,
            _ => {}
        }
    }
    assert!(subscriber.stats().reconnects >= 1);
    service.wait_state("other", State::Streaming).await;
}
