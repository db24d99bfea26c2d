//! The committed header is what the sources say.

#![allow(clippy::unwrap_used, reason = "a test's helpers")]

use std::path::{Path, PathBuf};
use std::{env, fs};

/// Set to 1 to write the header instead of checking it.
const UPDATE: &str = "MOS_UPDATE_HEADER";

/// The order in the header: what is used comes before what uses it.
const SOURCES: [&str; 8] = [
    "version",
    "status",
    "format",
    "frame",
    "mapping",
    "options",
    "subscriber",
    "inspect",
];

#[test]
fn the_header_is_fresh() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let committed = here.join("include/mos_frame.h");
    let config = cbindgen::Config::from_file(here.join("cbindgen.toml")).unwrap();
    let mut builder = cbindgen::Builder::new().with_config(config);
    for source in SOURCES {
        builder = builder.with_src(here.join("src").join(source).with_extension("rs"));
    }
    let made = text_of(&builder.generate().unwrap());
    if env::var_os(UPDATE).is_some() {
        fs::write(&committed, &made).unwrap();
    }
    assert!(
        fs::read_to_string(&committed).unwrap() == made,
        "include/mos_frame.h is out of date; write it anew by {UPDATE}=1 cargo test -p mos-frame-c --test header"
    );
}

#[test]
fn every_source_with_calls_is_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    for file in files {
        let name = file.file_stem().unwrap().to_str().unwrap();
        let calls = fs::read_to_string(&file).unwrap().contains("no_mangle");
        assert!(!calls || SOURCES.contains(&name), "{}", file.display());
    }
}

/// Rust's safety sections are for Rust's readers: the header's introduction says what C has to promise.
fn text_of(bindings: &cbindgen::Bindings) -> String {
    let mut bytes = Vec::new();
    bindings.write(&mut bytes);
    let text = String::from_utf8(bytes).unwrap();
    let mut lines = Vec::<String>::new();
    let mut in_safety = false;
    for line in text.lines() {
        let words = line.trim();
        if words == "/// # Safety" {
            in_safety = true;
            if lines.last().is_some_and(|line| line == "///") {
                lines.pop();
            }
        }
        in_safety &= words.starts_with("///");
        if !in_safety {
            lines.push(in_brackets(line));
        }
    }
    lines.join("\n") + "\n"
}

/// A negative constant in brackets, so that it stays one number in any expression.
fn in_brackets(line: &str) -> String {
    match line.rsplit_once(' ') {
        Some((define, number)) if define.starts_with("#define") && number.starts_with('-') => {
            format!("{define} ({number})")
        }
        _ => line.to_owned(),
    }
}
