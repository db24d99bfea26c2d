//! An RTSPS camera on a machine without glib-networking, which GStreamer's RTSP client needs for TLS.

use mos_camera_api::v1::{FaultKind, State};
use mos_testkit::{RtspServer, RtspServerOptions};

use crate::bystander::Bystander;
use crate::harness::Home;

#[tokio::test]
async fn the_fault_names_the_package_and_cameras_without_tls_stream() {
    let server = RtspServer::start(&RtspServerOptions::default()).unwrap();
    let home = Home::new(&format!(
        "[cameras.subject.rtsp]\nurl = 'rtsps://127.0.0.1:1/cam0'\n\
         [cameras.plain.rtsp]\nurl = '{}'\n[cameras.other.test]\n",
        server.url(0)
    ));
    // Where GIO looks for its modules (GIO's overview, "Environment variables").
    let modules = home.path().join("no-modules");
    std::fs::create_dir(&modules).unwrap();
    let mut command = home.command();
    command.env("GIO_MODULE_DIR", &modules);
    command.env_remove("GIO_EXTRA_MODULES");
    let service = home.start_as(command);
    let other = Bystander::watch(&service).await;
    let failed = service
        .wait_for("subject", "fault", |s| s.fault.is_some())
        .await;
    let fault = failed.fault.unwrap();
    assert_eq!(fault.kind(), FaultKind::Missing, "{fault:?}");
    assert!(
        fault.hint.contains("apt install glib-networking"),
        "{fault:?}"
    );
    service.wait_state("plain", State::Streaming).await;
    other.did_not_notice();
}
