//! The fuzz targets of network cameras in `fuzz/` as tests, on the committed corpora: what a fuzzer found once stays fixed, also
//! where no fuzzer can be built. What each of them runs stands in the `fuzzing.rs` beside the readers that it is for: the
//! shipped readers on anything, with what has to hold of all that comes out of them. See docs/testing.md.

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

macro_rules! replays {
    ($($owner:ident::$target:ident),+ $(,)?) => {
        $(#[test]
        fn $target() {
            replay(stringify!($target), crate::$owner::fuzzing::$target);
        })+
    };
}

replays!(
    onvif::soap_answer,
    onvif::ws_discovery,
    onvif::http_challenge,
    whep::session_description,
    whep::ice_links,
    rtsp::camera_urls,
);
