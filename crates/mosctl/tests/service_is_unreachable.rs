//! No service, a dead one's socket, something else at the path, no permission.

#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

mod common;

use std::os::unix::net::UnixListener;

use common::{json_error, mosctl, run, stderr};

const COMMANDS: [&[&str]; 9] = [
    &["add", "a", "--rtsp", "rtsp://a/"],
    &["remove", "a"],
    &["devices"],
    &["configure", "a", "--device", "test:a"],
    &["start", "a"],
    &["stop", "a"],
    &["reset", "a"],
    &["status"],
    &["watch"],
];

#[test]
fn every_command_says_which_socket_is_missing_and_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("control.sock");
    let socket = socket.to_str().unwrap();
    for command in COMMANDS {
        let output = run(&[command, &["--socket", socket]].concat());
        assert_eq!(output.status.code(), Some(3), "{command:?}");
        let text = stderr(&output);
        assert!(
            text.contains(socket) && text.contains("is the service running?"),
            "{text}"
        );
    }
}

#[test]
fn the_environment_names_the_socket_too() {
    let output = mosctl(&["status", "--json"])
        .env("MOS_CONTROL_SOCKET", "/nowhere/x.sock")
        .output()
        .unwrap();
    let error = json_error(&output);
    assert_eq!(
        (output.status.code(), error["exit"].as_u64()),
        (Some(3), Some(3))
    );
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains("/nowhere/x.sock"),
        "{error}"
    );
}

#[test]
fn a_socket_left_by_a_dead_service_is_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("control.sock");
    drop(UnixListener::bind(&socket).unwrap());
    let output = run(&["status", "--socket", socket.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(3));
    assert!(
        stderr(&output).contains("the service that made this socket is gone"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn something_else_at_the_socket_does_not_hang_the_command() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("control.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let other = std::thread::spawn(move || {
        // A peer that hangs up at once, as one that speaks another protocol would; mosctl may try more than once.
        listener.incoming().take(1).for_each(drop);
    });
    let output = run(&["status", "--socket", socket.to_str().unwrap()]);
    other.join().unwrap();
    // When it is noticed depends on who is faster.
    let (code, text) = (output.status.code(), stderr(&output));
    let at_connect = code == Some(3) && text.contains("does not speak gRPC");
    let at_call = code == Some(8) && text.contains("the connection to the service broke: ");
    assert!(at_connect || at_call, "{code:?}: {text}");
}
