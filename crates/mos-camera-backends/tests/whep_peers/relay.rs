//! Media that finds its way through coturn only: client and server are in networks that only coturn's machine is in, too.
//!
//! ```text
//! this test 198.18.1.1 ──── .2 coturn .1 ──── 198.18.2.2 aiortc
//! ```
//!
//! No packet is forwarded between the two. Signalling gets through because the server's listening socket is one of ours.

use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

use mos_camera_core::{FaultKind, IceServer, Secret, WhepSource};
use mos_testkit::{Host, TurnServer, WhepServer, host, paths, skip, turn, whep};

use crate::conformance::{PATIENCE, Running, next};
use crate::{backend, config, no_peer, of};

const TURN: &str = "198.18.1.2:3478";
const LOGIN: (&str, &str) = ("camera", "s3cret:pass word");
/// Another one, for who writes it into a URL as it is.
const PLAIN: (&str, &str) = ("plain", "s3cret");

/// The three machines, with coturn on the one in the middle.
struct Net {
    turn: TurnServer,
    middle: Host,
    far: Host,
}

impl Net {
    fn new() -> Self {
        let (middle, far) = (Host::new().unwrap(), Host::new().unwrap());
        middle.join("198.18.1.1/24", "198.18.1.2/24").unwrap();
        middle
            .join_to("198.18.2.1/24", &far, "198.18.2.2/24")
            .unwrap();
        let turn = TurnServer::start(
            middle.command(turn::PROGRAM),
            TURN.parse().unwrap(),
            "198.18.2.1".parse().unwrap(),
            &[LOGIN, PLAIN],
        )
        .unwrap();
        Self { turn, middle, far }
    }

    /// The WHEP server on the far machine.
    fn server(&self, arguments: &[&str]) -> WhepServer {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        rustix::io::fcntl_setfd(&listener, rustix::io::FdFlags::empty()).unwrap();
        let fd = std::os::fd::AsRawFd::as_raw_fd(&listener);
        let python = whep::python().unwrap();
        let mut command = self.far.command(python.to_str().unwrap());
        command
            .arg(paths::peer("whep_server.py"))
            .arg(format!("--http-fd={fd}"))
            .args(arguments);
        WhepServer::start(command).unwrap()
    }

    /// Packets that the far machine has sent and received, all of them from and to coturn's.
    fn far_packets(&self) -> u64 {
        let mut command = self.far.command("cat");
        let output = command.arg("/proc/net/dev").output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let wire = text.lines().find(|line| line.trim().starts_with('w'));
        let numbers: Vec<u64> = wire
            .unwrap()
            .split_once(':')
            .unwrap()
            .1
            .split_whitespace()
            .map(|number| number.parse().unwrap())
            .collect();
        numbers[1] + numbers[9]
    }
}

/// Whether the test's body is to run here; else it is run in a network of its own, or skipped.
fn in_a_network(name: &str) -> bool {
    if host::is_alone() {
        return true;
    }
    if no_peer(name) {
        return false;
    }
    if !turn::is_here() {
        skip::skip(name, "no turnserver (Debian's package coturn)").unwrap();
        return false;
    }
    if !host::possible() {
        let why = "needs root, and a kernel with network namespaces and veth";
        skip::skip(name, why).unwrap();
        return false;
    }
    let output = host::alone(&format!("whep_peers::relay::{name}")).unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let ran = output.status.success() && text.contains("1 passed");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(ran, "{text}\n{errors}");
    false
}

fn link(url: &str, (user, password): (&str, &str)) -> String {
    format!("--link=<{url}>; rel=\"ice-server\"; username=\"{user}\"; credential=\"{password}\"")
}

fn source(server: &WhepServer) -> WhepSource {
    WhepSource {
        timeout: Duration::from_secs(8),
        ..of(server)
    }
}

#[test]
fn media_flows_through_the_relay_that_the_server_names() {
    if !in_a_network("media_flows_through_the_relay_that_the_server_names") {
        return;
    }
    let net = Net::new();
    for transport in ["udp", "tcp"] {
        let link = link(&format!("turn:{TURN}?transport={transport}"), LOGIN);
        let server = net.server(&["--codec=VP8", &link]);
        let running = Running::start(&backend(source(&server)), &config()).unwrap();
        running.first_frame();
        let before = net.far_packets();
        let mut subscriber = running.subscribe();
        for _ in 0..60 {
            next(&mut subscriber);
        }
        let packets = net.far_packets() - before;
        // A packet for each frame at least, less those frames that were on their way when it was counted first.
        assert!(packets >= 30, "{transport}: {packets}");
        assert_eq!(running.events.drain(), []);
        drop(running);
        server.wait_for("delete 0 known", PATIENCE).unwrap();
    }
    net.turn
        .wait_for("ALLOCATE processed, success", PATIENCE)
        .unwrap();
    net.turn
        .wait_for("peer 198.18.2.2 lifetime updated", PATIENCE)
        .unwrap();
    // It is the middle's kernel that would let something through beside coturn.
    let mut forwarding = net.middle.command("cat");
    let output = forwarding.arg("/proc/sys/net/ipv4/ip_forward").output();
    assert_eq!(output.unwrap().stdout, b"0\n");
}

#[test]
fn without_a_relay_there_is_no_path_and_one_that_is_named_late_is_used_next_time() {
    if !in_a_network(
        "without_a_relay_there_is_no_path_and_one_that_is_named_late_is_used_next_time",
    ) {
        return;
    }
    let net = Net::new();
    let link = link(&format!("turn:{TURN}"), LOGIN);
    let server = net.server(&["--codec=VP8", "--link-in=post", &link]);
    let running = Running::start(&backend(source(&server)), &config()).unwrap();
    let fault = running.fault();
    assert_eq!(fault.kind, FaultKind::Unreachable, "{fault}");
    assert!(fault.hint.contains("`turn_servers`"), "{fault}");
    running.pipeline.stop();
    running.pipeline.start();
    running.first_frame();
}

#[test]
fn a_relay_that_does_not_serve_us_is_told() {
    if !in_a_network("a_relay_that_does_not_serve_us_is_told") {
        return;
    }
    let net = Net::new();
    let wrong = ("camera", "hunter2");
    let server = net.server(&["--codec=VP8", &link(&format!("turn:{TURN}"), wrong)]);
    let told = |named: Option<(&str, (&str, &str))>| {
        let servers = named.map(|(url, (user, password))| IceServer {
            address: url.parse().unwrap(),
            login: Some((user.to_owned(), Secret::new(password))),
        });
        let source = WhepSource {
            timeout: Duration::from_secs(4),
            link_servers: servers.is_none(),
            ice_servers: servers.into_iter().collect(),
            ..of(&server)
        };
        let running = Running::start(&backend(source), &config()).unwrap();
        running.fault()
    };
    let refused = "turn:198.18.1.2:3478?transport=udp does not take the user or the password";
    let cases = [
        // The WHEP server's own; it may name another one next time.
        (None, FaultKind::Unreachable, refused, "mended there"),
        (
            Some(("turn:198.18.1.2:3478", wrong)),
            FaultKind::Unauthorized,
            refused,
            "`turn_servers`",
        ),
        (
            Some(("turn:198.18.1.2:3478?transport=tcp", wrong)),
            FaultKind::Unauthorized,
            "turn:198.18.1.2:3478?transport=tcp does not take the user or the password",
            "`turn_servers`",
        ),
        (
            Some(("turn:198.18.1.2:3479", LOGIN)),
            FaultKind::Unreachable,
            "turn:198.18.1.2:3479?transport=udp does not answer",
            "UDP",
        ),
        (
            Some(("turn:198.18.1.77?transport=tcp", LOGIN)),
            FaultKind::Unreachable,
            "does not answer",
            "TCP",
        ),
        (
            Some(("turns:198.18.1.2:3478", LOGIN)),
            FaultKind::Unreachable,
            "speaks no TLS to TURN servers",
            "`turn:`",
        ),
        (
            Some(("turn:nowhere.invalid", LOGIN)),
            FaultKind::Unreachable,
            "is not found by its name",
            "name",
        ),
    ];
    std::thread::scope(|scope| {
        for (named, kind, what, hint) in cases {
            let told = &told;
            scope.spawn(move || {
                let fault = told(named);
                assert_eq!(fault.kind, kind, "{fault}");
                assert!(fault.message.contains(what), "{fault}");
                assert!(fault.hint.contains(hint), "{fault}");
                let shown = format!("{fault:?}");
                assert!(!shown.contains(wrong.1) && !shown.contains(LOGIN.1));
            });
        }
    });
    // Without TLS nothing was sent either, so no relay was ever given.
    let log = net.turn.log();
    let given = log
        .iter()
        .filter(|line| line.contains("ALLOCATE processed, success"));
    assert_eq!(given.count(), 0);
}

#[test]
fn a_relay_of_the_configuration_is_used() {
    if !in_a_network("a_relay_of_the_configuration_is_used") {
        return;
    }
    let net = Net::new();
    let server = net.server(&["--codec=VP8"]);
    let source = WhepSource {
        ice_servers: vec![IceServer {
            address: format!("turn:{TURN}").parse().unwrap(),
            login: Some((LOGIN.0.to_owned(), Secret::new(LOGIN.1))),
        }],
        link_servers: false,
        ..source(&server)
    };
    let running = Running::start(&backend(source), &config()).unwrap();
    running.first_frame();
}

#[test]
fn servers_that_whepserversink_names_are_asked() {
    if !in_a_network("servers_that_whepserversink_names_are_asked") {
        return;
    }
    let net = Net::new();
    // In this machine's own network: it is our client alone that asks coturn, for whepserversink was not told to.
    let turn = format!("--turn=turn://{}:{}@{TURN}", PLAIN.0, PLAIN.1);
    let arguments = ["--codec=VP8", &format!("--stun=stun://{TURN}"), &turn];
    let Some(server) = WhepServer::whepserversink(&arguments).unwrap() else {
        let why = "no whepserversink: `./x test` builds it and names it in MOS_WHEPSERVERSINK";
        skip::skip("servers_that_whepserversink_names_are_asked", why).unwrap();
        return;
    };
    let running = Running::start(&backend(source(&server)), &config()).unwrap();
    running.first_frame();
    for text in ["BINDING processed, success", "ALLOCATE processed, success"] {
        net.turn.wait_for(text, PATIENCE).unwrap();
    }
}

#[test]
fn a_stun_server_that_the_server_names_is_asked() {
    if !in_a_network("a_stun_server_that_the_server_names_is_asked") {
        return;
    }
    let net = Net::new();
    let link = format!("--link=<stun:{TURN}>; rel=\"ice-server\"");
    let python = whep::python().unwrap();
    let mut command = Command::new(python);
    command
        .arg(paths::peer("whep_server.py"))
        .args(["--codec=VP8", &link]);
    let server = WhepServer::start(command).unwrap();
    let running = Running::start(&backend(source(&server)), &config()).unwrap();
    running.first_frame();
    net.turn
        .wait_for("BINDING processed, success", PATIENCE)
        .unwrap();
}
