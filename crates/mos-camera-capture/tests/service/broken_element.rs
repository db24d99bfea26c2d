//! An element that GStreamer's registry has and that can't be made any more: its library, or one that it needs, broke since the
//! registry was written.

use std::fs::{self, File};
use std::os::unix::net::UnixListener;
use std::path::Path;

use mos_testkit::paths;
use serde_json::Value;

use crate::harness::Home;
use crate::other_machine;

/// What would be chosen on the board, with the plugins of this home.
fn print_platform(home: &Home, board: &Path) -> Value {
    let mut service = home.command();
    service
        .env("GST_PLUGIN_PATH", home.path().join("plugins"))
        .env("GST_REGISTRY", home.path().join("registry.bin"))
        .env("MOS_QMMF_STANDIN", "gbm");
    other_machine::print_platform(&mut service, board)
}

/// Overwrites a library with zeros. GStreamer looks at size and time only, so that it takes it for the one that it knows.
fn break_library(library: &Path) {
    let before = fs::metadata(library).unwrap();
    let file = File::options().write(true).truncate(true).open(library);
    let file = file.unwrap();
    file.set_len(before.len()).unwrap();
    file.set_modified(before.modified().unwrap()).unwrap();
}

fn element<'a>(platform: &'a Value, name: &str) -> &'a Value {
    let elements = platform["elements"].as_array().unwrap().iter();
    let mut found = elements.filter(|element| element["name"] == name);
    found
        .next()
        .unwrap_or_else(|| panic!("no {name}: {platform}"))
}

#[test]
fn the_next_best_is_chosen_and_the_loader_s_words_are_told() {
    let home = Home::new("[service]\n");
    let board = home.path().join("board");
    let tree = board.join("proc/device-tree");
    let sockets = board.join("run/cam_server");
    let plugins = home.path().join("plugins");
    for folder in [&tree, &sockets, &plugins] {
        fs::create_dir_all(folder).unwrap();
    }
    fs::write(tree.join("compatible"), b"qcom,monaco-evk\0qcom,qcs8300\0").unwrap();
    let _camera_service = UnixListener::bind(sockets.join("le_cam_socket")).unwrap();
    let library = plugins.join("libgstqmmfstandin.so");
    fs::copy(paths::qmmf_standin().unwrap(), &library).unwrap();

    let sound = print_platform(&home, &board);
    assert_eq!(sound["csi_element"], "qticamsrc", "{sound}");
    assert_eq!(sound["problems"], Value::Array(vec![]), "{sound}");
    assert_eq!(element(&sound, "qticamsrc")["usable"], true);

    break_library(&library);
    let broken = print_platform(&home, &board);
    assert_eq!(broken["family"], "qcs", "{broken}");
    assert_ne!(broken["csi_backend"], "qmmf", "{broken}");
    let qticamsrc = element(&broken, "qticamsrc");
    assert_eq!(qticamsrc["usable"], false, "{broken}");
    // dlopen(3)'s words begin with the file.
    let why = qticamsrc["unusable"].as_str().unwrap();
    assert!(why.contains(library.to_str().unwrap()), "{why}");
    let message = broken["problems"][0]["message"].as_str().unwrap();
    let says = format!("GStreamer lists qticamsrc, but can't make one: {why}");
    assert!(message.contains(&says), "{message}");
}
