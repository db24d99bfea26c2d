//! Secrets show up nowhere: not in the most talkative log, the status, the listing, an explanation, an event, a graph, the
//! process's arguments or its state file.

use std::fs;
use std::path::Path;

use mos_camera_api::v1::{self, State};
use mos_testkit::{
    Auth, ClosedPort, OnvifCamera, RtspServer, RtspServerOptions, WhepServer, skip, whep,
};
use tonic::Streaming;

use crate::harness::{Home, PATIENCE, Service};

/// Found nowhere else in the world, so that finding it means that it was shown.
const PASSWORD: &str = "Zu7-mellow-Kestrel-93";
const WRONG: &str = "Qx4-bitter-Heron-58";
/// `user:password` as HTTP's basic log-in sends them (RFC 7617): as good as the password.
const IN_BASE64: [&str; 2] = [
    "Y2FtZXJhOlp1Ny1tZWxsb3ctS2VzdHJlbC05Mw==",
    "Y2FtZXJhOlF4NC1iaXR0ZXItSGVyb24tNTg=",
];

#[tokio::test]
async fn secrets_by_file_variable_credential_and_name_are_shown_nowhere() {
    let server = |auth| {
        let options = RtspServerOptions {
            auth,
            password: PASSWORD.to_owned(),
            ..RtspServerOptions::default()
        };
        RtspServer::start(&options).unwrap()
    };
    let (basic, digest) = (server(Auth::Basic), server(Auth::Digest));
    let camera = |name: &str, server: &RtspServer, reference: &str| {
        format!(
            "[cameras.{name}.rtsp]\nurl = '{}'\nuser = 'camera'\n{reference}\n",
            server.url(0)
        )
    };
    let home = Home::new("");
    let folder = |name: &str| {
        let folder = home.path().join(name);
        fs::create_dir(&folder).unwrap();
        folder
    };
    let (credentials, secrets, graphs) =
        (folder("credentials"), folder("secrets"), folder("graphs"));
    fs::write(home.path().join("file"), format!("{PASSWORD}\n")).unwrap();
    fs::write(credentials.join("credential"), PASSWORD).unwrap();
    fs::write(secrets.join("named"), PASSWORD).unwrap();
    fs::write(secrets.join("wrong"), WRONG).unwrap();
    home.configure(
        &[
            format!("[service]\nsecret_dir = '{}'\n", secrets.display()),
            camera("by-file", &basic, "password_file = 'file'"),
            camera("by-variable", &digest, "password_env = 'MOS_TEST_SECRET'"),
            camera("by-credential", &digest, "password_secret = 'credential'"),
            camera("refused", &digest, "password_secret = 'wrong'"),
            camera("refused-too", &basic, "password_secret = 'wrong'"),
        ]
        .concat(),
    );
    let mut command = home.command();
    command
        .args(["--log-level", "trace"])
        .env("MOS_TEST_SECRET", PASSWORD)
        .env("CREDENTIALS_DIRECTORY", &credentials)
        .env("GST_DEBUG_DUMP_DOT_DIR", &graphs);
    let service = home.start_as(command);
    let added = v1::AddCameraRequest {
        name: "by-name".to_owned(),
        table: format!(
            "rtsp = {{ url = '{}', user = 'camera', password_secret = 'named' }}",
            basic.url(0)
        ),
    };
    let mut events = service.events().await;
    let watch = v1::WatchEventsRequest::default();
    let events = events.watch_events(watch).await.unwrap().into_inner();
    let answer = service.sources().await.add_camera(added).await.unwrap();
    for stream in ["by-file", "by-variable", "by-credential", "by-name"] {
        service.wait_state(stream, State::Streaming).await;
    }
    for stream in ["refused", "refused-too"] {
        service.wait_state(stream, State::Unauthorized).await;
    }

    let mut seen = vec![("answer to adding", format!("{answer:?}"))];
    let home = look(service, "rtsp:by-file", events, &mut seen).await;
    let graphs = texts_of(&graphs);
    assert!(
        graphs.len() >= 4,
        "a graph of each pipeline: {}",
        graphs.len()
    );
    seen.extend(graphs.into_iter().map(|text| ("graph", text)));
    search(&home, &seen, &[PASSWORD, WRONG, IN_BASE64[0], IN_BASE64[1]]);
}

/// Everything that a service shows, and what is left when it was stopped.
async fn look(
    service: Service,
    device: &str,
    mut events: Streaming<v1::Event>,
    seen: &mut Vec<(&'static str, String)>,
) -> Home {
    let mut control = service.control().await;
    let status = control.get_status(v1::GetStatusRequest::default());
    seen.push(("status", format!("{:?}", status.await.unwrap())));
    let devices = control.list_devices(v1::ListDevicesRequest::default());
    seen.push(("devices", format!("{:?}", devices.await.unwrap())));
    let explain = v1::ExplainDeviceRequest {
        device: device.to_owned(),
        ..v1::ExplainDeviceRequest::default()
    };
    let explained = service.inspect().await.explain_device(explain).await;
    seen.push(("explanation", format!("{:?}", explained.unwrap())));
    let arguments = fs::read(format!("/proc/{}/cmdline", service.pid().as_raw_nonzero())).unwrap();
    seen.push((
        "arguments",
        String::from_utf8_lossy(&arguments).into_owned(),
    ));
    // Ends with the service.
    let home = {
        let (status, home) = service.stop();
        assert!(status.success(), "{status}");
        home
    };
    let told = tokio::time::timeout(PATIENCE, async {
        let mut told = Vec::new();
        while let Ok(Some(event)) = events.message().await {
            told.push(event);
        }
        format!("{told:?}")
    });
    seen.push(("events", told.await.unwrap()));
    seen.push(("state file", fs::read_to_string(home.state_file()).unwrap()));
    seen.push(("log", home.log()));
    home
}

/// None of the secrets is anywhere, and there was something to look at.
fn search(home: &Home, seen: &[(&str, String)], secrets: &[&str]) {
    for (place, text) in seen {
        assert!(text.len() > 10, "{place}: nothing to look at");
        for secret in secrets {
            let at = text.find(secret);
            let around = at.map(|at| &text[at.saturating_sub(200)..at]);
            assert!(around.is_none(), "{place} shows a secret after: {around:?}");
        }
    }
    assert!(home.log().contains("TRACE"), "the log was not talkative");
}

#[tokio::test]
async fn tokens_of_webrtc_logins_of_relays_and_passwords_of_onvif_are_shown_nowhere() {
    const LINKED: &str = "Ty2-silent-Plover-71";
    if whep::python().is_none() {
        let test = "tokens_of_webrtc_logins_of_relays_and_passwords_of_onvif_are_shown_nowhere";
        return skip::skip(test, "no Python with aiortc; `./x test` makes one").unwrap();
    }
    // Nothing answers there; its login is handed to GStreamer all the same.
    let port = ClosedPort::new().unwrap();
    let relay = format!("turn:127.0.0.1:{}?transport=udp", port.port());
    let link = format!(
        "--link=<{relay}>; rel=\"ice-server\"; username=\"viewer\"; credential=\"{LINKED}\""
    );
    let lobby = WhepServer::aiortc(&["--codec=VP8", &link], Some(PASSWORD)).unwrap();
    let rtsp = RtspServer::start(&RtspServerOptions {
        auth: Auth::Digest,
        user: "admin".to_owned(),
        password: PASSWORD.to_owned(),
        ..RtspServerOptions::default()
    })
    .unwrap();
    let onvif = |accepts: &str| {
        let url = rtsp.url(0);
        let options = ["--password", PASSWORD, "--rtsp", &url, "--accepts", accepts];
        OnvifCamera::start(&options).unwrap()
    };
    let (digest, text) = (onvif("digest"), onvif("text"));
    let home = Home::new("");
    let folder = |name: &str| {
        let folder = home.path().join(name);
        fs::create_dir(&folder).unwrap();
        folder
    };
    let (secrets, graphs) = (folder("secrets"), folder("graphs"));
    for (name, secret) in [("good", PASSWORD), ("wrong", WRONG)] {
        fs::write(secrets.join(name), secret).unwrap();
    }
    let whep = |name: &str, token: &str| {
        format!(
            "[cameras.{name}.whep]\nurl = '{}'\ntoken_secret = '{token}'\nturn_servers = [{{ url = '{relay}', user = 'u', password_secret = 'wrong' }}]\n",
            lobby.url()
        )
    };
    let camera = |name: &str, peer: &OnvifCamera, rest: &str| {
        format!(
            "[cameras.{name}.onvif]\naddress = '{}'\nuser = 'admin'\n{rest}\n",
            peer.address()
        )
    };
    home.configure(
        &[
            format!(
                "[service]\nsecret_dir = '{}'\n[onvif]\ndiscovery = false\n",
                secrets.display()
            ),
            whep("lobby", "good"),
            whep("refused", "wrong"),
            camera("yard", &digest, "password_secret = 'good'"),
            // The password goes over the wire as it is.
            camera(
                "gate",
                &text,
                "password_secret = 'good'\nplain_password = true",
            ),
            camera("refused-too", &digest, "password_secret = 'wrong'"),
        ]
        .concat(),
    );
    let mut command = home.command();
    command
        .args(["--log-level", "trace"])
        .env("GST_DEBUG_DUMP_DOT_DIR", &graphs);
    let service = home.start_as(command);
    let mut events = service.events().await;
    let watch = v1::WatchEventsRequest::default();
    let events = events.watch_events(watch).await.unwrap().into_inner();
    let added = v1::AddCameraRequest {
        name: "by-name".to_owned(),
        table: format!(
            "whep = {{ url = '{}', token_secret = 'good' }}",
            lobby.url()
        ),
    };
    let answer = service.sources().await.add_camera(added).await.unwrap();
    for stream in ["lobby", "yard", "gate", "by-name"] {
        service.wait_state(stream, State::Streaming).await;
    }
    for stream in ["refused", "refused-too"] {
        service.wait_state(stream, State::Unauthorized).await;
    }
    let mut seen = vec![("answer to adding", format!("{answer:?}"))];
    let home = look(service, "whep:lobby", events, &mut seen).await;
    let graphs = texts_of(&graphs);
    let webrtc = graphs.iter().any(|text| text.contains("webrtcbin"));
    assert!(webrtc, "a graph of the session: {}", graphs.len());
    seen.extend(graphs.into_iter().map(|text| ("graph", text)));
    search(&home, &seen, &[PASSWORD, WRONG, LINKED]);
}

fn texts_of(folder: &Path) -> Vec<String> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect()
}
