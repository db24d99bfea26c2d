//! The six methods on cameras that work, each twice where that has to change nothing.

use mos_camera_api::v1::{self, Health, Memory, State, Transport};

use crate::harness::{Service, TWO_CAMERAS, configure, reset, start, stop, stream_config};

#[tokio::test]
async fn devices_are_listed_with_what_they_offer_and_feed() {
    let service = Service::start(TWO_CAMERAS);
    let mut control = service.control().await;
    let request = v1::ListDevicesRequest {
        transports: vec![Transport::Test.into()],
    };
    let devices = control
        .list_devices(request)
        .await
        .unwrap()
        .into_inner()
        .devices;
    let ids: Vec<_> = devices
        .iter()
        .map(|d| (d.id.as_str(), d.stream.as_str()))
        .collect();
    assert_eq!(ids, [("test:other", "other"), ("test:subject", "subject")]);
    assert!(
        devices
            .iter()
            .all(|d| d.health() == Health::Ready && !d.capabilities.is_empty()),
        "{devices:?}"
    );
    let none = v1::ListDevicesRequest {
        transports: vec![Transport::Rtsp.into()],
    };
    assert!(
        control
            .list_devices(none)
            .await
            .unwrap()
            .into_inner()
            .devices
            .is_empty()
    );
}

#[tokio::test]
async fn a_stream_lives_through_configure_start_stop_and_reset() {
    let service = Service::start("[cameras.cam]\nstream = false\ntest = {}\n");
    let mut control = service.control().await;
    assert_eq!(service.status("cam").await.state(), State::Idle);

    let config = stream_config("test:cam", (320, 240));
    let done = control
        .configure_stream(configure("cam", config.clone()))
        .await
        .unwrap()
        .into_inner();
    assert!(!done.unchanged);
    let saved = done.config.unwrap();
    assert_eq!(
        (
            saved.max_subscribers,
            saved.first_frame_timeout.unwrap().seconds
        ),
        (0, 45),
        "defaults are filled in; how many subscribers there are buffers for may be the camera's to say"
    );
    assert_eq!(service.status("cam").await.state(), State::Configured);
    assert!(
        control
            .configure_stream(configure("cam", config))
            .await
            .unwrap()
            .into_inner()
            .unchanged
    );

    assert!(
        !control
            .start_capture(start("cam"))
            .await
            .unwrap()
            .into_inner()
            .already_started
    );
    let streaming = service
        .wait_for("cam", "counted frames", |s| {
            s.state() == State::Streaming && s.frames.unwrap().fps > 20.0
        })
        .await;
    let format = streaming.format.unwrap();
    assert_eq!(
        (format.format.as_str(), format.size.unwrap().width,),
        ("NV12", 320)
    );
    // What a development build's test camera writes to depends on the machine.
    assert!(matches!(format.memory(), Memory::Memfd | Memory::Dmabuf));
    assert!(streaming.wanted && streaming.streaming_since.is_some() && streaming.fault.is_none());
    assert_eq!(
        streaming.bus_socket,
        service.home.bus_socket("cam").display().to_string()
    );
    assert!(
        streaming.chain.contains(&"mosframesink".to_owned()),
        "{:?}",
        streaming.chain
    );
    assert!(
        control
            .start_capture(start("cam"))
            .await
            .unwrap()
            .into_inner()
            .already_started
    );

    control.reset_capture(reset("cam")).await.unwrap();
    let again = service
        .wait_for("cam", "another pipeline", |s| {
            s.state() == State::Streaming && s.restarts == 1
        })
        .await;
    assert!(again.fault.is_none());

    assert!(
        !control
            .stop_capture(stop("cam"))
            .await
            .unwrap()
            .into_inner()
            .already_stopped
    );
    let stopped = service.status("cam").await;
    assert_eq!(
        (stopped.state(), stopped.wanted),
        (State::Configured, false),
        "it is down when the answer comes"
    );
    assert!(
        control
            .stop_capture(stop("cam"))
            .await
            .unwrap()
            .into_inner()
            .already_stopped
    );
    control.reset_capture(reset("cam")).await.unwrap();
    assert_eq!(
        service.status("cam").await.state(),
        State::Configured,
        "a reset starts nothing that is not wanted"
    );
}

#[tokio::test]
async fn the_status_tells_of_the_service_and_of_its_subscribers() {
    let service = Service::start(TWO_CAMERAS);
    service.wait_state("subject", State::Streaming).await;
    let mut subscriber = service.subscribe("subject", "reader");
    let frame = subscriber.next().unwrap();
    let status = service
        .wait_for("subject", "a subscriber that claimed", |s| {
            s.subscribers.iter().any(|s| s.claimed > 0)
        })
        .await;
    let reader = &status.subscribers[0];
    assert_eq!(
        (reader.name.as_str(), reader.pid),
        ("reader", std::process::id() as i32)
    );
    assert_eq!(frame.format().width, 320);

    let all = service
        .control()
        .await
        .get_status(v1::GetStatusRequest::default())
        .await
        .unwrap()
        .into_inner();
    let names: Vec<_> = all.streams.iter().map(|s| s.stream.as_str()).collect();
    assert_eq!(names, ["other", "subject"]);
    let about = all.service.unwrap();
    assert_eq!(
        (about.build.as_str(), about.state_saved),
        ("development", true)
    );
    assert_eq!(
        about.frame_dir,
        service.home.frame_dir().display().to_string()
    );
}
