//! What systemd is told, by the protocol of `sd_notify(3)`.

use std::os::unix::net::UnixDatagram;

use rustix::process::Signal;

use crate::harness::{Home, PATIENCE, TWO_CAMERAS};

/// Receives datagrams until one has the line.
fn expect(socket: &UnixDatagram, line: &str) {
    let mut seen = Vec::new();
    let mut buffer = [0; 4096];
    let deadline = std::time::Instant::now() + PATIENCE;
    while std::time::Instant::now() < deadline {
        if let Ok(len) = socket.recv(&mut buffer) {
            let text = String::from_utf8_lossy(&buffer[..len]).into_owned();
            if text.lines().any(|l| l == line) {
                return;
            }
            seen.push(text);
        }
    }
    panic!("no {line}; seen: {seen:?}");
}

#[tokio::test]
async fn it_is_told_of_start_life_reload_and_stop() {
    let home = Home::new(TWO_CAMERAS);
    let path = home.path().join("notify.sock");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut command = home.command();
    command
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "200000");
    let mut service = home.start_as(command);
    expect(&socket, "READY=1");
    for _ in 0..3 {
        expect(&socket, "WATCHDOG=1");
    }
    service.signal(Signal::HUP);
    expect(&socket, "RELOADING=1");
    expect(&socket, "READY=1");
    service.signal(Signal::TERM);
    expect(&socket, "STOPPING=1");
    assert!(service.wait_for_end().success());
}
