//! The example in C++: several streams in one event loop.

#![allow(clippy::unwrap_used, reason = "a test's helpers")]

mod common;

use common::{Installed, Publisher, example, has, words};

#[test]
fn the_cpp_example_receives_from_two_streams() {
    if !has("c++") {
        mos_testkit::skip::skip("cpp_example", "no C++ compiler (Debian: g++)").unwrap();
        return;
    }
    let library = Installed::new();
    let program = library.compile("c++", &["-std=c++17"], &example("poll.cpp"));
    let (mut front, mut yard) = (Publisher::new(), Publisher::new());
    front.ask("run 100");
    yard.ask("run 50");
    let output = library
        .command(&program)
        .arg("40")
        .args([front.socket(), yard.socket()])
        .output()
        .unwrap();
    let text = words(&output);
    assert!(output.status.success(), "{text}");
    for publisher in [&front, &yard] {
        let name = format!("{}: frame ", publisher.socket().display());
        assert!(text.contains(&name), "{text}");
    }
    assert_eq!(text.matches(": frame ").count(), 40, "{text}");
}
