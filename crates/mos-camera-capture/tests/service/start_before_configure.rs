//! A camera that is there, but whose stream was never configured.

use mos_camera_api::v1::State;
use tonic::Code;

use crate::bystander::Bystander;
use crate::harness::{Service, configure, refused, reset, start, stop, stream_config};

#[tokio::test]
async fn start_says_that_the_stream_is_idle() {
    let service =
        Service::start("[cameras.subject]\nstream = false\ntest = {}\n[cameras.other.test]\n");
    let other = Bystander::watch(&service).await;
    let mut control = service.control().await;
    let (status, detail) = refused(
        control.start_capture(start("subject")).await,
        Code::FailedPrecondition,
        "NOT_CONFIGURED",
    );
    assert_eq!(
        (detail.state(), detail.device.as_str()),
        (State::Idle, "test:subject")
    );
    assert!(
        status.message().contains("configure the stream first"),
        "{}",
        status.message()
    );
    refused(
        control.reset_capture(reset("subject")).await,
        Code::FailedPrecondition,
        "NOT_CONFIGURED",
    );
    assert!(
        control
            .stop_capture(stop("subject"))
            .await
            .unwrap()
            .into_inner()
            .already_stopped
    );

    control
        .configure_stream(configure(
            "subject",
            stream_config("test:subject", (320, 240)),
        ))
        .await
        .unwrap();
    control.start_capture(start("subject")).await.unwrap();
    service.wait_state("subject", State::Streaming).await;
    other.did_not_notice();
}
