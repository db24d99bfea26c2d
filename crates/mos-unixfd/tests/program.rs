//! The program: serves, logs who came and why they went, and ends properly when it is told to.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod common;

use std::process::{Child, Command, Stdio};

use common::{DEADLINE, Place, Said, Stream};
use mos_testkit::wait_until;
use rustix::process::{Pid, Signal, kill_process};

fn program(place: &Place) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mos-unixfd"));
    command
        .arg(place.stream())
        .arg("--socket")
        .arg(place.socket());
    command.env_remove("RUST_LOG");
    command
}

/// Killed if the test fails before its end.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn it_serves_until_it_is_told_to_end() {
    let place = Place::new();
    let stream = Stream::new(&place.stream(), 40);
    let mut running = Running(program(&place).stderr(Stdio::piped()).spawn().unwrap());
    let process = &mut running.0;
    wait_until("the socket", DEADLINE, || {
        place.socket().exists().then_some(())
    })
    .unwrap();
    let mut client = place.client();
    stream.wait_for_subscribers(1);
    stream.publish();
    client.caps();
    let frame = client.frame();
    assert_eq!(frame.stamp(), 1);
    client.release(&frame);
    kill_process(Pid::from_child(process), Signal::TERM).unwrap();
    let said = client.hear_all();
    assert!(matches!(said[..], [Said::End]), "{said:?}");
    let status = wait_until("its end", DEADLINE, || process.try_wait().unwrap()).unwrap();
    let log = std::io::read_to_string(process.stderr.take().unwrap()).unwrap();
    assert!(status.success(), "{status}: {log}");
    assert!(log.contains("client done: the endpoint stops"), "{log}");
    assert!(!place.socket().exists());
}

#[test]
fn a_socket_in_use_is_a_clear_failure() {
    let place = Place::new();
    let _endpoint = mos_unixfd::Endpoint::bind(&place.options()).unwrap();
    let output = program(&place).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("another process serves this socket"),
        "{text}"
    );
}

#[test]
fn wrong_usage_has_its_own_code() {
    let place = Place::new();
    for wrong in [["--hold", "0"], ["--mode", "999"], ["--linger", "-1"]] {
        let output = program(&place).args(wrong).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
    }
}
