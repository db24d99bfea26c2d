//! Each way to log in, each wrong password, each wrong clock.

use mos_camera_backends::Backend as _;
use mos_camera_core::{FaultKind, Health, OnvifSource, RtspSource, Secret, StreamConfig};
use serde_json::json;

use super::rig::{Rig, camera, logins, source, yard};

fn with(address: &str, password: Option<&str>, plain: bool) -> OnvifSource {
    let source = source(address);
    OnvifSource {
        plain_password: plain,
        rtsp: RtspSource {
            user: password.map(|_| "admin".to_owned()),
            password: password.map(Secret::new),
            ..source.rtsp
        },
        ..source
    }
}

#[test]
fn every_camera_is_logged_in_to_as_it_wants_with_one_try_of_each_kind() {
    let good = Some("s3cret");
    for (accepts, password, plain, expected, ready) in [
        ("none", None, false, "none", true),
        ("none,digest", good, false, "none", true),
        ("digest", good, false, "none digest", true),
        ("http", good, false, "none http", true),
        ("digest,http", good, false, "none http", true),
        ("text", good, true, "none digest text", true),
        // The password itself is not sent unasked.
        ("text", good, false, "none digest", false),
        ("digest", Some("wrong"), true, "none digest text", false),
        ("http", Some("wrong"), true, "none http digest text", false),
        ("digest", None, true, "none", false),
    ] {
        let peer = camera(&["--accepts", accepts]);
        let rig = Rig::new(with(&peer.address(), password, plain));
        let device = rig.asked();
        let seen = logins(&peer.told(), "GetProfiles").join(" ");
        assert_eq!(seen, expected, "{accepts} {password:?} {plain}");
        if ready {
            assert_eq!(device.health, Health::Ready, "{accepts}");
            assert_eq!(device.model, "Peer Scripted");
            assert_eq!(device.profiles.len(), 2);
        } else {
            let Health::Unauthorized(why) = &device.health else {
                panic!("{accepts}: {device:?}");
            };
            assert!(why.contains("user") && !why.contains("wrong"), "{why}");
        }
    }
}

/// Cameras lock accounts out: neither listings nor streams that are started again may try on.
#[test]
fn a_refused_log_in_is_not_tried_again_before_a_person_says_so() {
    let mut peer = camera(&["--password", "other"]);
    let rig = Rig::new(source(&peer.address()));
    rig.wait(|device| matches!(device.health, Health::Unauthorized(_)));
    let tries = |told: &[_]| {
        let logins = logins(told, "GetProfiles");
        logins.iter().filter(|login| *login != "none").count()
    };
    assert_eq!(tries(&peer.told()), 1);
    let config = StreamConfig::new(yard());
    for _ in 0..3 {
        rig.backend.discover().unwrap();
        let fault = rig.backend.source(&yard(), &config).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Unauthorized);
        assert!(!fault.to_string().contains("s3cret"));
    }
    assert_eq!(tries(&peer.told()), 0);
    // The camera's password is corrected, and the stream is reset.
    peer.change(&json!({"password": "s3cret"})).unwrap();
    rig.backend.reset(&yard()).unwrap();
    assert!(rig.backend.source(&yard(), &config).is_ok());
    assert_eq!(tries(&peer.told()), 1);
    assert_eq!(rig.device().health, Health::Ready);
}

#[test]
fn a_corrected_configuration_is_tried_at_once() {
    let peer = camera(&["--password", "other"]);
    let rig = Rig::new(source(&peer.address()));
    rig.wait(|device| matches!(device.health, Health::Unauthorized(_)));
    rig.configure(with(&peer.address(), Some("other"), false));
    rig.wait(|device| device.health == Health::Ready);
}

#[test]
fn a_clock_that_is_off_does_not_matter() {
    for (skew, options) in [
        ("7200", &[][..]),
        ("-86400000", &[]),
        // It tells its time to nobody; the header of its refusal does.
        ("7200", &["--time-wants-login"]),
        ("-7200", &["--time-wants-login", "--accepts", "digest,http"]),
    ] {
        let skew = format!("--skew={skew}");
        let peer = camera(&[&[skew.as_str()], options].concat());
        let rig = Rig::new(source(&peer.address()));
        let device = rig.asked();
        assert_eq!(device.health, Health::Ready, "{skew} {options:?}");
        // Right the first time.
        let seen = logins(&peer.told(), "GetProfiles");
        assert_eq!(seen.len(), 2, "{seen:?}");
    }
}

#[test]
fn a_clock_that_is_set_later_is_read_again() {
    let mut peer = camera(&[]);
    let rig = Rig::new(source(&peer.address()));
    rig.wait(|device| device.health == Health::Ready);
    peer.change(&json!({"skew": 36000})).unwrap();
    let config = StreamConfig::new(yard());
    assert!(rig.backend.source(&yard(), &config).is_ok());
    // What worked before is asked for at once.
    assert_eq!(logins(&peer.told(), "GetProfiles"), ["digest"]);
}
