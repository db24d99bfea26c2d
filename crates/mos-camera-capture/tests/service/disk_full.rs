//! No room to save the wanted state: the call fails, nothing changes, and the next one may succeed.

use std::fs;

use mos_camera_api::v1::{self, State};
use rustix::process::{Resource, Rlimit, prlimit};
use tonic::Code;

use crate::bystander::Bystander;
use crate::harness::{Service, TWO_CAMERAS, configure, refused, start, stop, stream_config};

/// Lets the service write files of so many bytes only, as a full disk would: the kernel refuses the write.
fn limit_files(service: &Service, bytes: Option<u64>) {
    let limit = Rlimit {
        current: bytes,
        maximum: None,
    };
    prlimit(Some(service.pid()), Resource::Fsize, limit).unwrap();
}

#[tokio::test]
async fn nothing_is_changed_that_could_not_be_saved() {
    let service = Service::start(TWO_CAMERAS);
    let other = Bystander::watch(&service).await;
    let mut control = service.control().await;
    control.stop_capture(stop("subject")).await.unwrap();
    let (saved, before) = (
        fs::read(service.home.state_file()).unwrap(),
        service.status("subject").await,
    );

    limit_files(&service, Some(8));
    let larger = configure("subject", stream_config("test:subject", (640, 480)));
    let (status, _) = refused(
        control.start_capture(start("subject")).await,
        Code::ResourceExhausted,
        "NOT_SAVED",
    );
    assert!(
        status.message().contains("state.json") && status.message().contains("free some space"),
        "{}",
        status.message()
    );
    refused(
        control.configure_stream(larger.clone()).await,
        Code::ResourceExhausted,
        "NOT_SAVED",
    );
    refused(
        control.stop_capture(stop("other")).await,
        Code::ResourceExhausted,
        "NOT_SAVED",
    );
    let after = service.status("subject").await;
    assert_eq!(
        (after.state(), after.wanted, after.config),
        (State::Configured, false, before.config)
    );
    assert_eq!(
        fs::read(service.home.state_file()).unwrap(),
        saved,
        "the file is as it was"
    );
    let about = control
        .get_status(v1::GetStatusRequest::default())
        .await
        .unwrap()
        .into_inner()
        .service
        .unwrap();
    assert!(
        !about.state_saved && about.state_problem.contains("state.json"),
        "{about:?}"
    );
    other.goes_on();

    limit_files(&service, None);
    control.configure_stream(larger).await.unwrap();
    control.start_capture(start("subject")).await.unwrap();
    service.wait_state("subject", State::Streaming).await;
    let about = control
        .get_status(v1::GetStatusRequest::default())
        .await
        .unwrap()
        .into_inner()
        .service
        .unwrap();
    assert!(about.state_saved && about.state_problem.is_empty());
    other.did_not_notice();
}
