//! A size or rate that the device does not offer: the answer lists what it does.

use mos_camera_api::v1::{Framerate, State};
use tonic::Code;

use crate::bystander::Bystander;
use crate::harness::{Service, TWO_CAMERAS, configure, refused, stream_config};

#[tokio::test]
async fn what_is_supported_is_listed_and_the_stream_goes_on() {
    let service = Service::start(TWO_CAMERAS);
    let other = Bystander::watch(&service).await;
    let before = service.wait_state("subject", State::Streaming).await;
    let mut control = service.control().await;

    let too_large = stream_config("test:subject", (16384, 16384));
    let (status, detail) = refused(
        control
            .configure_stream(configure("subject", too_large))
            .await,
        Code::InvalidArgument,
        "UNSUPPORTED_SIZE",
    );
    assert_eq!(
        (detail.field.as_str(), detail.device.as_str()),
        ("config.size", "test:subject")
    );
    assert!(!detail.supported.is_empty());
    assert!(
        status.message().contains("it offers"),
        "{}",
        status.message()
    );

    let mut too_fast = stream_config("test:subject", (320, 240));
    too_fast.framerate = Some(Framerate {
        numerator: 100_000,
        denominator: 1,
    });
    let (_, detail) = refused(
        control
            .configure_stream(configure("subject", too_fast))
            .await,
        Code::InvalidArgument,
        "UNSUPPORTED_FRAMERATE",
    );
    assert_eq!(detail.field, "config.framerate");
    assert!(!detail.supported.is_empty());

    let after = service.status("subject").await;
    assert_eq!(
        (after.state(), after.config, after.restarts),
        (State::Streaming, before.config, before.restarts)
    );
    other.did_not_notice();
}
