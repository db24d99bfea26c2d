//! A state file that was cut off by a crash of the machine.

use std::fs;

use mos_camera_api::v1::State;

use crate::bystander::Bystander;
use crate::harness::{Service, TWO_CAMERAS, stop};

#[tokio::test]
async fn it_is_set_aside_and_the_service_starts_as_configured() {
    let service = Service::start(TWO_CAMERAS);
    service
        .control()
        .await
        .stop_capture(stop("subject"))
        .await
        .unwrap();
    let (_, home) = service.stop();
    let whole = fs::read(home.state_file()).unwrap();
    fs::write(home.state_file(), &whole[..whole.len() / 2]).unwrap();

    let service = home.start();
    let other = Bystander::watch(&service).await;
    service.wait_state("subject", State::Streaming).await;
    let aside = service
        .home
        .state_file()
        .with_file_name("state.json.corrupt-1");
    assert_eq!(fs::read(&aside).unwrap(), &whole[..whole.len() / 2]);
    assert!(
        service.home.log().contains("state.json.corrupt-1"),
        "the log says where it is"
    );

    service
        .control()
        .await
        .stop_capture(stop("subject"))
        .await
        .unwrap();
    assert_eq!(
        fs::read(service.home.state_file()).unwrap(),
        whole,
        "the state is kept again"
    );
    other.did_not_notice();
}
