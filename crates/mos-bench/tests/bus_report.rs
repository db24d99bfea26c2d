//! The benchmark as a program: two of its quick parts, judged by the shape of the report only. Speed is never tested.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

fn strace_works() -> bool {
    let tried = Command::new("strace")
        .args(["-o", "/dev/null", "true"])
        .status();
    tried.is_ok_and(|status| status.success())
}

fn report(parts: &[&str], out: &Path) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mos-bench"));
    command.args([
        "bus",
        "--quick",
        "--json",
        "--seed",
        "1",
        "--note",
        "commit=abc",
    ]);
    command.arg("--out").arg(out);
    for part in parts {
        command.args(["--only", part]);
    }
    let done = command.output().unwrap();
    let text = String::from_utf8(done.stdout).unwrap();
    // 1 says that a bar was missed, as it may on a machine that runs tests.
    assert!(
        matches!(done.status.code(), Some(0 | 1)),
        "{}\n{text}\n{}",
        done.status,
        String::from_utf8_lossy(&done.stderr)
    );
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

fn bar<'a>(report: &'a Value, name: &str) -> &'a Value {
    let bars = report["bars"].as_array().unwrap();
    let starts = |bar: &&Value| bar["name"].as_str().unwrap().starts_with(name);
    bars.iter().find(starts).unwrap()
}

#[test]
fn a_part_fills_its_bar_and_no_other() {
    let out = tempfile::tempdir().unwrap();
    let with_strace = strace_works();
    let mut parts = vec!["leases"];
    if with_strace {
        parts.push("syscalls");
    } else {
        mos_testkit::skip::skip(
            "bus_report",
            "strace can't trace here: system calls are not counted",
        )
        .unwrap();
    }
    let report = report(&parts, out.path());
    assert_eq!(report["failed"], serde_json::json!({}));
    assert_eq!(report["bars"].as_array().unwrap().len(), 10);
    for bar in report["bars"].as_array().unwrap() {
        for key in ["name", "bar", "figure", "ok", "conditions", "verdict"] {
            assert!(!bar[key].is_null(), "{key} of {bar}");
        }
        let name = bar["name"].as_str().unwrap();
        let measured =
            name.starts_with("all leases") || (with_strace && name.starts_with("system calls"));
        if measured {
            assert_ne!(bar["verdict"], "not_measured", "{bar}");
        } else {
            assert_eq!(bar["verdict"], "not_measured", "{bar}");
            assert_eq!(bar["ok"], false, "{bar}");
        }
    }
    let back = bar(&report, "all leases")["values"]["p99_ms"]
        .as_f64()
        .unwrap();
    assert!(back > 0.0, "{back}");
    if with_strace {
        let calls = &report["figures"]["system_calls"];
        assert!(
            calls["deliveries"].as_u64() >= calls["possible"].as_u64(),
            "{calls}"
        );
        assert!(calls["per_delivery"].as_f64().unwrap() >= 1.0, "{calls}");
    }
    let page = fs::read_to_string(out.path().join("bus.md")).unwrap();
    assert!(
        page.contains("| commit | abc |") && page.contains("SIGKILL"),
        "{page}"
    );
    let written: Value =
        serde_json::from_slice(&fs::read(out.path().join("bus.json")).unwrap()).unwrap();
    assert_eq!(written["bars"], report["bars"]);
}

#[test]
fn what_was_not_asked_for_is_not_measured() {
    let out = tempfile::tempdir().unwrap();
    let report = report(&["leases"], out.path());
    let crowd = bar(&report, "64 subscribers");
    assert_eq!(
        (&crowd["verdict"], &crowd["ok"]),
        (&"not_measured".into(), &false.into())
    );
    assert!(!out.path().join("bus-wake.svg").exists());
}
