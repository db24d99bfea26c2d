//! Who has the control socket: a live service, another program, or a service that died.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;

use mos_camera_api::v1::State;

use crate::bystander::Bystander;
use crate::harness::{Home, Service, TWO_CAMERAS, end_of};

#[tokio::test]
async fn a_second_copy_is_refused_and_the_first_goes_on() {
    let service = Service::start(TWO_CAMERAS);
    let other = Bystander::watch(&service).await;
    let (code, said) = end_of(&service.home.run_to_end());
    assert_eq!(code, 69, "{said}");
    let pid = service.pid().as_raw_nonzero().to_string();
    assert!(
        said.contains("control.sock") && said.contains(&pid),
        "{said}"
    );
    service.wait_state("subject", State::Streaming).await;
    other.did_not_notice();
}

#[tokio::test]
async fn a_copy_with_another_socket_but_the_same_state_is_refused() {
    let service = Service::start(TWO_CAMERAS);
    let other = Bystander::watch(&service).await;
    let elsewhere = service.home.path().join("elsewhere/control.sock");
    let mut command = std::process::Command::new(crate::harness::binary());
    command.arg("--config").arg(service.home.config_file());
    command
        .arg("--control-socket")
        .arg(&elsewhere)
        .arg("--frame-dir")
        .arg(service.home.path().join("elsewhere/frames"));
    command.arg("--state-file").arg(service.home.state_file());
    let (code, said) = end_of(&command.output().unwrap());
    assert_eq!(code, 69, "{said}");
    assert!(said.contains("state.json"), "{said}");
    other.did_not_notice();
}

#[test]
fn another_programs_socket_is_left_alone() {
    let home = Home::new(TWO_CAMERAS);
    fs::create_dir_all(home.control_socket().parent().unwrap()).unwrap();
    let _foreign = UnixListener::bind(home.control_socket()).unwrap();
    let (code, said) = end_of(&home.run_to_end());
    assert_eq!(code, 69, "{said}");
    std::os::unix::net::UnixStream::connect(home.control_socket())
        .expect("the other program still listens");
}

#[test]
fn a_file_in_the_way_is_left_alone() {
    let home = Home::new(TWO_CAMERAS);
    fs::create_dir_all(home.control_socket().parent().unwrap()).unwrap();
    fs::write(home.control_socket(), "precious").unwrap();
    let (code, said) = end_of(&home.run_to_end());
    assert_eq!(code, 73, "{said}");
    assert_eq!(fs::read(home.control_socket()).unwrap(), b"precious");
}

#[tokio::test]
async fn the_socket_of_a_dead_service_is_replaced() {
    let home = Service::start(TWO_CAMERAS).kill();
    assert!(
        home.control_socket().exists(),
        "it was killed: nobody cleaned up"
    );
    let service = home.start();
    service.wait_state("subject", State::Streaming).await;
    let mode = fs::metadata(service.home.control_socket())
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o660);
}
