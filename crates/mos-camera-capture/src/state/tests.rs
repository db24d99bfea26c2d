use std::fs;
use std::path::PathBuf;

use mos_camera_core::{DeviceId, Framerate, StreamConfig, StreamName, Transport};
use tempfile::TempDir;

use super::*;

fn name(text: &str) -> StreamName {
    text.parse().unwrap()
}

fn config() -> StreamConfig {
    let device = DeviceId::new(Transport::Test, "front");
    StreamConfig {
        size: Some((640, 480)),
        framerate: Framerate::new(30000, 1001),
        ..StreamConfig::new(device)
    }
}

fn state() -> WantedState {
    WantedState::default()
        .with(
            &name("front"),
            Wanted {
                config: Some(config()),
                started: Some(true),
            },
        )
        .with(
            &name("back"),
            Wanted {
                config: None,
                started: Some(false),
            },
        )
}

fn store() -> (TempDir, Store) {
    let dir = TempDir::new().unwrap();
    let store = Store::open(&dir.path().join("deep/er/state.json")).unwrap();
    (dir, store)
}

fn siblings(store: &Store) -> Vec<PathBuf> {
    let mut all: Vec<_> = fs::read_dir(store.path().parent().unwrap())
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    all.sort();
    all
}

#[test]
fn what_was_saved_is_loaded() {
    let (_dir, store) = store();
    assert_eq!(
        store.load().unwrap(),
        Loaded {
            state: WantedState::default(),
            problem: None
        }
    );
    store.save(&state()).unwrap();
    assert_eq!(
        store.load().unwrap(),
        Loaded {
            state: state(),
            problem: None
        }
    );
    assert_eq!(siblings(&store), [store.path()], "no temporary file stays");
}

#[test]
fn wishes_that_say_nothing_are_forgotten() {
    let emptied = state()
        .with(&name("front"), Wanted::default())
        .with(&name("back"), Wanted::default());
    assert_eq!(emptied, WantedState::default());
}

#[test]
fn an_added_camera_takes_its_stream_along_when_it_goes() {
    let door = DeviceId::new(Transport::Test, "front");
    let added = state().with_camera(&name("front"), "rtsp = {}");
    assert_eq!(added.camera(&name("front")), Some("rtsp = {}"));
    let json = serde_json::to_string(&added).unwrap();
    assert_eq!(serde_json::from_str::<WantedState>(&json).unwrap(), added);
    let gone = added.without_camera(&name("front"), Some(&door));
    assert_eq!(gone.cameras().count(), 0);
    assert_eq!(gone.stream(&name("front")), Wanted::default());
    assert_eq!(gone.stream(&name("back")), state().stream(&name("back")));
    // A stream of that name which was given another camera is not the camera's.
    let other = DeviceId::new(Transport::Rtsp, "front");
    let kept = added.without_camera(&name("front"), Some(&other));
    assert_eq!(kept.stream(&name("front")), state().stream(&name("front")));
}

#[test]
fn a_file_cut_off_anywhere_is_set_aside_and_kept() {
    let (_dir, store) = store();
    store.save(&state()).unwrap();
    let whole = fs::read(store.path()).unwrap();
    // The last byte is the line end: without it the file is whole.
    for len in 0..whole.len() - 1 {
        fs::write(store.path(), &whole[..len]).unwrap();
        let loaded = store.load().unwrap();
        assert_eq!(loaded.state, WantedState::default(), "cut at {len}");
        let aside = store
            .path()
            .with_file_name(format!("state.json.corrupt-{}", len + 1));
        assert!(loaded.problem.unwrap().contains(aside.to_str().unwrap()));
        assert_eq!(fs::read(&aside).unwrap(), &whole[..len]);
    }
}

#[test]
fn garbage_and_other_versions_are_set_aside() {
    for (text, reason) in [
        ("\0\0\0\0", "expected value"),
        ("{}", "missing field `version`"),
        ("{\"version\": 2, \"streams\": {}}", "version 2"),
        (
            "{\"version\": 1, \"streams\": {\"../x\": {}}}",
            "not a stream name",
        ),
        ("{\"version\": 1, \"lenses\": {}}", "unknown field `lenses`"),
    ] {
        let (_dir, store) = store();
        fs::write(store.path(), text).unwrap();
        let loaded = store.load().unwrap();
        let problem = loaded.problem.unwrap();
        assert!(problem.contains(reason), "{text}: {problem}");
        assert_eq!(loaded.state, WantedState::default());
    }
}

#[test]
fn a_failed_save_leaves_the_old_state() {
    let (_dir, store) = store();
    store.save(&state()).unwrap();
    // A folder where the temporary file has to go: works for root too, which no permission bit stops.
    fs::create_dir(store.path().with_file_name("state.json.tmp")).unwrap();
    let error = store.save(&WantedState::default()).unwrap_err();
    assert!(error.to_string().contains("state.json"), "{error}");
    assert_eq!(store.load().unwrap().state, state());
}
