//! A running stream gets another configuration.

use mos_camera_api::v1::{OnViolation, State};

use crate::bystander::Bystander;
use crate::harness::{PATIENCE, Service, TWO_CAMERAS, configure, stream_config};

#[tokio::test]
async fn only_a_change_that_matters_rebuilds_the_pipeline() {
    let service = Service::start(TWO_CAMERAS);
    let other = Bystander::watch(&service).await;
    let before = service.wait_state("subject", State::Streaming).await;
    let mut control = service.control().await;
    let same = before.config.clone().unwrap();
    assert!(
        control
            .configure_stream(configure("subject", same.clone()))
            .await
            .unwrap()
            .into_inner()
            .unchanged
    );
    let mut patient = same;
    patient.steady_timeout = Some(prost_types::Duration {
        seconds: 9,
        nanos: 0,
    });
    patient.set_on_violation(OnViolation::Stop);
    assert!(
        !control
            .configure_stream(configure("subject", patient))
            .await
            .unwrap()
            .into_inner()
            .unchanged
    );
    let after = service.status("subject").await;
    assert_eq!(
        (after.restarts, after.streaming_since),
        (0, before.streaming_since),
        "watchdogs and what to do on a violation need no rebuild"
    );
    assert_eq!(
        after.config.unwrap().on_violation(),
        OnViolation::Stop,
        "it is taken over all the same"
    );

    let mut subscriber = service.subscribe("subject", "reader");
    assert_eq!(
        subscriber
            .next_timeout(PATIENCE)
            .unwrap()
            .expect("a frame")
            .format()
            .width,
        320
    );
    control
        .configure_stream(configure(
            "subject",
            stream_config("test:subject", (640, 480)),
        ))
        .await
        .unwrap();
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        assert!(
            std::time::Instant::now() < deadline,
            "no frame of the new size"
        );
        match subscriber.next_timeout(PATIENCE).unwrap() {
            Some(frame) if frame.format().width == 640 => break,
            _ => {}
        }
    }
    let rebuilt = service.wait_state("subject", State::Streaming).await;
    assert_eq!(rebuilt.restarts, 1);
    other.did_not_notice();
}
