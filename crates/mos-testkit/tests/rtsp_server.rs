//! The RTSP peer starts, answers on its port, and ends with its handle.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use mos_testkit::{RtspServer, RtspServerOptions};

fn options_status(port: u16) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    stream
        .write_all(b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n")
        .unwrap();
    let mut answer = [0; 15];
    stream.read_exact(&mut answer).unwrap();
    String::from_utf8(answer.to_vec()).unwrap()
}

#[test]
fn serves_while_its_handle_lives() {
    let server = RtspServer::start(&RtspServerOptions {
        count: 2,
        ..Default::default()
    })
    .unwrap();
    let port = server.port();
    assert_eq!(options_status(port), "RTSP/1.0 200 OK");
    assert_eq!(server.url(1), format!("rtsp://127.0.0.1:{port}/cam1"));
    drop(server);
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
}

#[test]
fn says_why_it_did_not_start() {
    let taken = RtspServer::start_default().unwrap();
    let again = RtspServerOptions {
        port: taken.port(),
        ..Default::default()
    };
    let error = RtspServer::start(&again).unwrap_err();
    assert!(error.to_string().contains("can't listen"), "{error}");
}
