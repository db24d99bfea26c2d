//! `mos-rtsp-faults` between a client and a server that the test plays, byte by byte.

#![allow(clippy::unwrap_used, reason = "a test that can not go on fails")]

mod common;

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use mos_testkit::certificates::{Authority, Dates};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use common::{Program, free_port};

const WAIT: Option<Duration> = Some(Duration::from_secs(20));
const ANSWER: &str = "RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n";
const REQUEST: &str = "OPTIONS rtsp://x/ RTSP/1.0\r\nCSeq: 1\r\n\r\n";

/// The program, and both ends of a connection through it.
struct Between {
    program: Program,
    client: TcpStream,
    server: TcpStream,
    /// Where the server listens.
    _behind: TcpListener,
}

impl Between {
    fn new() -> Self {
        Self::with(&[])
    }

    fn with(more: &[String]) -> Self {
        let behind = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free_port();
        let mut arguments = vec![
            format!("--listen=127.0.0.1:{port}"),
            format!("--server={}", behind.local_addr().unwrap()),
            "--seed=5".to_owned(),
        ];
        arguments.extend_from_slice(more);
        let program = Program::start(env!("CARGO_BIN_EXE_mos-rtsp-faults"), &arguments);
        let client = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let (server, _) = behind.accept().unwrap();
        client.set_read_timeout(WAIT).unwrap();
        server.set_read_timeout(WAIT).unwrap();
        Self {
            program,
            client,
            server,
            _behind: behind,
        }
    }

    fn client_reads(&mut self, length: usize) -> String {
        read(&mut self.client, length)
    }
}

fn read(stream: &mut TcpStream, length: usize) -> String {
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

/// A message up to its empty line.
fn read_message(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    while !text.ends_with("\r\n\r\n") {
        text += &read(stream, 1);
    }
    text
}

#[test]
fn a_clean_one_changes_nothing() {
    let mut between = Between::new();
    between.client.write_all(REQUEST.as_bytes()).unwrap();
    assert_eq!(read(&mut between.server, REQUEST.len()), REQUEST);
    let media = [ANSWER, "$\0\0\x02ab", ANSWER].concat();
    between.server.write_all(media.as_bytes()).unwrap();
    assert_eq!(between.client_reads(media.len()), media);
    assert!(between.program.finish());
}

#[test]
fn answers_get_a_long_header_until_it_is_lifted() {
    let mut between = Between::new();
    assert_eq!(between.program.tell("mode long-header"), "ok");
    between.server.write_all(ANSWER.as_bytes()).unwrap();
    let text = between.client_reads(ANSWER.len() + 10_002);
    assert_eq!(text.lines().map(str::len).max(), Some(10_000));
    assert_eq!(between.program.tell("mode clean"), "ok");
    between.server.write_all(ANSWER.as_bytes()).unwrap();
    assert_eq!(between.client_reads(ANSWER.len()), ANSWER);
}

#[test]
fn a_slow_loris_lets_some_bytes_go_and_holds_the_rest() {
    let mut between = Between::new();
    assert_eq!(between.program.tell("mode slow-loris"), "ok");
    between.server.write_all(ANSWER.as_bytes()).unwrap();
    assert_eq!(between.client_reads(2), ANSWER[..2]);
    let soon = Some(Duration::from_millis(300));
    between.client.set_read_timeout(soon).unwrap();
    let error = between.client.read(&mut [0; 64]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
}

#[test]
fn reset_is_a_reset_and_ends_both_sides() {
    let mut between = Between::new();
    between.client.write_all(REQUEST.as_bytes()).unwrap();
    read(&mut between.server, REQUEST.len());
    assert_eq!(between.program.tell("reset"), "ok");
    let error = between.client.read(&mut [0; 64]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!(between.server.read(&mut [0; 64]).unwrap(), 0);
}

#[test]
fn media_over_udp_go_through_it_both_ways() {
    let mut between = Between::new();
    let local = || {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(WAIT).unwrap();
        socket
    };
    let port = |socket: &UdpSocket| socket.local_addr().unwrap().port();
    let (client, client_rtcp, server, server_rtcp) = (local(), local(), local(), local());
    let setup = |transport: &str| {
        format!("SETUP rtsp://x/ RTSP/1.0\r\nCSeq: 3\r\nTransport: {transport}\r\n\r\n")
    };
    let asked = format!(
        "RTP/AVP;unicast;client_port={}-{}",
        port(&client),
        port(&client_rtcp)
    );
    between.client.write_all(setup(&asked).as_bytes()).unwrap();

    let request = read_message(&mut between.server);
    let relay = ports_after("client_port=", &request);
    assert!(
        relay.0 != port(&client) && relay.1 != port(&client_rtcp),
        "{request}"
    );
    let answer = format!(
        "RTSP/1.0 200 OK\r\nCSeq: 3\r\nTransport: RTP/AVP;unicast;client_port={}-{};server_port={}-{}\r\n\r\n",
        relay.0,
        relay.1,
        port(&server),
        port(&server_rtcp)
    );
    between.server.write_all(answer.as_bytes()).unwrap();
    let answer = read_message(&mut between.client);
    assert!(
        answer.contains(&asked["RTP/AVP;unicast;".len()..]),
        "{answer}"
    );
    let facing = ports_after("server_port=", &answer);

    let packet = [
        &[0x80, 96, 0, 1, 0, 0, 0, 9, 1, 1, 1, 1][..],
        &[0x67, 1, 2, 3, 4, 5, 6],
    ]
    .concat();
    let mut bytes = [0; 64];
    server.send_to(&packet, ("127.0.0.1", relay.0)).unwrap();
    let (length, from) = client.recv_from(&mut bytes).unwrap();
    assert_eq!((&bytes[..length], from.port()), (&packet[..], facing.0));
    client_rtcp
        .send_to(b"report", ("127.0.0.1", facing.1))
        .unwrap();
    let (length, from) = server_rtcp.recv_from(&mut bytes).unwrap();
    assert_eq!((&bytes[..length], from.port()), (&b"report"[..], relay.1));

    assert_eq!(between.program.tell("mode broken-sps"), "ok");
    server.send_to(&packet, ("127.0.0.1", relay.0)).unwrap();
    let (length, _) = client.recv_from(&mut bytes).unwrap();
    assert_eq!(bytes[..13], packet[..13]);
    assert_ne!(bytes[..length], packet[..]);
}

fn ports_after(key: &str, text: &str) -> (u16, u16) {
    let (_, rest) = text.split_once(key).unwrap();
    let end = rest.find([';', '\r']).unwrap();
    let (first, second) = rest[..end].split_once('-').unwrap();
    (first.parse().unwrap(), second.parse().unwrap())
}

#[test]
fn what_it_does_not_know_it_refuses() {
    let mut between = Between::new();
    for command in ["", "mode", "mode loud", "reset all"] {
        let answer = between.program.tell(command);
        assert!(answer.starts_with("error: "), "{command}: {answer}");
    }
}

/// A handshake over `socket`, then a message each way.
fn talk_in_tls(
    authority: &Authority,
    socket: TcpStream,
    server: &mut TcpStream,
) -> Result<(), std::io::Error> {
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_file(authority.root()).unwrap();
    roots.add(root).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("cam1.lab.test").unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut client = StreamOwned::new(connection, socket);
    client.write_all(REQUEST.as_bytes())?;
    assert_eq!(read(server, REQUEST.len()), REQUEST);
    let long = format!("{ANSWER}$\0\u{7f}\u{7f}{}", "x".repeat(0x7f7f));
    server.write_all(long.as_bytes())?;
    let mut bytes = vec![0; long.len()];
    client.read_exact(&mut bytes)?;
    assert_eq!(bytes, long.as_bytes());
    Ok(())
}

#[test]
fn clients_in_tls_see_the_certificate_of_the_day() {
    let authority = Authority::new().unwrap();
    for (name, dates) in [("good", Dates::Good), ("expired", Dates::Expired)] {
        authority.issue(name, &["*.lab.test"], dates).unwrap();
    }
    let folder = authority.root().parent().unwrap().to_owned();
    let certificates = format!("--certificates={}", folder.display());
    let mut good = Between::with(std::slice::from_ref(&certificates));
    talk_in_tls(&authority, good.client, &mut good.server).unwrap();

    let mut between = Between::with(&[certificates]);
    let port = between.client.peer_addr().unwrap();
    assert_eq!(between.program.tell("certificate expired"), "ok");
    // The connection that is there was accepted before.
    let late = TcpStream::connect(port).unwrap();
    late.set_read_timeout(WAIT).unwrap();
    let error = talk_in_tls(&authority, late, &mut between.server).unwrap_err();
    assert!(error.to_string().contains("expired"), "{error}");
}
