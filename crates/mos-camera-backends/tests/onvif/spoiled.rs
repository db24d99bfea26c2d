//! Answers that are none: a typed state of that camera, and nothing else.

use mos_camera_backends::Backend as _;
use mos_camera_core::{Health, StreamConfig};
use serde_json::json;

use super::rig::{Rig, camera, source, yard};

const KINDS: [&str; 13] = [
    "empty", "html", "binary", "cut", "laughs", "external", "deep", "huge", "other", "bodiless",
    "fault", "utf16", "close",
];

#[test]
fn what_is_no_answer_is_told_and_recovers() {
    let mut peer = camera(&[]);
    let rig = Rig::new(source(&peer.address()));
    rig.wait(|device| device.health == Health::Ready);
    let config = StreamConfig::new(yard());
    for call in [
        "GetSystemDateAndTime",
        "GetServices",
        "GetProfiles",
        "GetStreamUri",
    ] {
        for kind in KINDS {
            // A camera that does not tell its time is asked all the same.
            let harmless = (call, kind) == ("GetSystemDateAndTime", "fault");
            peer.change(&json!({"spoil": {call: kind}})).unwrap();
            match rig.backend.source(&yard(), &config) {
                Ok(_) => assert!(harmless, "{call} {kind}"),
                Err(fault) => {
                    assert!(!harmless, "{call} {kind}: {fault}");
                    let text = fault.to_string();
                    assert!(text.starts_with("rtsp:yard at http://127.0.0.1"), "{text}");
                    assert!(text.len() < 1000 && !text.contains("root:"), "{text}");
                    let health = rig.device().health;
                    assert!(
                        matches!(health, Health::Reachable(_)),
                        "{call} {kind}: {health:?}"
                    );
                }
            }
        }
        peer.change(&json!({"spoil": {}})).unwrap();
        assert!(rig.backend.source(&yard(), &config).is_ok());
        assert_eq!(rig.device().health, Health::Ready);
    }
}

/// Nothing in them, or numbers that no number holds: what they would have said is unknown.
#[test]
fn hollow_answers_say_nothing() {
    let mut peer = camera(&[]);
    let rig = Rig::new(source(&peer.address()));
    rig.wait(|device| device.health == Health::Ready);
    let config = StreamConfig::new(yard());
    for (call, kind, works) in [
        ("GetSystemDateAndTime", "hollow", true),
        ("GetSystemDateAndTime", "numbers", true),
        ("GetServices", "hollow", false),
        ("GetProfiles", "numbers", true),
        ("GetStreamUri", "hollow", false),
    ] {
        peer.change(&json!({"spoil": {call: kind}})).unwrap();
        let source = rig.backend.source(&yard(), &config);
        assert_eq!(source.is_ok(), works, "{call} {kind}: {source:?}");
    }
}

#[test]
fn media2_that_is_there_in_name_only_is_passed_over() {
    let mut peer = camera(&["--media2"]);
    let rig = Rig::new(source(&peer.address()));
    rig.wait(|device| device.health == Health::Ready);
    let of_media2 = |told: &[serde_json::Value]| {
        let profiles = told.iter().filter(|value| value["call"] == "GetProfiles");
        profiles
            .filter(|v| v["service"].as_str().unwrap().contains("ver20"))
            .count()
    };
    assert!(of_media2(&peer.told()) > 0);
    // Both services have the call; the peer spoils both, so the better one's failure is not hidden.
    peer.change(&json!({"spoil": {"GetProfiles": "fault"}}))
        .unwrap();
    let fault = rig
        .backend
        .source(&yard(), &StreamConfig::new(yard()))
        .unwrap_err();
    assert!(fault.message.contains("out of order"), "{fault}");
    let told = peer.told();
    let asked = told.iter().filter(|value| value["call"] == "GetProfiles");
    assert_eq!(asked.count(), 2, "{told:?}");
}

#[test]
fn a_camera_without_get_services_is_asked_by_get_capabilities() {
    let peer = camera(&["--old"]);
    let rig = Rig::new(source(&peer.address()));
    rig.wait(|device| device.health == Health::Ready && device.profiles.len() == 2);
}

#[test]
fn a_dead_camera_is_unreachable_and_delays_no_listing() {
    let silent = mos_testkit::SilentPort::new().unwrap();
    let address = format!("127.0.0.1:{}", silent.port().unwrap());
    let mut config = source(&address);
    config.rtsp.timeout = std::time::Duration::from_secs(3);
    let rig = Rig::new(config);
    let began = std::time::Instant::now();
    for _ in 0..10 {
        rig.backend.discover().unwrap();
    }
    assert!(began.elapsed() < std::time::Duration::from_secs(1));
    rig.wait(|device| matches!(device.health, Health::Unreachable(_)));
}
