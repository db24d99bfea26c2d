//! What an installation holds.

#![allow(clippy::unwrap_used, reason = "a test's helpers")]

mod common;

use std::fs;
use std::process::Command;

use common::Installed;

#[test]
fn the_library_has_its_soname_and_only_the_calls_of_the_header() {
    let library = Installed::new();
    let libdir = library.libdir();
    let target = fs::canonicalize(libdir.join("libmos_frame.so")).unwrap();
    let version = env!("CARGO_PKG_VERSION");
    let full = format!("libmos_frame.so.0.{version}");
    assert_eq!(target.file_name().unwrap().to_str(), Some(full.as_str()));
    let shown = Command::new("readelf").arg("-d").arg(&target).output();
    let dynamic = String::from_utf8(shown.unwrap().stdout).unwrap();
    assert!(dynamic.contains("soname: [libmos_frame.so.0]"), "{dynamic}");

    let shown = Command::new("nm")
        .args(["-D", "--defined-only"])
        .arg(&target)
        .output();
    let symbols = String::from_utf8(shown.unwrap().stdout).unwrap();
    let header = fs::read_to_string(library.prefix().join("include/mos_frame.h")).unwrap();
    let mut calls = 0;
    for name in symbols.lines().filter_map(|line| line.rsplit(' ').next()) {
        assert!(
            header.contains(&format!("{name}(")),
            "{name} is exported, but not in the header"
        );
        calls += 1;
    }
    assert!(calls >= 20, "{symbols}");
}

#[test]
fn pkg_config_says_where_and_which() {
    let library = Installed::new();
    assert_eq!(
        library.pkg_config(&["--modversion"]),
        [env!("CARGO_PKG_VERSION")]
    );
    let cflags = library.pkg_config(&["--cflags"]);
    let include = format!("-I{}/include", library.prefix().display());
    assert!(cflags.contains(&include), "{cflags:?}");
    let maps = cflags.iter().any(|flag| flag == "-DMOS_FRAME_CPU_ACCESS");
    assert_eq!(maps, mos_frame_c::mos_has_cpu_access());
    assert!(
        library
            .pkg_config(&["--libs"])
            .contains(&"-lmos_frame".to_owned())
    );
}
