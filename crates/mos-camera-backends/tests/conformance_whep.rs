//! The conformance suite on WebRTC streams: aiortc as a WHEP server in a process of its own, and servers that misbehave.

#![cfg(feature = "development")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod conformance;
mod tls;
mod whep_peers;

use std::sync::Arc;
use std::time::{Duration, Instant};

use conformance::{PATIENCE, Running, Subject, next};
use mos_camera_backends::{Backend, WhepBackend};
use mos_camera_core::{
    DeviceId, Fault, FaultKind, IceServer, Secret, StreamConfig, Trust, WhepSource,
};
use mos_testkit::{ClosedPort, SilentPort, WhepServer, skip, whep};

const SIZE: (u32, u32) = (640, 480);

fn camera() -> DeviceId {
    "whep:door".parse().unwrap()
}

fn config() -> StreamConfig {
    StreamConfig::new(camera())
}

fn backend(source: WhepSource) -> Arc<dyn Backend> {
    mos_camera_backends::init().unwrap();
    Arc::new(WhepBackend::new(vec![("door".to_owned(), source)]))
}

/// The camera of a server. Frames of a busy machine may be late.
fn of(server: &WhepServer) -> WhepSource {
    WhepSource {
        latency: Duration::from_millis(200),
        timeout: Duration::from_secs(30),
        ..WhepSource::new(server.url())
    }
}

/// Whether there is no aiortc here; then the test says that it was skipped.
fn no_peer(test: &str) -> bool {
    let missing = whep::python().is_none();
    if missing {
        skip::skip(test, "no Python with aiortc; `./x test` makes one").unwrap();
    }
    missing
}

fn start(arguments: &[&str]) -> (WhepServer, Running) {
    let server = WhepServer::aiortc(arguments, None).unwrap();
    let running = Running::start(&backend(of(&server)), &config()).unwrap();
    running.first_frame();
    (server, running)
}

fn subjects() -> Vec<Subject> {
    if no_peer("conformance_whep") {
        return Vec::new();
    }
    let subject = |codec: &str| {
        let server = WhepServer::aiortc(&[&format!("--codec={codec}")], None).unwrap();
        Subject {
            backend: backend(of(&server)),
            device: camera(),
            absent: "whep:garden".parse().unwrap(),
            size: SIZE,
            unsupported: (1920, 1080),
            keep: Box::new(server),
        }
    };
    ["H264", "VP8"].map(subject).into()
}

suite!(subjects);

/// Waits for what the server says.
fn heard(server: &WhepServer, prefix: &str) -> String {
    server.wait_for(prefix, PATIENCE).unwrap()
}

/// The fault of a camera that gives none, told soon.
fn fault_of(source: WhepSource) -> Fault {
    let running = Running::start(&backend(source), &config()).unwrap();
    let fault = running.fault();
    assert!(fault.message.contains("whep:door"), "{fault}");
    assert!(!fault.hint.is_empty(), "{fault}");
    fault
}

#[test]
fn the_server_is_told_of_the_end_and_a_session_s_facts_are_known() {
    if no_peer("the_server_is_told_of_the_end_and_a_session_s_facts_are_known") {
        return;
    }
    for location in ["relative", "absolute"] {
        let (server, running) = start(&["--codec=VP8", &format!("--location={location}")]);
        let stats = running.pipeline.stats();
        let session = stats.session.unwrap();
        assert_eq!(session.codec, "VP8");
        assert!(
            session
                .details
                .contains(&("state".to_owned(), "connected".to_owned())),
            "{session:?}"
        );
        // VP8 took the place of what the cheapest codec would have had.
        assert_eq!(stats.plan.rule, "vp8-libvpx");
        assert_eq!(stats.chain[..3], ["webrtcbin", "rtpvp8depay", "vp8dec"]);
        running.pipeline.stop();
        assert_eq!(heard(&server, "delete"), "delete 0 known", "{location}");
    }
    // It goes on where the server can't be told.
    let (_server, running) = start(&["--location=none"]);
    running.pipeline.stop();
}

#[test]
fn a_token_is_given_and_a_wrong_one_is_unauthorized_and_shown_nowhere() {
    if no_peer("a_token_is_given_and_a_wrong_one_is_unauthorized_and_shown_nowhere") {
        return;
    }
    let server = WhepServer::aiortc(&[], Some("opensesame")).unwrap();
    let with = |token: &str| WhepSource {
        token: Some(Secret::new(token)),
        ..of(&server)
    };
    let running = Running::start(&backend(with("opensesame")), &config()).unwrap();
    running.first_frame();
    drop(running);
    heard(&server, "delete 0 known");
    let backend = backend(with("hunter2"));
    let running = Running::start(&backend, &config()).unwrap();
    let fault = running.fault();
    assert_eq!(fault.kind, FaultKind::Unauthorized, "{fault}");
    let shown = format!(
        "{fault} {fault:?} {backend:?} {:?} {} {:?}",
        backend.discover(),
        running.pipeline.dot(),
        running.pipeline.stats()
    );
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn redirects_are_followed_and_refusals_told() {
    if no_peer("redirects_are_followed_and_refusals_told") {
        return;
    }
    for status in [307, 308] {
        let (server, _running) = start(&[&format!("--redirect={status}")]);
        heard(&server, "redirect");
    }
    for (arguments, kind) in [
        (&["--status=404"][..], FaultKind::NotFound),
        (&["--status=406"], FaultKind::Unsupported),
        (&["--status=503", "--retry-after=5"], FaultKind::Busy),
        (&["--status=500"], FaultKind::Unreachable),
        (&["--body=<html>"], FaultKind::NotFound),
        (&["--body=v=0"], FaultKind::NotFound),
        (&["--redirect=302"], FaultKind::NotFound),
    ] {
        let server = WhepServer::aiortc(arguments, None).unwrap();
        assert_eq!(fault_of(of(&server)).kind, kind, "{arguments:?}");
    }
}

#[test]
fn who_does_not_answer_is_told_soon() {
    let closed = ClosedPort::new().unwrap();
    let silent = SilentPort::new().unwrap();
    for port in [closed.port(), silent.port().unwrap()] {
        let timeout = Duration::from_secs(2);
        let before = Instant::now();
        let source = WhepSource {
            timeout,
            ..WhepSource::new(format!("http://127.0.0.1:{port}/whep"))
        };
        let running = Running::start(&backend(source), &config()).unwrap();
        assert_eq!(running.fault().kind, FaultKind::Unreachable);
        assert!(before.elapsed() < timeout + Duration::from_secs(5));
        let before = Instant::now();
        running.pipeline.stop();
        assert!(
            before.elapsed() < Duration::from_secs(3),
            "{:?}",
            before.elapsed()
        );
    }
}

#[test]
fn a_server_that_ends_its_sessions_is_a_fault() {
    if no_peer("a_server_that_ends_its_sessions_is_a_fault") {
        return;
    }
    let (server, running) = start(&[]);
    server.close_sessions().unwrap();
    assert_eq!(running.fault().kind, FaultKind::Disconnected);
}

#[test]
fn a_server_that_is_gone_does_not_hold_up_the_end() {
    if no_peer("a_server_that_is_gone_does_not_hold_up_the_end") {
        return;
    }
    let (server, running) = start(&[]);
    server.freeze().unwrap();
    let before = Instant::now();
    running.pipeline.stop();
    assert!(
        before.elapsed() < Duration::from_secs(5),
        "{:?}",
        before.elapsed()
    );
    let port = server.port();
    server.kill().unwrap();
    // Back at its address, it is found again by the same pipeline.
    let server = WhepServer::aiortc(&[&format!("--port={port}")], None).unwrap();
    running.pipeline.start();
    running.first_frame();
    drop(server);
}

#[test]
fn candidates_that_are_found_late_are_trickled_and_a_server_that_takes_none_is_remembered() {
    if no_peer(
        "candidates_that_are_found_late_are_trickled_and_a_server_that_takes_none_is_remembered",
    ) {
        return;
    }
    let stun = LateStun::start();
    for (arguments, says, offer) in [
        (
            &["--etag=one"][..],
            "patch 0 \"one\" application/trickle-ice-sdpfrag",
            "incomplete",
        ),
        (
            &["--patch=405"],
            "patch 0 - application/trickle-ice-sdpfrag",
            "complete",
        ),
        (
            &["--patch=501"],
            "patch 0 - application/trickle-ice-sdpfrag",
            "complete",
        ),
    ] {
        let server = WhepServer::aiortc(arguments, None).unwrap();
        let source = WhepSource {
            ice_servers: vec![stun.server()],
            ..of(&server)
        };
        let running = Running::start(&backend(source), &config()).unwrap();
        running.first_frame();
        let said = heard(&server, "patch");
        assert_eq!(
            said.split_once(' ')
                .map(|(_, rest)| rest.split_once(' ').unwrap().1),
            says.splitn(3, ' ').nth(2),
            "{said}"
        );
        running.pipeline.stop();
        running.pipeline.start();
        running.first_frame();
        let offers: Vec<_> = server
            .lines()
            .into_iter()
            .filter(|line| line.starts_with("offer"))
            .collect();
        assert!(offers[0].ends_with("incomplete"), "{offers:?}");
        assert!(offers[1].ends_with(offer), "{offers:?}");
    }
}

/// A STUN server that answers half a second late, with an address that leads nowhere (RFC 8489).
struct LateStun(std::net::SocketAddr);

impl LateStun {
    fn start() -> Self {
        use std::net::{IpAddr, Ipv4Addr, UdpSocket};
        // Candidates are on other addresses than the loopback's, which can't reach that.
        let probe = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        let own = probe
            .connect((Ipv4Addr::new(198, 51, 100, 1), 9))
            .and_then(|()| probe.local_addr());
        let address = own.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |address| address.ip());
        let socket = UdpSocket::bind((address, 0)).unwrap();
        let at = socket.local_addr().unwrap();
        std::thread::spawn(move || {
            let mut packet = [0; 1500];
            while let Ok((length, from)) = socket.recv_from(&mut packet) {
                let answer = Self::answer(&packet[..length]);
                let socket = socket.try_clone().unwrap();
                std::thread::spawn(move || {
                    // The delay is what is tested, nothing is waited for.
                    std::thread::sleep(Duration::from_millis(600));
                    let _gone = socket.send_to(&answer, from);
                });
            }
        });
        Self(at)
    }

    fn server(&self) -> IceServer {
        IceServer {
            address: format!("stun:{}", self.0).parse().unwrap(),
            login: None,
        }
    }

    fn answer(request: &[u8]) -> Vec<u8> {
        const COOKIE: [u8; 4] = [0x21, 0x12, 0xA4, 0x42];
        let mapped = [198, 51, 100, 7];
        let mut answer = vec![1, 1, 0, 12];
        answer.extend_from_slice(&request[4..20]);
        answer.extend_from_slice(&[0, 0x20, 0, 8, 0, 1, 0x21, 0x12]);
        answer.extend(mapped.iter().zip(COOKIE).map(|(a, b)| a ^ b));
        answer
    }
}

#[test]
fn tls_is_checked_as_configured() {
    if no_peer("tls_is_checked_as_configured") {
        return;
    }
    let authority = tls::Authority::new();
    let identity = authority.issue(&["127.0.0.1"], tls::GOOD);
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let (cert, key) = (
        file("cert.pem", identity.pem()),
        file("key.pem", identity.key_pem()),
    );
    let ca = file("ca.pem", authority.pem());
    let arguments = [
        format!("--cert={}", cert.display()),
        format!("--key={}", key.display()),
    ];
    let server = WhepServer::aiortc(&[&arguments[0], &arguments[1]], None).unwrap();
    let source = |trust| WhepSource {
        trust,
        url: server.url().replace("http:", "https:"),
        ..of(&server)
    };
    let fault = fault_of(source(Trust::System));
    assert_eq!(fault.kind, FaultKind::Certificate, "{fault}");
    let running = Running::start(&backend(source(Trust::CaFile(ca))), &config()).unwrap();
    running.first_frame();
}

#[test]
fn a_new_size_in_mid_stream_is_a_new_epoch() {
    if no_peer("a_new_size_in_mid_stream_is_a_new_epoch") {
        return;
    }
    let (_server, running) = start(&["--codec=VP8", "--resize-to=320x240", "--resize-after=60"]);
    let mut subscriber = running.subscribe();
    let before = next(&mut subscriber).epoch();
    loop {
        let frame = next(&mut subscriber);
        if frame.format().width == 320 {
            assert!(frame.epoch() > before);
            break;
        }
    }
    assert_eq!(running.events.drain(), []);
}

/// Set for the test's own process within the namespace.
const INSIDE: &str = "MOS_TEST_MANY_ADDRESSES";

/// Eighty addresses beside loopback, then the program that is named.
const CROWD: &str = "ip link set lo up && ip link add many0 type veth peer name many1 && ip link set many0 up && ip link set many1 up \
    && for n in $(seq 80); do ip addr add 10.9.0.$n/32 dev many0; done && exec \"$@\"";

#[test]
fn a_machine_with_more_addresses_than_libnice_can_count_refuses_the_stream_and_lives() {
    let test = "a_machine_with_more_addresses_than_libnice_can_count_refuses_the_stream_and_lives";
    if no_peer(test) {
        return;
    }
    if std::env::var_os(INSIDE).is_some() {
        let server = WhepServer::aiortc(&[], None).unwrap();
        let running = Running::start(&backend(of(&server)), &config()).unwrap();
        let fault = running.fault();
        assert!(fault.message.contains("network addresses"), "{fault}");
        return;
    }
    let namespace = |words: &[&str]| {
        let mut command = std::process::Command::new("unshare");
        command.args(["--net", "sh", "-c", CROWD, "sh"]).args(words);
        command.env(INSIDE, "1");
        command
    };
    if !namespace(&["true"]).status().is_ok_and(|s| s.success()) {
        let why = "needs root, and a kernel with network namespaces and veth";
        skip::skip(test, why).unwrap();
        return;
    }
    let me = std::env::current_exe().unwrap();
    let mut inside = namespace(&[me.to_str().unwrap(), "--exact", test]);
    // libnice would end this process by an assertion, and the service with all its cameras.
    let output = inside.output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn a_browser_s_pictures_arrive_in_order() {
    for codec in ["vp8", "h264"] {
        let Some(server) = WhepServer::browser(codec).unwrap() else {
            skip::skip("a_browser_s_pictures_arrive_in_order", "no chromium").unwrap();
            return;
        };
        let running = Running::start(&backend(of(&server)), &config()).unwrap();
        running.first_frame();
        let mut subscriber = running.subscribe();
        let mut numbers = Vec::new();
        let deadline = Instant::now() + PATIENCE;
        // The first pictures may be too coarse to read.
        while numbers.len() < 20 && Instant::now() < deadline {
            numbers.extend(gstmos::counter::read_frame(&next(&mut subscriber)).unwrap());
        }
        assert_eq!(numbers.len(), 20, "{codec}: {numbers:?}");
        assert!(numbers.is_sorted_by(|a, b| a < b), "{codec}: {numbers:?}");
        drop(running);
        server.wait_for("deleted ", PATIENCE).unwrap();
    }
}
