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

/// The file that the state is written to before it replaces the old one, on a device that is full: `/dev/full` (full(4))
/// fails each write with `ENOSPC`. It is put in place before each call, as the service clears away what it could not write.
fn fill_disk(service: &Service) {
    let tmp = service.home.state_file().with_extension("json.tmp");
    std::os::unix::fs::symlink("/dev/full", &tmp).unwrap();
}

/// No half-written file takes up the space that is wanted.
fn assert_nothing_left(service: &Service) {
    let file = service.home.state_file();
    for entry in fs::read_dir(file.parent().unwrap()).unwrap() {
        let path = entry.unwrap().path();
        assert_ne!(path.extension(), Some("tmp".as_ref()), "{}", path.display());
    }
}

#[tokio::test]
async fn a_disk_without_space_is_named_and_the_same_call_works_once_there_is_some() {
    let service = Service::start(TWO_CAMERAS);
    let other = Bystander::watch(&service).await;
    let before = service.wait_state("subject", State::Streaming).await;
    let saved = fs::read(service.home.state_file()).ok();
    let mut control = service.control().await;
    let larger = configure("subject", stream_config("test:subject", (640, 480)));

    fill_disk(&service);
    let (status, _) = refused(
        control.configure_stream(larger.clone()).await,
        Code::ResourceExhausted,
        "NOT_SAVED",
    );
    let no_space = std::io::Error::from_raw_os_error(rustix::io::Errno::NOSPC.raw_os_error());
    for part in ["state.json", &no_space.to_string(), "free some space"] {
        assert!(status.message().contains(part), "{}", status.message());
    }
    fill_disk(&service);
    refused(
        control.stop_capture(stop("subject")).await,
        Code::ResourceExhausted,
        "NOT_SAVED",
    );
    assert_nothing_left(&service);
    let after = service.status("subject").await;
    assert_eq!(
        (after.state(), after.wanted, after.config, after.restarts),
        (State::Streaming, true, before.config, before.restarts)
    );
    assert_eq!(fs::read(service.home.state_file()).ok(), saved);
    other.goes_on();

    control.configure_stream(larger.clone()).await.unwrap();
    let changed = service
        .wait_for("subject", "the larger size", |s| {
            s.state() == State::Streaming
                && s.format.as_ref().is_some_and(|f| {
                    f.size
                        == Some(v1::Size {
                            width: 640,
                            height: 480,
                        })
                })
        })
        .await;
    assert_eq!(changed.config.unwrap().size, larger.config.unwrap().size);
    control.stop_capture(stop("subject")).await.unwrap();
    service.wait_state("subject", State::Configured).await;
    assert_nothing_left(&service);
    other.did_not_notice();
}
