//! The whole interface from a C program: right and wrong arguments, frames, pixels, threads. Also without leaks.

#![allow(clippy::unwrap_used, reason = "a test's helpers")]

mod common;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use common::{Installed, Publisher, has, source};

/// Runs `api.c`; each line that it prints is a command for the producer, whose answer it reads.
fn drive(mut command: Command) {
    let mut publisher = Publisher::new();
    let mut program = command
        .arg(publisher.socket())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = program.stdin.take().unwrap();
    for line in BufReader::new(program.stdout.take().unwrap()).lines() {
        let answer = publisher.ask(&line.unwrap());
        writeln!(input, "{answer}").unwrap();
    }
    drop(input);
    assert!(
        program.wait().unwrap().success(),
        "it said what is wrong above"
    );
}

#[test]
fn every_call_does_what_the_header_says() {
    let library = Installed::new();
    let program = library.compile("cc", &["-std=gnu11", "-pthread"], &source("api.c"));
    drive(library.command(&program));
}

#[test]
fn the_static_library_does_as_well() {
    let library = Installed::new();
    let archive = library.libdir().join("libmos_frame.a");
    let mut private = library.pkg_config(&["--libs", "--static"]);
    private.retain(|word| word != "-lmos_frame" && !word.starts_with("-L"));
    let mut options = vec!["-std=gnu11", "-pthread"];
    let program = library.prefix().join("api-static");
    let cflags = library.pkg_config(&["--cflags"]);
    options.extend(cflags.iter().map(String::as_str));
    let status = Command::new("cc")
        .args(&options)
        .arg(source("api.c"))
        .arg(&archive)
        .args(&private)
        .arg("-o")
        .arg(&program)
        .status()
        .unwrap();
    assert!(status.success());
    // Without LD_LIBRARY_PATH.
    drive(Command::new(&program));
}

#[test]
fn nothing_leaks() {
    if !has("valgrind") {
        mos_testkit::skip::skip("nothing_leaks", "no valgrind (Debian: valgrind)").unwrap();
        return;
    }
    let library = Installed::new();
    let program = library.compile("cc", &["-std=gnu11", "-pthread"], &source("api.c"));
    let mut command = library.command(Path::new("valgrind"));
    command
        .args([
            "--quiet",
            "--leak-check=full",
            "--show-leak-kinds=definite,indirect",
            "--errors-for-leak-kinds=definite,indirect",
            "--error-exitcode=9",
            "--track-fds=no",
        ])
        .arg(program);
    drive(command);
}
