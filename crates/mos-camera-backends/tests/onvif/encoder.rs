//! Which profile a stream gets, and setting its encoder.

use mos_camera_backends::Backend as _;
use mos_camera_core::{FaultKind, Framerate, Health, OnvifSource, StreamConfig};

use super::rig::{Rig, camera, source, yard};

fn wish(size: (u32, u32), rate: u32, set_encoder: bool) -> StreamConfig {
    StreamConfig {
        size: Some(size),
        framerate: Framerate::new(rate, 1),
        set_encoder,
        ..StreamConfig::new(yard())
    }
}

#[test]
fn a_stream_gets_the_profile_that_fits() {
    for options in [&[][..], &["--media2"]] {
        let peer = camera(options);
        let rig = Rig::new(source(&peer.address()));
        rig.wait(|device| device.health == Health::Ready);
        let named = |name: &str| StreamConfig {
            profile: Some(name.to_owned()),
            ..StreamConfig::new(yard())
        };
        for (config, token) in [
            (StreamConfig::new(yard()), "main"),
            (wish((320, 180), 15, false), "sub"),
            (named("sub"), "sub"),
            (named("MainStream"), "main"),
        ] {
            let source = rig.backend.source(&yard(), &config).unwrap();
            assert_eq!(peer.wait_for("stream").unwrap()["stream"], token);
            let details = source.session.facts().unwrap().details;
            let told = |about: &str| details.iter().find(|(a, _)| a == about).unwrap().1.clone();
            assert!(told("profile").starts_with(token), "{details:?}");
            assert_eq!(told("ONVIF log-in"), "WS-Security digest");
            assert!(
                rig.backend
                    .explain(&yard(), &config)
                    .unwrap()
                    .chosen
                    .is_some()
            );
        }
        let fault = rig.backend.source(&yard(), &named("nope")).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Unsupported);
        assert!(
            fault
                .message
                .contains("main (MainStream): video/x-h264 640x360 at 15 fps"),
            "{fault}"
        );
        // What can be told without the camera is refused when the stream is configured.
        assert!(rig.backend.explain(&yard(), &named("nope")).is_err());
    }
}

#[test]
fn the_profile_of_the_table_goes_for_streams_that_name_none() {
    let peer = camera(&[]);
    let rig = Rig::new(OnvifSource {
        profile: Some("sub".to_owned()),
        ..source(&peer.address())
    });
    rig.backend
        .source(&yard(), &StreamConfig::new(yard()))
        .unwrap();
    assert_eq!(peer.wait_for("stream").unwrap()["stream"], "sub");
}

#[test]
fn an_encoder_is_set_only_if_asked_for_and_only_to_what_it_can() {
    for options in [&[][..], &["--media2"]] {
        let peer = camera(options);
        let rig = Rig::new(source(&peer.address()));
        rig.wait(|device| device.health == Health::Ready);
        let refused = |config| {
            let fault = rig.backend.source(&yard(), &config).unwrap_err();
            assert_eq!(fault.kind, FaultKind::Unsupported);
            assert_eq!(rig.backend.explain(&yard(), &config).unwrap_err(), fault);
            fault
        };
        let fault = refused(wish((480, 270), 10, false));
        assert!(fault.hint.contains("set_encoder"), "{fault}");
        let fault = refused(wish((800, 600), 10, true));
        assert!(
            fault
                .message
                .contains("can be set to main: video/x-h264 640x360, 320x180, 480x270"),
            "{fault}"
        );
        assert!(peer.told().iter().all(|value| value.get("set").is_none()));
        rig.backend
            .source(&yard(), &wish((480, 270), 10, true))
            .unwrap();
        let set = peer.wait_for("set").unwrap();
        assert_eq!(
            (&set["set"], &set["size"][0], &set["rate"]),
            (&"main".into(), &480.into(), &10.into())
        );
        // It is so now: nothing is set again.
        rig.backend
            .source(&yard(), &wish((480, 270), 10, true))
            .unwrap();
        assert!(peer.told().iter().all(|value| value.get("set").is_none()));
    }
}
