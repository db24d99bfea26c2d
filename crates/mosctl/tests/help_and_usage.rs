//! What can be learned without a service: help, usage errors, completions, the documented exit codes.

#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

mod common;

use std::io::pipe;
use std::process::Stdio;

use common::{json_lines, mosctl, run, stderr, stdout};

const COMMANDS: [&str; 13] = [
    "devices",
    "explain",
    "add",
    "remove",
    "configure",
    "start",
    "stop",
    "status",
    "reset",
    "watch",
    "frames",
    "snapshot",
    "completions",
];

#[test]
fn help_names_every_command_and_exit_code() {
    let output = run(&["--help"]);
    assert_eq!(output.status.code(), Some(0));
    let text = stdout(&output);
    assert!(
        COMMANDS.iter().all(|c| text.contains(&format!("\n  {c} "))),
        "{text}"
    );
    assert!(
        (0..=9).all(|code| text.contains(&format!("\n  {code}  "))),
        "{text}"
    );
    assert!(text.contains("A first session:"), "{text}");
}

#[test]
fn every_command_has_help_that_fits() {
    for command in COMMANDS {
        let output = run(&[command, "--help"]);
        assert_eq!(output.status.code(), Some(0), "{command}");
        let text = stdout(&output);
        assert!(text.contains(&format!("Usage: mosctl {command}")), "{text}");
        assert!(
            text.lines().all(|line| line.chars().count() <= 130),
            "{text}"
        );
    }
}

#[test]
fn wrong_usage_is_exit_code_2_and_says_what_is_expected() {
    for (args, expected) in [
        (&["start"][..], "<STREAM>"),
        (&["start", "a/b"], "is not a stream name"),
        (&["configure", "a"], "--device"),
        (
            &["configure", "a", "--device", "front"],
            "is not a device id",
        ),
        (
            &["configure", "a", "--device", "test:x", "--size", "640"],
            "for example 640x480",
        ),
        (
            &["configure", "a", "--device", "test:x", "--framerate", "0"],
            "expected frames per second",
        ),
        (
            &[
                "configure",
                "a",
                "--device",
                "test:x",
                "--steady-timeout",
                "5h",
            ],
            "use ms, s or m",
        ),
        (
            &[
                "configure",
                "a",
                "--device",
                "test:x",
                "--max-subscribers",
                "65",
            ],
            "1..=64",
        ),
        (&["frames", "a", "--window", "0"], "1..=64"),
        (&["frames", "a", "--seconds", "0"], "more than 0 seconds"),
        (&["snapshot", "a"], "<FILE.png>"),
        (&["nonsense"], "unrecognized subcommand"),
        (&[], "Usage: mosctl"),
    ] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(
            stderr(&output).contains(expected),
            "{args:?}: {}",
            stderr(&output)
        );
    }
}

#[test]
fn completions_are_made_for_each_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let text = stdout(&run(&["completions", shell]));
        assert!(
            text.contains("snapshot") && text.contains("mosctl"),
            "{shell}"
        );
    }
    assert_eq!(
        json_lines(&run(&["completions", "bash", "--json"]))[0]["shell"],
        "bash"
    );
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    let output = mosctl(&["completions", "bash"])
        .stdout(writer)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert_eq!(
        (output.status.code(), stderr(&output).as_str()),
        (Some(0), "")
    );
}

#[test]
fn the_readme_lists_the_exit_codes_as_help_does() {
    let readme = include_str!("../README.md");
    let help = stdout(&run(&["--help"]));
    let (_, codes) = help.split_once("Exit codes:\n").unwrap();
    for line in codes.lines() {
        let (code, meaning) = line.trim().split_once("  ").unwrap();
        let row = format!("| {code} | {meaning} |");
        assert!(readme.contains(&row), "{row} is not in README.md");
    }
}
