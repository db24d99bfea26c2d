//! An RTSP camera that refuses the credentials: asked once, not in a loop, since cameras lock accounts out.

use std::fs;

use mos_camera_api::v1::{FaultKind, State};
use mos_testkit::{Auth, RtspServer, RtspServerOptions};
use rustix::process::Signal;

use crate::bystander::Bystander;
use crate::harness::{Home, reset};

#[tokio::test]
async fn it_waits_for_the_right_password_and_shows_neither() {
    for auth in [Auth::Basic, Auth::Digest] {
        let server = RtspServer::start(&RtspServerOptions {
            auth,
            ..RtspServerOptions::default()
        })
        .unwrap();
        let config = format!(
            "[cameras.subject.rtsp]\nurl = '{}'\nuser = 'camera'\npassword_file = 'secret'\n[cameras.other.test]\n",
            server.url(0)
        );
        let home = Home::new(&config);
        let secret = home.path().join("secret");
        fs::write(&secret, "wrong-hunter2\n").unwrap();
        let service = home.start();
        let other = Bystander::watch(&service).await;
        let refused = service.wait_state("subject", State::Unauthorized).await;
        let fault = refused.fault.clone().unwrap();
        assert_eq!(
            (fault.kind(), refused.attempt),
            (FaultKind::Unauthorized, 1),
            "{fault:?}"
        );
        assert!(!format!("{refused:?}").contains("hunter2"), "{refused:?}");

        fs::write(&secret, "opensesame\n").unwrap();
        service.signal(Signal::HUP);
        service.wait_state("subject", State::Streaming).await;
        service
            .control()
            .await
            .reset_capture(reset("subject"))
            .await
            .unwrap();
        service
            .wait_for("subject", "a new session", |s| {
                s.state() == State::Streaming && s.restarts >= 2
            })
            .await;
        let log = service.home.log();
        assert!(
            !log.contains("hunter2") && !log.contains("opensesame"),
            "{log}"
        );
        other.did_not_notice();
    }
}
