//! Cameras with several video tracks.

use mos_camera_core::{FaultKind, RtspSource};
use mos_testkit::{Codec, RtspServer, RtspServerOptions};

use crate::rig::{backend, facts, fails, streams};

#[test]
fn a_track_is_taken_by_number_and_the_others_are_told() {
    let options = RtspServerOptions {
        codec: Codec::Jpeg,
        more_tracks: vec![Codec::H264, Codec::H264],
        audio: true,
        ..RtspServerOptions::default()
    };
    let server = RtspServer::start(&options).unwrap();
    let of = |track| RtspSource {
        track,
        ..RtspSource::new(server.url(0))
    };
    for (track, size, codec, told) in [
        // H.264 is preferred among what costs the same.
        (None, (320, 240), "H.264", "1 of 3"),
        (Some(0), (640, 480), "Motion JPEG", "0 of 3"),
        (Some(2), (212, 160), "H.264", "2 of 3"),
    ] {
        let backend = backend(of(track));
        assert_eq!(backend.discover().unwrap()[0].model, "RTSP camera");
        let running = streams(&backend);
        let (stats, facts) = (running.pipeline.stats(), facts(&running));
        assert_eq!(stats.picture.map(|p| (p.width, p.height)), Some(size));
        assert_eq!(facts.codec, codec);
        assert!(
            facts
                .details
                .contains(&("track".to_owned(), told.to_owned())),
            "{facts:?}"
        );
        assert_eq!(
            backend.discover().unwrap()[0].model,
            "RTSP camera (video JPEG, video H264, video H264, audio PCMA)"
        );
    }
    let fault = fails(&backend(of(Some(3))));
    assert_eq!(fault.kind, FaultKind::Unsupported, "{fault}");
    assert!(fault.message.contains("no video track 3"), "{fault}");
}
