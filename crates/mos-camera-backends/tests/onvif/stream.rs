//! From an ONVIF camera's address to frames; and HTTPS.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use mos_camera_backends::{Backend, BusSettings, CapturePipeline, PipelineEvent};
use mos_camera_core::{Fingerprint, Health, OnvifSource, RtspSource, StreamConfig, Trust};
use mos_testkit::{Auth, Events, RtspServer, RtspServerOptions, TempBus};
use rcgen::{CertificateParams, KeyPair};
use sha2::{Digest as _, Sha256};

use super::rig::{Rig, camera, source, yard};

/// The camera names an address of before a router; its stream is on the host that answered, and takes the same log-in.
#[test]
fn frames_come_with_the_log_in_of_the_camera() {
    let server = RtspServer::start(&RtspServerOptions {
        auth: Auth::Digest,
        user: "admin".to_owned(),
        password: "s3cret".to_owned(),
        ..RtspServerOptions::default()
    })
    .unwrap();
    let url = server.url(0).replace("127.0.0.1", "192.0.2.77");
    let peer = camera(&["--rtsp", &url]);
    let rig = Rig::new(source(&peer.address()));
    let backend: Arc<dyn Backend> = Arc::new(rig.backend);
    let bus = TempBus::new().unwrap();
    let settings = BusSettings {
        directory: bus.dir().to_owned(),
    };
    let (sender, events) = Events::new();
    let pipeline = CapturePipeline::build(
        &backend,
        &"yard".parse().unwrap(),
        &StreamConfig::new(yard()),
        &settings,
        move |event| {
            // A test that ended early no longer listens.
            let _unheard = sender.send(event);
        },
    )
    .unwrap();
    pipeline.start();
    let first = events.wait_for("first frame", Duration::from_secs(30), |event| {
        Some(event.clone())
    });
    assert!(matches!(first.unwrap(), PipelineEvent::FirstFrame));
}

#[test]
fn a_certificate_is_believed_as_configured() {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["camera.example".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let mut pem = tempfile::NamedTempFile::new().unwrap();
    write!(pem, "{}{}", certificate.pem(), key.serialize_pem()).unwrap();
    let fingerprint = Fingerprint::new(Sha256::digest(certificate.der()).into());
    let path = pem.path().to_str().unwrap();
    // Over TLS the password itself may be sent, if the camera has proved who it is.
    for (accepts, trust, class) in [
        ("digest", Trust::Pinned(fingerprint), "Ready"),
        ("text", Trust::Pinned(fingerprint), "Ready"),
        ("digest", Trust::Anybody, "Ready"),
        ("text", Trust::Anybody, "Unauthorized"),
        ("digest", Trust::System, "Reachable"),
        (
            "digest",
            Trust::Pinned(Fingerprint::new([7; 32])),
            "Reachable",
        ),
    ] {
        let peer = camera(&["--certificate", path, "--accepts", accepts]);
        let source = source(&format!("https://{}/onvif/device_service", peer.address()));
        let rig = Rig::new(OnvifSource {
            rtsp: RtspSource {
                trust: trust.clone(),
                ..source.rtsp
            },
            ..source
        });
        let health = rig.asked().health;
        let text = format!("{health:?}");
        assert!(text.starts_with(class), "{accepts} {trust:?}: {text}");
        if let Health::Reachable(why) = health {
            assert!(why.contains("certificate"), "{why}");
        }
    }
    // A plain server on a port that is taken for one of TLS.
    let peer = camera(&[]);
    let rig = Rig::new(source(&format!("https://{}/", peer.address())));
    let Health::Reachable(why) = rig.asked().health else {
        panic!("{:?}", rig.device());
    };
    assert!(why.contains("does not speak TLS"), "{why}");
}
