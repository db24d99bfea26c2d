//! Starting what runs and stopping what stands, also at the same time.

use mos_camera_api::v1::State;

use crate::bystander::Bystander;
use crate::harness::{Service, TWO_CAMERAS, start, stop};

#[tokio::test]
async fn a_second_start_or_stop_changes_nothing() {
    let service = Service::start(TWO_CAMERAS);
    let other = Bystander::watch(&service).await;
    let mut control = service.control().await;
    service.wait_state("subject", State::Streaming).await;
    for _ in 0..2 {
        assert!(
            control
                .start_capture(start("subject"))
                .await
                .unwrap()
                .into_inner()
                .already_started
        );
    }
    let running = service.status("subject").await;
    assert_eq!(
        (running.state(), running.restarts),
        (State::Streaming, 0),
        "the pipeline was left alone"
    );
    assert!(
        !control
            .stop_capture(stop("subject"))
            .await
            .unwrap()
            .into_inner()
            .already_stopped
    );
    assert!(
        control
            .stop_capture(stop("subject"))
            .await
            .unwrap()
            .into_inner()
            .already_stopped
    );
    assert_eq!(service.status("subject").await.state(), State::Configured);
    other.did_not_notice();
}

#[tokio::test]
async fn starts_and_stops_in_a_race_end_in_one_state() {
    let service = Service::start(TWO_CAMERAS);
    let other = Bystander::watch(&service).await;
    let mut calls = tokio::task::JoinSet::new();
    for n in 0..8 {
        let mut control = service.control().await;
        calls.spawn(async move {
            match n % 2 {
                0 => control.start_capture(start("subject")).await.map(drop),
                _ => control.stop_capture(stop("subject")).await.map(drop),
            }
        });
    }
    while let Some(done) = calls.join_next().await {
        done.unwrap().unwrap();
    }
    service
        .control()
        .await
        .start_capture(start("subject"))
        .await
        .unwrap();
    service.wait_state("subject", State::Streaming).await;
    other.did_not_notice();
}
