//! An ONVIF camera in the service: its wrong password is tried once and told, the right one streams, and neither is shown.

use std::fs;

use mos_camera_api::v1::{
    ConfigureStreamRequest, FaultKind, Health, ListDevicesRequest, State, StreamConfig,
};
use mos_testkit::{Auth, OnvifCamera, RtspServer, RtspServerOptions};
use rustix::process::Signal;
use tonic::Code;

use crate::bystander::Bystander;
use crate::harness::Home;

#[tokio::test]
async fn it_waits_for_the_right_password_and_gives_the_profile_that_is_asked_for() {
    let server = RtspServer::start(&RtspServerOptions {
        auth: Auth::Digest,
        user: "admin".to_owned(),
        password: "opensesame".to_owned(),
        ..RtspServerOptions::default()
    })
    .unwrap();
    let url = server.url(0);
    let peer = OnvifCamera::start(&["--password", "opensesame", "--rtsp", &url]).unwrap();
    let home = Home::new(&format!(
        "[onvif]\ndiscovery = false\n[cameras.subject.onvif]\naddress = '{}'\nuser = 'admin'\npassword_file = 'secret'\n[cameras.other.test]\n",
        peer.address()
    ));
    let secret = home.path().join("secret");
    fs::write(&secret, "wrong-hunter2\n").unwrap();
    let service = home.start();
    let other = Bystander::watch(&service).await;
    let refused = service.wait_state("subject", State::Unauthorized).await;
    let fault = refused.fault.clone().unwrap();
    assert_eq!(fault.kind(), FaultKind::Unauthorized, "{fault:?}");
    let devices = || async {
        let mut control = service.control().await;
        let listed = control.list_devices(ListDevicesRequest::default()).await;
        listed.unwrap().into_inner().devices
    };
    let health = |devices: &[mos_camera_api::v1::Device]| {
        devices
            .iter()
            .find(|d| d.id == "rtsp:subject")
            .unwrap()
            .health()
    };
    assert_eq!(health(&devices().await), Health::Unauthorized);

    fs::write(&secret, "opensesame\n").unwrap();
    service.signal(Signal::HUP);
    let status = service.wait_state("subject", State::Streaming).await;
    let details = status.session.unwrap().details;
    let profile = details.iter().find(|d| d.about == "profile").unwrap();
    assert!(profile.text.starts_with("main"), "{details:?}");
    let listed = devices().await;
    assert_eq!(health(&listed), Health::Ready);
    let profiles = &listed
        .iter()
        .find(|d| d.id == "rtsp:subject")
        .unwrap()
        .profiles;
    assert_eq!(profiles.len(), 2, "{profiles:?}");

    let configure = |profile: &str| ConfigureStreamRequest {
        stream: "subject".to_owned(),
        config: Some(StreamConfig {
            device: "rtsp:subject".to_owned(),
            profile: profile.to_owned(),
            ..StreamConfig::default()
        }),
    };
    let mut control = service.control().await;
    let refused = control
        .configure_stream(configure("nope"))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
    assert!(refused.message().contains("main (MainStream)"), "{refused}");
    control.configure_stream(configure("sub")).await.unwrap();
    service
        .wait_for("subject", "the other profile", |s| {
            let told = s.session.iter().flat_map(|session| &session.details);
            s.state() == State::Streaming && told.into_iter().any(|d| d.text.starts_with("sub"))
        })
        .await;
    let log = service.home.log();
    assert!(
        !log.contains("hunter2") && !log.contains("opensesame"),
        "{log}"
    );
    other.did_not_notice();
}
