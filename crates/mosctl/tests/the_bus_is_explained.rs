//! `mosctl bus` and `mosctl bus doctor` against a real publisher in this process, without a service.

#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

mod common;

use common::{BUFFERS, Camera, Running, json_error, json_lines, run, stderr, stdout};
use mos_frame::{ConnectError, Reason, Subscriber, SubscriberOptions, socket_path};
use rustix::process::Signal;
use serde_json::Value;

fn dir() -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_str().unwrap().to_owned();
    (dir, path)
}

fn subscribe(dir: &tempfile::TempDir, name: &str, hold: u32) -> Result<Subscriber, ConnectError> {
    let options = SubscriberOptions {
        name: name.into(),
        hold,
        ..SubscriberOptions::default()
    };
    Subscriber::connect(&socket_path(dir.path(), "cam"), options)
}

fn findings(value: &Value) -> Vec<(String, String)> {
    let text = |v: &Value| v.as_str().unwrap().to_owned();
    let found = value["findings"].as_array().unwrap();
    found
        .iter()
        .map(|f| {
            (
                text(&f["level"]),
                format!("{} {}", text(&f["what"]), text(&f["advice"])),
            )
        })
        .collect()
}

fn doctor(path: &str) -> Value {
    let output = run(&[
        "bus",
        "doctor",
        "--for",
        "500ms",
        "--json",
        "--frame-dir",
        path,
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    json_lines(&output).remove(0)
}

#[test]
fn one_look_shows_the_stream_and_its_subscribers() {
    let (dir, path) = dir();
    let _camera = Camera::new(dir.path(), "cam", 60);
    let mut reader = subscribe(&dir, "reader", 1).unwrap();
    let frame = reader.next().unwrap();
    let output = run(&["bus", "--once", "--json", "--frame-dir", &path]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let look = &json_lines(&output)[0];
    assert_eq!(look["stream"], "cam");
    let report = &look["report"];
    assert!(report["published"].as_u64().unwrap() >= frame.seq());
    assert!(report["publish_time"]["count"].as_u64().unwrap() > 0);
    let it = &report["subscribers"][0];
    assert_eq!(
        (&it["name"], &it["hold"], &it["pid"]),
        (&"reader".into(), &1.into(), &std::process::id().into())
    );
    assert_eq!(it["holds"][0]["seq"], frame.seq());

    let people = run(&["bus", "cam", "--once", "--frame-dir", &path]);
    let text = stdout(&people);
    assert!(
        text.starts_with("cam: NV12 64x48 at 60 fps in memfd"),
        "{text}"
    );
    assert!(text.contains("reader"), "{text}");
}

#[test]
fn it_goes_on_with_rates_until_it_is_ended() {
    let (dir, path) = dir();
    let _camera = Camera::new(dir.path(), "cam", 60);
    let mut live = Running::new(&["bus", "--interval", "200ms", "--json", "--frame-dir", &path]);
    live.json_until(|look| look["fps"].is_null());
    live.json_until(|look| look["fps"].as_f64().is_some_and(|fps| fps > 0.0));
    let (code, _) = live.end(Signal::INT);
    assert_eq!(code, Some(0));
}

#[test]
fn the_doctor_names_who_holds_a_frame_and_gets_no_other() {
    let (dir, path) = dir();
    let _camera = Camera::new(dir.path(), "cam", 60);
    let mut hoarder = subscribe(&dir, "hoarder", 1).unwrap();
    let frame = hoarder.next().unwrap();
    let found = findings(&doctor(&path));
    let holds = format!("{} (", frame.seq());
    let is_hoarding = |(level, text): &(String, String)| {
        level == "problem" && text.contains("hoarder") && text.contains(&holds)
    };
    assert!(found.iter().any(is_hoarding), "{found:#?}");
    let is_slow = |(_, text): &(String, String)| text.contains("were taken back");
    assert!(found.iter().any(is_slow), "{found:#?}");
}

#[test]
fn the_doctor_says_how_many_buffers_a_refused_subscription_lacked() {
    let (dir, path) = dir();
    let _camera = Camera::new(dir.path(), "cam", 60);
    // Eleven buffers for windows and holds: two for the widest window leave nine.
    let refused = subscribe(&dir, "greedy", BUFFERS);
    assert!(
        matches!(
            &refused,
            Err(ConnectError::Refused {
                reason: Reason::OverBudget,
                ..
            })
        ),
        "{refused:?}"
    );
    let found = findings(&doctor(&path));
    let explained = |(level, text): &(String, String)| {
        level == "warning"
            && text.contains("greedy")
            && text.contains("3 buffers are missing")
            && text.contains("a hold of 9")
    };
    assert!(found.iter().any(explained), "{found:#?}");
}

#[test]
fn a_dead_socket_is_told_and_the_live_stream_beside_it_too() {
    let (dir, path) = dir();
    let _camera = Camera::new(dir.path(), "cam", 60);
    drop(std::os::unix::net::UnixListener::bind(dir.path().join("dead.sock")).unwrap());
    let output = run(&["bus", "doctor", "--for", "200ms", "--frame-dir", &path]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = stdout(&output);
    let (cam, dead) = text.split_at(text.find("\ndead\n").unwrap());
    assert!(
        cam.starts_with("cam\n") && cam.contains("frames a second"),
        "{text}"
    );
    assert!(
        dead.contains("problem") && dead.contains("start it again"),
        "{text}"
    );
}

#[test]
fn an_empty_folder_and_an_unknown_stream_are_told_apart() {
    let (_dir, path) = dir();
    let output = run(&["bus", "--once", "--frame-dir", &path]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stdout(&output).starts_with("No stream is published in "));
    let output = run(&["bus", "nosuch", "--once", "--json", "--frame-dir", &path]);
    assert_eq!(output.status.code(), Some(4));
    assert_eq!(json_error(&output)["code"], "not_found");
}
