//! Reaching a service, and saying why it can't be reached.

#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

mod common;

use common::Server;
use mos_camera_api::client::{self, ConnectError};
use mos_camera_api::v1::ListDevicesRequest;

#[tokio::test]
async fn a_missing_socket_asks_whether_the_service_runs() {
    let dir = tempfile::tempdir().unwrap();
    let error = client::connect(&dir.path().join("none.sock"))
        .await
        .unwrap_err();
    assert!(
        matches!(&error, ConnectError::NotFound { path } if path.ends_with("none.sock")),
        "{error}"
    );
    assert!(
        error.to_string().contains("is the service running?"),
        "{error}"
    );
}

#[tokio::test]
async fn a_dead_service_s_socket_is_told_from_a_file_that_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let (dead, file) = (dir.path().join("dead.sock"), dir.path().join("file"));
    drop(std::os::unix::net::UnixListener::bind(&dead).unwrap());
    std::fs::write(&file, "x").unwrap();
    let error = client::connect(&dead).await.unwrap_err();
    assert!(matches!(error, ConnectError::Refused { .. }), "{error}");
    let error = client::connect(&file).await.unwrap_err();
    assert!(error.to_string().contains("it is not a socket"), "{error}");
}

#[tokio::test]
async fn a_path_that_is_too_long_is_an_error() {
    let error = client::connect(std::path::Path::new(&"x".repeat(200)))
        .await
        .unwrap_err();
    assert!(matches!(error, ConnectError::Io { .. }), "{error}");
}

#[tokio::test]
async fn a_client_finds_the_service_again_after_its_restart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("control.sock");
    let server = Server::start(&path);
    let mut client = client::connect(&path).await.unwrap();
    client
        .list_devices(ListDevicesRequest::default())
        .await
        .unwrap();
    server.stop().await;
    client
        .list_devices(ListDevicesRequest::default())
        .await
        .unwrap_err();
    std::fs::remove_file(&path).unwrap();
    let server = Server::start(&path);
    client
        .list_devices(ListDevicesRequest::default())
        .await
        .unwrap();
    drop(client);
    server.stop().await;
}
