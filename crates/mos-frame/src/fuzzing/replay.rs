//! The committed corpora as tests: what a fuzzer found once stays fixed, also where no fuzzer can be built.

use std::fs;
use std::path::Path;

fn replay(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/corpus")
        .join(target);
    let files = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut count = 0;
    for file in files {
        let path = file.unwrap().path();
        eprintln!("{}", path.display());
        run(&fs::read(path).unwrap());
        count += 1;
    }
    assert!(count > 0, "{} is empty", folder.display());
}

#[test]
fn wire_from_subscriber() {
    replay("wire_from_subscriber", super::wire_from_subscriber);
}

#[test]
fn wire_from_producer() {
    replay("wire_from_producer", super::wire_from_producer);
}

#[test]
fn lease_page() {
    replay("lease_page", super::lease_page);
}

#[test]
fn board() {
    replay("board", super::board);
}
