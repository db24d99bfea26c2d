//! H.264, H.265 and Motion JPEG, and going from one to another.

use mos_camera_core::RtspSource;
use mos_testkit::{Codec, RtspServer, RtspServerOptions};

use crate::rig::{backend, facts, numbers, streams};

fn of(codec: Codec, port: u16) -> RtspServerOptions {
    RtspServerOptions {
        codec,
        port,
        counter: true,
        fps: 10,
        ..RtspServerOptions::default()
    }
}

const CODECS: [(Codec, &str, &str); 3] = [
    (Codec::H264, "H.264", "avdec_h264"),
    (Codec::H265, "H.265", "avdec_h265"),
    (Codec::Jpeg, "Motion JPEG", "jpegdec"),
];

#[test]
fn each_codec_arrives_picture_by_picture() {
    for (codec, name, decoder) in CODECS {
        let server = RtspServer::start(&of(codec, 0)).unwrap();
        let running = streams(&backend(RtspSource::new(server.url(0))));
        let seen = numbers(&running, 10);
        assert!(
            seen.len() == 10 && seen.windows(2).all(|pair| pair[1] > pair[0]),
            "{name}: {seen:?}"
        );
        assert_eq!(facts(&running).codec, name);
        let stats = running.pipeline.stats();
        assert!(
            stats.chain.iter().any(|element| element == decoder),
            "{:?}",
            stats.chain
        );
        assert_eq!((stats.corrupt, stats.late), (0, 0), "{name}");
    }
}

/// A new pipeline after each change, as the service does it, and the same one started again.
#[test]
fn another_codec_at_the_next_session_is_decoded_by_itself() {
    let first = RtspServer::start(&of(Codec::H264, 0)).unwrap();
    let (url, port) = (first.url(0), first.port());
    let backend = backend(RtspSource::new(url));
    let running = streams(&backend);
    assert_eq!(facts(&running).codec, "H.264");
    first.kill().unwrap();
    running.fault();
    for (again, (codec, name, _)) in CODECS.into_iter().skip(1).enumerate() {
        let server = RtspServer::start(&of(codec, port)).unwrap();
        let fresh;
        let running = if again == 0 {
            running.pipeline.stop();
            running.pipeline.start();
            running.first_frame();
            &running
        } else {
            fresh = streams(&backend);
            &fresh
        };
        assert_eq!(numbers(running, 3).len(), 3, "{name}");
        assert_eq!(facts(running).codec, name);
        running.pipeline.stop();
        server.kill().unwrap();
    }
}
