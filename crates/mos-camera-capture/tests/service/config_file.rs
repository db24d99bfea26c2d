//! Configuration files that are wrong: the service does not start, and says where and why.

use std::fs;
use std::process::Command;

use crate::bystander::Bystander;
use crate::harness::{Home, Service, TWO_CAMERAS, binary, end_of};
use rustix::process::Signal;

/// Runs the service on a file with this text.
fn try_file(text: &str) -> (i32, String) {
    end_of(&Home::new(text).run_to_end())
}

#[test]
fn a_wrong_file_is_refused_with_its_place() {
    // (text, place, words)
    let table = [
        ("", "mos-camera.toml:1:1", "empty"),
        ("cameras: {front: {}}", "mos-camera.toml:1:", ""),
        (
            "[cameras.front]\nwidht = 640\ntest = {}",
            "mos-camera.toml:2:1",
            "`cameras.front.widht`: unknown field",
        ),
        (
            "[cameras.front]\nstart = 'yes'\ntest = {}",
            "mos-camera.toml:2:9",
            "`cameras.front.start`: invalid type",
        ),
        (
            "[cameras.front.test]\n[cameras.front.test]",
            "mos-camera.toml:2:",
            "duplicate key",
        ),
        (
            "[cameras.front]\nstart = true",
            "mos-camera.toml:1:",
            "no transport",
        ),
        (
            "[cameras.front]\ntest = {}\nv4l2.path = '/dev/video0'",
            "mos-camera.toml:",
            "more than one transport",
        ),
        (
            "[cameras.a.rtsp]\nurl = 'rtsp://u:hunter2@h/'",
            "mos-camera.toml:2:7",
            "password_file",
        ),
    ];
    for (text, place, words) in table {
        let (code, said) = try_file(text);
        assert_eq!(code, 65, "{text}\n{said}");
        assert!(
            said.contains(place) && said.contains(words) && !said.contains("hunter2"),
            "{text}\n{said}"
        );
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let home = Home::new("");
    fs::remove_file(home.config_file()).unwrap();
    let (code, said) = end_of(&home.run_to_end());
    assert_eq!(code, 66, "{said}");
    assert!(
        said.contains(home.config_file().to_str().unwrap()),
        "{said}"
    );
}

#[test]
fn a_wrong_command_line_is_no_configuration_error() {
    let output = Command::new(binary())
        .arg("--no-such-flag")
        .output()
        .unwrap();
    assert_eq!(end_of(&output).0, 64);
    assert!(
        Command::new(binary())
            .arg("--help")
            .output()
            .unwrap()
            .status
            .success()
    );
}

#[test]
fn a_file_can_be_checked_without_starting() {
    let check = |home: &Home| home.command().arg("--check-config").output().unwrap();
    let good = Home::new(TWO_CAMERAS);
    let output = check(&good);
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stdout).contains("2 cameras"));
    assert!(!good.control_socket().exists(), "nothing was started");
    assert_eq!(end_of(&check(&Home::new("x = 1"))).0, 65);
}

#[tokio::test]
async fn a_wrong_file_does_not_disturb_a_running_service() {
    let service = Service::start(TWO_CAMERAS);
    let other = Bystander::watch(&service).await;
    for wrong in ["", "not TOML", "[cameras.other]\nwidht = 5\ntest = {}"] {
        service.home.configure(wrong);
        let before = service.home.log().matches("was not reloaded").count();
        service.signal(Signal::HUP);
        mos_testkit::wait_until("a complaint", crate::harness::PATIENCE, || {
            (service.home.log().matches("was not reloaded").count() > before).then_some(())
        })
        .unwrap();
    }
    assert_eq!(service.status("subject").await.restarts, 0);
    other.did_not_notice();
}
