//! `mosctl frames` against a real publisher in this process.

#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

mod common;

use common::{Camera, Running, json_error, json_lines, run, stderr, stdout};
use rustix::process::Signal;
use serde_json::Value;

fn dir() -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_str().unwrap().to_owned();
    (dir, path)
}

fn number(value: &Value, key: &str) -> u64 {
    value[key]
        .as_u64()
        .unwrap_or_else(|| panic!("no {key} in {value}"))
}

#[test]
fn a_counted_run_ends_by_itself_with_a_total() {
    let (dir, path) = dir();
    let _camera = Camera::new(dir.path(), "cam", 60);
    let output = run(&[
        "frames",
        "cam",
        "--frame-dir",
        &path,
        "--count",
        "20",
        "--json",
        "--name",
        "tester",
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let lines = json_lines(&output);
    let total = lines.last().unwrap();
    assert_eq!(
        (
            total["type"].as_str(),
            total["stream"].as_str(),
            total["subscriber"].as_str()
        ),
        (Some("total"), Some("cam"), Some("tester"))
    );
    assert_eq!(
        (number(total, "frames"), number(total, "reconnects")),
        (20, 0)
    );
    assert!(number(total, "age_p50_us") <= number(total, "age_p99_us"));
    assert!(number(total, "bus_p50_us") <= number(total, "age_p50_us"));
    assert!(total["fps"].as_f64().unwrap() > 0.0);
}

#[test]
fn a_timed_run_prints_intervals_that_add_up() {
    let (dir, path) = dir();
    let _camera = Camera::new(dir.path(), "cam", 60);
    let output = run(&[
        "frames",
        "cam",
        "--frame-dir",
        &path,
        "--seconds",
        "2.5",
        "--json",
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let lines = json_lines(&output);
    let (total, intervals) = lines.split_last().unwrap();
    assert!(
        !intervals.is_empty() && intervals.iter().all(|i| i["type"] == "interval"),
        "{lines:?}"
    );
    let sum: u64 = intervals.iter().map(|i| number(i, "frames")).sum();
    assert!(sum > 0 && sum <= number(total, "frames"), "{lines:?}");
    assert!(total["seconds"].as_f64().unwrap() >= 2.5);
}

#[test]
fn a_slow_consumer_sees_its_drops_and_gaps() {
    let (dir, path) = dir();
    let _camera = Camera::new(dir.path(), "cam", 100);
    let output = run(&[
        "frames",
        "cam",
        "--frame-dir",
        &path,
        "--count",
        "5",
        "--work-ms",
        "150",
        "--json",
    ]);
    let lines = json_lines(&output);
    let total = lines.last().unwrap();
    assert!(
        number(total, "drops") > number(total, "gaps") && number(total, "gaps") > 0,
        "{total}"
    );
}

#[test]
fn the_latest_frame_is_younger_than_the_oldest_in_the_window() {
    let (dir, path) = dir();
    let _camera = Camera::new(dir.path(), "cam", 100);
    let age = |extra: &[&str]| {
        let args = [
            "frames",
            "cam",
            "--frame-dir",
            &path,
            "--count",
            "8",
            "--work-ms",
            "100",
            "--window",
            "6",
            "--json",
        ];
        let output = run(&[&args, extra].concat());
        number(json_lines(&output).last().unwrap(), "age_p50_us")
    };
    // In order, each frame has waited for five others: 50 ms against less than one frame time.
    assert!(age(&["--latest"]) < age(&[]));
}

#[test]
fn a_person_gets_a_table_and_a_sentence() {
    let (dir, path) = dir();
    let _camera = Camera::new(dir.path(), "cam", 30);
    let output = run(&["frames", "cam", "--frame-dir", &path, "--seconds", "1.5"]);
    let text = stdout(&output);
    assert!(
        text.starts_with("cam: NV12 64x48 at 30 fps in memfd"),
        "{text}"
    );
    assert!(
        text.contains("AGE p50") && text.contains(" 0 reconnects\n  age p50"),
        "{text}"
    );
    assert!(
        text.lines().all(|line| line.chars().count() <= 100),
        "{text}"
    );
}

#[test]
fn ctrl_c_and_sigterm_end_it_with_the_total() {
    let (dir, path) = dir();
    let _camera = Camera::new(dir.path(), "cam", 30);
    for signal in [Signal::INT, Signal::TERM] {
        let mut running = Running::new(&["frames", "cam", "--frame-dir", &path, "--json"]);
        running.json_until(|line| line["type"] == "interval");
        let (code, rest) = running.end(signal);
        assert_eq!(code, Some(0));
        let total: Value = serde_json::from_str(rest.last().unwrap()).unwrap();
        assert_eq!(total["type"], "total");
    }
}

#[test]
fn a_camera_that_comes_back_is_a_reconnect() {
    let (dir, path) = dir();
    let camera = Camera::new(dir.path(), "cam", 30);
    let mut running = Running::new(&["frames", "cam", "--frame-dir", &path, "--json"]);
    running.json_until(|line| number(line, "frames") > 0);
    drop(camera);
    running.json_until(|line| number(line, "frames") == 0);
    let _camera = Camera::new(dir.path(), "cam", 30);
    running.json_until(|line| number(line, "frames") > 0);
    let (code, rest) = running.end(Signal::INT);
    let total: Value = serde_json::from_str(rest.last().unwrap()).unwrap();
    assert_eq!((code, number(&total, "reconnects")), (Some(0), 1));
}

#[test]
fn a_stream_that_nobody_publishes_is_not_found() {
    let (_dir, path) = dir();
    let output = run(&[
        "frames",
        "cam",
        "--frame-dir",
        &path,
        "--json",
        "--wait",
        "300ms",
    ]);
    assert_eq!(output.status.code(), Some(4));
    let error = json_error(&output);
    assert_eq!(error["code"], "not_found");
    assert!(
        error["message"].as_str().unwrap().contains("cam.sock"),
        "{error}"
    );
    assert!(
        error["hint"].as_str().unwrap().contains("mosctl status"),
        "{error}"
    );
}

#[test]
fn a_hold_beyond_the_stream_s_buffers_is_refused_with_the_figures() {
    let (dir, path) = dir();
    let _camera = Camera::new(dir.path(), "cam", 30);
    let output = run(&["frames", "cam", "--frame-dir", &path, "--hold", "60"]);
    assert_eq!(output.status.code(), Some(6), "{}", stderr(&output));
    assert!(
        stderr(&output).contains(&common::BUFFERS.to_string())
            && stderr(&output).contains("smaller --window or --hold"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_stream_that_is_published_a_moment_later_is_waited_for() {
    let (dir, path) = dir();
    let mut running = Running::new(&[
        "frames",
        "cam",
        "--frame-dir",
        &path,
        "--json",
        "--wait",
        "60s",
        "--count",
        "3",
    ]);
    let _camera = Camera::new(dir.path(), "cam", 30);
    let total = running.json_until(|line| line["type"] == "total");
    assert_eq!(
        (number(&total, "frames"), running.exit_code()),
        (3, Some(0))
    );
}
