//! A WebRTC stream in the service: added by one command, received, told of, stopped at the server too, and there again after
//! a restart.

use std::fs;

use mos_camera_api::v1::State;
use mos_testkit::{WhepServer, skip, whep};
use serde_json::Value;

use crate::bystander::Bystander;
use crate::harness::{Home, PATIENCE, Service};
use crate::mosctl::done;

const TOKEN: &str = "lobby-token-2718";

/// Offers that the server got so far.
fn offers(server: &WhepServer) -> usize {
    let lines = server.lines();
    lines
        .iter()
        .filter(|line| line.starts_with("offer "))
        .count()
}

/// Frames of the stream, as a subscriber gets them.
fn receive(service: &Service, count: usize) {
    let mut subscriber = service.subscribe("lobby", "viewer");
    for n in 0..count {
        let frame = subscriber.next_timeout(PATIENCE).unwrap();
        let frame = frame.unwrap_or_else(|| panic!("no frame after {n}"));
        assert_eq!((frame.format().width, frame.format().height), (640, 480));
    }
}

#[tokio::test]
async fn a_webrtc_stream_is_added_told_of_stopped_and_restored() {
    if whep::python().is_none() {
        let test = "a_webrtc_stream_is_added_told_of_stopped_and_restored";
        return skip::skip(test, "no Python with aiortc; `./x test` makes one").unwrap();
    }
    let server = WhepServer::aiortc(&["--codec=VP8"], Some(TOKEN)).unwrap();
    let home = Home::new("");
    let secrets = home.path().join("secrets");
    fs::create_dir(&secrets).unwrap();
    fs::write(secrets.join("token"), format!("{TOKEN}\n")).unwrap();
    home.configure(&format!(
        "[service]\nsecret_dir = '{}'\n[cameras.other]\nwidth = 320\nheight = 240\nframerate = '30'\ntest = {{}}\n",
        secrets.display()
    ));
    let service = home.start();
    let other = Bystander::watch(&service).await;
    let url = server.url();
    let added = done(
        &service,
        &["add", "lobby", "--whep", &url, "--secret", "token"],
    );
    assert_eq!(added["device"], "whep:lobby", "{added}");
    service.wait_state("lobby", State::Streaming).await;
    receive(&service, 30);

    // Some facts come after the first frame: the path when media flows, the clock with the first sender report.
    let known = service.wait_for("lobby", "path and clock", |s| {
        let path = s
            .session
            .as_ref()
            .is_some_and(|session| session.path.is_some());
        path && s
            .clock
            .as_ref()
            .is_some_and(|clock| clock.source.starts_with("ntp"))
    });
    let status = known.await;
    let session = status.session.unwrap();
    assert_eq!(
        (session.protocol.as_str(), session.codec.as_str()),
        ("WebRTC (WHEP)", "VP8")
    );
    assert!(
        session.peer.parse::<std::net::SocketAddr>().is_ok(),
        "{session:?}"
    );
    let path = session.path.unwrap();
    assert_eq!(
        (path.local.as_str(), path.protocol.as_str()),
        ("host", "UDP"),
        "{path:?}"
    );
    let told: Vec<&str> = session.details.iter().map(|d| d.about.as_str()).collect();
    for about in ["state", "negotiated", "DTLS", "trickle"] {
        assert!(told.contains(&about), "{about}: {told:?}");
    }
    let shown = done(&service, &["status", "lobby"]);
    let shown: &Value = &shown["streams"][0]["session"];
    assert_eq!(shown["path"]["local"], "host", "{shown}");
    assert_eq!(shown["details"]["DTLS"], "connected", "{shown}");

    done(&service, &["stop", "lobby"]);
    server.wait_for("delete 0 known", PATIENCE).unwrap();
    done(&service, &["start", "lobby"]);
    service.wait_state("lobby", State::Streaming).await;
    assert_eq!(offers(&server), 2);
    other.did_not_notice();

    let (status, home) = service.stop();
    assert!(status.success(), "{status}");
    server.wait_for("delete 1 known", PATIENCE).unwrap();
    let state = fs::read_to_string(home.state_file()).unwrap();
    assert!(!state.contains(TOKEN), "{state}");
    let service = home.start();
    service.wait_state("lobby", State::Streaming).await;
    receive(&service, 5);
    assert_eq!(offers(&server), 3);
    // Killed, it tells nobody, and comes back as well.
    let service = service.kill().start();
    service.wait_state("lobby", State::Streaming).await;
    assert_eq!(offers(&server), 4);
    done(&service, &["remove", "lobby"]);
    server.wait_for("delete 3 known", PATIENCE).unwrap();
}
