//! Devices and streams that are not there, and names that can't be.

use mos_camera_api::v1;
use tonic::Code;

use crate::bystander::Bystander;
use crate::harness::{Service, TWO_CAMERAS, configure, refused, reset, start, stop, stream_config};

#[tokio::test]
async fn unknown_devices_and_streams_are_not_found() {
    let service = Service::start(TWO_CAMERAS);
    let other = Bystander::watch(&service).await;
    let mut control = service.control().await;
    let config = stream_config("test:nowhere", (320, 240));
    let (_, detail) = refused(
        control.configure_stream(configure("new", config)).await,
        Code::NotFound,
        "UNKNOWN_DEVICE",
    );
    assert_eq!(
        (detail.device.as_str(), detail.field.as_str()),
        ("test:nowhere", "config.device")
    );
    assert!(detail.hint.contains("list the devices"), "{}", detail.hint);
    let (_, detail) = refused(
        control.start_capture(start("nobody")).await,
        Code::NotFound,
        "UNKNOWN_STREAM",
    );
    assert_eq!(detail.stream, "nobody");
    refused(
        control.stop_capture(stop("nobody")).await,
        Code::NotFound,
        "UNKNOWN_STREAM",
    );
    refused(
        control.reset_capture(reset("nobody")).await,
        Code::NotFound,
        "UNKNOWN_STREAM",
    );
    let request = v1::GetStatusRequest {
        streams: vec!["other".to_owned(), "nobody".to_owned()],
    };
    refused(
        control.get_status(request).await,
        Code::NotFound,
        "UNKNOWN_STREAM",
    );
    other.did_not_notice();
}

#[tokio::test]
async fn malformed_requests_name_the_field() {
    let service = Service::start(TWO_CAMERAS);
    let other = Bystander::watch(&service).await;
    let mut control = service.control().await;
    for name in ["", "../up", "-x", "a b", &"x".repeat(65)] {
        let (_, detail) = refused(
            control.start_capture(start(name)).await,
            Code::InvalidArgument,
            "INVALID_STREAM_NAME",
        );
        assert_eq!(detail.field, "stream");
    }
    let good = stream_config("test:subject", (320, 240));
    let with = |change: fn(&mut v1::StreamConfig)| {
        let mut config = good.clone();
        change(&mut config);
        configure("subject", config)
    };
    let table = [
        (
            with(|c| c.device = "subject".to_owned()),
            "config.device",
            "INVALID_DEVICE",
        ),
        (
            with(|c| c.framerate = Some(v1::Framerate::default())),
            "config.framerate",
            "INVALID_FRAMERATE",
        ),
        (
            with(|c| {
                c.size = Some(v1::Size {
                    width: 321,
                    height: 240,
                });
            }),
            "config.size",
            "ODD_SIZE",
        ),
        (
            with(|c| {
                c.size = Some(v1::Size {
                    width: 0,
                    height: 240,
                });
            }),
            "config.size",
            "SIZE_OUT_OF_RANGE",
        ),
        (
            with(|c| {
                c.steady_timeout = Some(prost_types::Duration {
                    seconds: 601,
                    nanos: 0,
                });
            }),
            "config.steady_timeout",
            "TIMEOUT_OUT_OF_RANGE",
        ),
        (
            with(|c| {
                c.first_frame_timeout = Some(prost_types::Duration {
                    seconds: -1,
                    nanos: 0,
                });
            }),
            "config.first_frame_timeout",
            "TIMEOUT_OUT_OF_RANGE",
        ),
        (
            with(|c| c.max_subscribers = 65),
            "config.max_subscribers",
            "MAX_SUBSCRIBERS_OUT_OF_RANGE",
        ),
        (
            with(|c| c.on_violation = 99),
            "config.on_violation",
            "INVALID_ON_VIOLATION",
        ),
        (
            v1::ConfigureStreamRequest {
                stream: "subject".to_owned(),
                config: None,
            },
            "config",
            "MISSING",
        ),
    ];
    for (request, field, reason) in table {
        let (_, detail) = refused(
            control.configure_stream(request).await,
            Code::InvalidArgument,
            reason,
        );
        assert_eq!(detail.field, field);
    }
    for transport in [0, 99] {
        let request = v1::ListDevicesRequest {
            transports: vec![transport],
        };
        refused(
            control.list_devices(request).await,
            Code::InvalidArgument,
            "INVALID_TRANSPORT",
        );
    }
    other.did_not_notice();
}

#[tokio::test]
async fn a_device_feeds_one_stream() {
    let service = Service::start(TWO_CAMERAS);
    let other = Bystander::watch(&service).await;
    let mut control = service.control().await;
    let config = stream_config("test:other", (320, 240));
    let (status, detail) = refused(
        control.configure_stream(configure("thief", config)).await,
        Code::FailedPrecondition,
        "DEVICE_IN_USE",
    );
    assert_eq!(detail.stream, "other");
    assert!(status.message().contains("other"), "{}", status.message());
    other.did_not_notice();
}
