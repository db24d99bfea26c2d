//! A person with a C compiler and pkg-config gets frames: the example, compiled against an installed library.

#![allow(clippy::unwrap_used, reason = "a test's helpers")]

mod common;

use common::{Installed, Publisher, example, words};

#[test]
fn the_c_example_receives_frames() {
    let library = Installed::new();
    let program = library.compile("cc", &["-std=c11"], &example("receive.c"));
    let mut publisher = Publisher::new();
    publisher.ask("run 100");
    let output = library
        .command(&program)
        .env("MOS_FRAME_DIR", publisher.folder())
        .args(["front", "10"])
        .output()
        .unwrap();
    let text = words(&output);
    assert!(output.status.success(), "{text}");
    let frames: Vec<_> = text.lines().filter(|l| l.contains("62x46 NV12")).collect();
    assert_eq!(frames.len(), 10, "{text}");
    assert!(text.contains("received 10, missed "), "{text}");
    // Luma of row y is seq + y: the mean of frame n's 46 rows is n + 22.5, while nothing wraps at 200.
    for frame in frames.iter().take(5) {
        let seq = number(frame, "frame ");
        let mean = number(frame, "mean luma ");
        assert!(seq > 150.0 || (mean - seq - 22.5).abs() < 0.1, "{frame}");
    }
}

#[test]
fn an_error_says_what_to_do() {
    let library = Installed::new();
    let program = library.compile("cc", &["-std=c99"], &example("receive.c"));
    let output = library
        .command(&program)
        .arg("/nowhere/front.sock")
        .output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        words(&output).contains("check the name"),
        "{}",
        words(&output)
    );
}

fn number(line: &str, after: &str) -> f64 {
    let (_, rest) = line.split_once(after).unwrap();
    let end = rest
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(rest.len());
    rest[..end].parse().unwrap()
}
