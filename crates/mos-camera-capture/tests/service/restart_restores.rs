//! What was asked for at run time outlives a restart.

use mos_camera_api::v1::State;

use crate::harness::{Service, configure, start, stop, stream_config};

#[tokio::test]
async fn configured_started_and_stopped_streams_are_as_they_were() {
    let config =
        "[cameras.one.test]\n[cameras.two.test]\n[cameras.three]\nstream = false\ntest = {}\n";
    let service = Service::start(config);
    let mut control = service.control().await;
    control.stop_capture(stop("one")).await.unwrap();
    control
        .configure_stream(configure("two", stream_config("test:two", (256, 144))))
        .await
        .unwrap();
    control
        .configure_stream(configure("mine", stream_config("test:three", (320, 240))))
        .await
        .unwrap();
    control.start_capture(start("mine")).await.unwrap();
    service.wait_state("mine", State::Streaming).await;
    let (status, home) = service.stop();
    assert!(status.success(), "{status}");

    let service = home.start();
    service.wait_state("mine", State::Streaming).await;
    let two = service.wait_state("two", State::Streaming).await;
    assert_eq!(
        two.config.unwrap().size.unwrap().width,
        256,
        "the control service wins over the file"
    );
    let one = service.status("one").await;
    assert_eq!((one.state(), one.wanted), (State::Configured, false));

    // What the file says, said again, hands the stream back to the file.
    let as_in_the_file = one.config.unwrap();
    let two_again = mos_camera_api::v1::StreamConfig {
        device: "test:two".to_owned(),
        ..as_in_the_file
    };
    service
        .control()
        .await
        .configure_stream(configure("two", two_again))
        .await
        .unwrap();
    let state = std::fs::read_to_string(service.home.state_file()).unwrap();
    assert!(!state.contains("\"two\""), "{state}");
}

#[tokio::test]
async fn a_stream_whose_camera_left_the_file_is_absent_and_not_lost() {
    let service = Service::start("[cameras.cam]\nstream = false\ntest = {}\n");
    let mut control = service.control().await;
    control
        .configure_stream(configure("mine", stream_config("test:cam", (320, 240))))
        .await
        .unwrap();
    control.start_capture(start("mine")).await.unwrap();
    service.wait_state("mine", State::Streaming).await;
    let (_, home) = service.stop();
    home.configure("[cameras.other.test]\n");
    let service = home.start();
    let absent = service.wait_state("mine", State::Absent).await;
    assert!(absent.wanted);
    service
        .home
        .configure("[cameras.cam]\nstream = false\ntest = {}\n");
    service.signal(rustix::process::Signal::HUP);
    service.wait_state("mine", State::Streaming).await;
}
