//! Cameras that are added and removed over the control socket: saved, restored, and no way to the service's files.

use std::fs;

use mos_camera_api::v1::{self, State};
use mos_testkit::{Auth, RtspServer, RtspServerOptions};
use tonic::Code;

use crate::bystander::Bystander;
use crate::harness::{Home, Service, refused};

const OTHER: &str = "[cameras.other]\nwidth = 320\nheight = 240\nframerate = '30'\ntest = {}\n";

fn add(name: &str, table: &str) -> v1::AddCameraRequest {
    v1::AddCameraRequest {
        name: name.to_owned(),
        table: table.to_owned(),
    }
}

fn remove(name: &str) -> v1::RemoveCameraRequest {
    v1::RemoveCameraRequest {
        name: name.to_owned(),
    }
}

#[tokio::test]
async fn a_camera_is_added_replaced_restored_and_removed_while_another_streams() {
    let options = RtspServerOptions {
        auth: Auth::Digest,
        ..RtspServerOptions::default()
    };
    let server = RtspServer::start(&options).unwrap();
    let home = Home::new("");
    let secrets = home.path().join("secrets");
    fs::create_dir(&secrets).unwrap();
    fs::write(secrets.join("door"), format!("{}\n", options.password)).unwrap();
    let service_table = format!("[service]\nsecret_dir = '{}'\n", secrets.display());
    home.configure(&format!("{service_table}{OTHER}"));
    let service = home.start();
    let other = Bystander::watch(&service).await;
    let mut sources = service.sources().await;

    let rtsp = |rest: &str| {
        format!(
            "rtsp = {{ url = '{}', user = '{}', password_secret = 'door'{rest} }}\n",
            server.url(0),
            options.user
        )
    };
    let added = sources.add_camera(add("door", &rtsp(""))).await.unwrap();
    let added = added.into_inner();
    assert_eq!(
        (added.device.as_str(), added.unchanged),
        ("rtsp:door", false)
    );
    service.wait_state("door", State::Streaming).await;
    let again = sources.add_camera(add("door", &rtsp(""))).await.unwrap();
    assert!(again.into_inner().unchanged);
    assert_eq!(
        service.status("door").await.restarts,
        0,
        "the same table disturbs nothing"
    );

    let udp = rtsp(", transport = 'udp'");
    let changed = sources.add_camera(add("door", &udp)).await.unwrap();
    assert!(!changed.into_inner().unchanged);
    service
        .wait_for("door", "a new session", |s| {
            s.state() == State::Streaming && s.restarts == 1
        })
        .await;
    other.did_not_notice();

    let home = service.kill();
    let state = fs::read_to_string(home.state_file()).unwrap();
    assert!(!state.contains(&options.password), "{state}");
    let service = home.start();
    let other = Bystander::watch(&service).await;
    service.wait_state("door", State::Streaming).await;

    let mut sources = service.sources().await;
    sources.remove_camera(remove("door")).await.unwrap();
    let mut control = service.control().await;
    let gone = control.get_status(v1::GetStatusRequest {
        streams: vec!["door".to_owned()],
    });
    refused(gone.await, Code::NotFound, "UNKNOWN_STREAM");
    assert!(!service.home.bus_socket("door").exists());
    let twice = sources.remove_camera(remove("door")).await;
    refused(twice, Code::NotFound, "UNKNOWN_CAMERA");
    other.did_not_notice();
}

#[tokio::test]
async fn what_is_wrong_is_refused_with_its_place_and_nothing_is_saved() {
    let service = Service::start(OTHER);
    let secret = service.home.path().join("not-for-callers");
    fs::write(&secret, "hunter2").unwrap();
    let mut sources = service.sources().await;
    let file = format!(
        "rtsp = {{ url = 'rtsp://h/p', user = 'u', password_file = '{}' }}",
        secret.display()
    );
    for (name, table, code, reason, words) in [
        (
            "../x",
            "test = {}",
            Code::InvalidArgument,
            "INVALID_STREAM_NAME",
            "not a stream name",
        ),
        (
            "x",
            "",
            Code::InvalidArgument,
            "INVALID_CAMERA",
            "no transport",
        ),
        (
            "x",
            "test = {",
            Code::InvalidArgument,
            "INVALID_CAMERA",
            "camera x:1:",
        ),
        (
            "x",
            "rtsp = { url = 'rtsp://u:hunter2@h/' }",
            Code::InvalidArgument,
            "INVALID_CAMERA",
            "credentials do not belong",
        ),
        (
            "x",
            "rtsp = { url = 'rtsp://h/p' }\nwidht = 3",
            Code::InvalidArgument,
            "INVALID_CAMERA",
            "camera x:2:1",
        ),
        (
            "x",
            &file,
            Code::InvalidArgument,
            "INVALID_CAMERA",
            "password_secret",
        ),
        (
            "x",
            "rtsp = { url = 'rtsp://h/p', user = 'u', password_env = 'PATH' }",
            Code::InvalidArgument,
            "INVALID_CAMERA",
            "password_secret",
        ),
        (
            "x",
            "v4l2 = { path = '/etc/passwd' }",
            Code::InvalidArgument,
            "INVALID_CAMERA",
            "found without being added",
        ),
        (
            "other",
            "test = {}",
            Code::FailedPrecondition,
            "CAMERA_IN_FILE",
            "configuration file",
        ),
    ] {
        let (status, _) = refused(sources.add_camera(add(name, table)).await, code, reason);
        assert!(
            status.message().contains(words),
            "{table}: {}",
            status.message()
        );
        assert!(
            !status.message().contains("hunter2"),
            "{}",
            status.message()
        );
    }
    assert!(!service.home.state_file().exists(), "nothing was asked for");
}
