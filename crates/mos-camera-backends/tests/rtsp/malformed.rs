//! Servers that send what no server should: a typed fault of that camera, and its neighbour streams on.

use std::sync::Arc;
use std::time::Duration;

use mos_camera_backends::{Backend, RtspBackend};
use mos_camera_core::{FaultKind, RtspSource, StreamConfig};
use mos_testkit::scripted_rtsp::{SDP, ok};
use mos_testkit::{RtspServer, Script, ScriptedRtsp, wait_until};

use crate::conformance::{PATIENCE, Running};

fn describe(sdp: &str) -> Script {
    Script {
        describe: ok("Content-Type: application/sdp", sdp),
        ..Script::default()
    }
}

fn describe_raw(answer: &[u8]) -> Script {
    Script {
        describe: answer.to_vec(),
        ..Script::default()
    }
}

fn setup(headers: &str) -> Script {
    Script {
        setup: ok(headers, ""),
        ..Script::default()
    }
}

/// What follows the answer to PLAY.
fn media(packets: &[&[u8]]) -> Script {
    Script {
        play: [&ok("Session: 1", ""), &packets.concat()[..]].concat(),
        ..Script::default()
    }
}

/// An interleaved packet (RFC 2326, 10.12).
fn interleaved(channel: u8, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u16).to_be_bytes();
    [&[b'$', channel], &length[..], payload].concat()
}

/// An RTP packet (RFC 3550, 5.1).
fn rtp(payload_type: u8, sequence: u16, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, 0x80 | payload_type];
    packet.extend(sequence.to_be_bytes());
    packet.extend((u32::from(sequence) * 3000).to_be_bytes());
    packet.extend(7u32.to_be_bytes());
    packet.extend(payload);
    packet
}

fn scripts() -> Vec<(&'static str, Script)> {
    let long = "x".repeat(10_000);
    let junk: Vec<u8> = (0..5000u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let broken_sps = SDP.replace("mode=1", "mode=1;sprop-parameter-sets=Z0IAAAAA,AAAA");
    let packets = |payload_type: u8, payload: &[u8]| -> Vec<u8> {
        (0..50)
            .flat_map(|n| interleaved(0, &rtp(payload_type, n, payload)))
            .collect()
    };
    let junk_header = [
        b"RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\n",
        &junk[..],
        b"\r\n\r\n",
    ]
    .concat();
    vec![
        ("a description without media", describe("v=0\r\ns=x\r\n")),
        ("an empty description", describe("\r\n")),
        ("a description that is none", describe(&long)),
        ("a description of binary junk", describe_raw(&[&b"RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\nContent-Type: application/sdp\r\nContent-Length: 5000\r\n\r\n"[..], &junk].concat())),
        ("media without formats", describe("v=0\r\nm=video 0 RTP/AVP\r\n")),
        ("media with odd numbers", describe("v=0\r\nm=video 99999999999 RTP/AVP 999 -1 x\r\na=rtpmap:999 H264/0\r\n")),
        ("a thousand tracks", describe(&format!("v=0\r\n{}", "m=video 0 RTP/AVP 96\r\na=rtpmap:96 X/90000\r\n".repeat(1000)))),
        ("a control that is no URL", describe(&SDP.replace("track0", &format!("://{long}")))),
        ("broken parameter sets", describe(&broken_sps)),
        ("a header of 10,000 bytes", describe_raw(&ok(&format!("X-Long: {long}"), SDP))),
        ("a reason of 10,000 bytes", describe_raw(format!("RTSP/1.0 404 {long}\r\nCSeq: {{cseq}}\r\n\r\n").as_bytes())),
        ("a reason that is no text", describe_raw(b"RTSP/1.0 404 \xff\xfe\x80\r\nCSeq: {cseq}\r\n\r\n")),
        ("a realm that is no text", describe_raw(b"RTSP/1.0 401 x\r\nCSeq: {cseq}\r\nWWW-Authenticate: Digest realm=\"\xff\xfe\", nonce=\"\xff\"\r\n\r\n")),
        ("headers of binary junk", describe_raw(&junk_header)),
        ("an answer of binary junk", describe_raw(&junk)),
        ("zeros", describe_raw(&[0; 100_000])),
        ("a status that is no number", describe_raw(b"RTSP/1.0 abc OK\r\n\r\n")),
        ("a negative length", describe_raw(b"RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\nContent-Length: -5\r\n\r\n")),
        ("a length of four gigabytes", describe_raw(b"RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\nContent-Type: application/sdp\r\nContent-Length: 4294967290\r\n\r\nv=0\r\n")),
        ("a body that is shorter than it says", describe_raw(b"RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\nContent-Type: application/sdp\r\nContent-Length: 500\r\n\r\nv=0\r\n")),
        ("another content type", describe_raw(&ok("Content-Type: text/html", "<html>"))),
        ("a redirection to nowhere", describe_raw(b"RTSP/1.0 302 Moved\r\nCSeq: {cseq}\r\nLocation: \r\n\r\n")),
        (
            "a redirection to itself",
            describe_raw(b"RTSP/1.0 302 Moved\r\nCSeq: {cseq}\r\nLocation: rtsp://127.0.0.1:{port}/cam\r\n\r\n"),
        ),
        ("no transport in SETUP's answer", setup("Session: 1")),
        ("a transport of another world", setup("Transport: RTP/FOO/SCTP;teleport\r\nSession: 1")),
        ("channels out of range", setup("Transport: RTP/AVP/TCP;interleaved=900-901\r\nSession: 1")),
        ("a session of 10,000 bytes", setup(&format!("Transport: RTP/AVP/TCP;interleaved=0-1\r\nSession: {long}"))),
        ("a session time-out of nothing", setup("Transport: RTP/AVP/TCP;interleaved=0-1\r\nSession: 1;timeout=-9")),
        ("channels that were never set up", media(&[&interleaved(9, &junk), &interleaved(200, &junk)])),
        ("a payload type that was not described", media(&[&packets(77, &junk[..1000])])),
        ("packets that are too short", media(&[&interleaved(0, &[]), &interleaved(0, &[0x80]), &interleaved(0, &junk[..11])])),
        ("packets of the longest length", media(&[&interleaved(0, &[0x55; 65_535]), &interleaved(1, &[0xaa; 65_535])])),
        ("H.264 of junk", media(&[&packets(96, &junk[..1200])])),
        ("fragments that begin nowhere", media(&[&packets(96, &[0x7c, 0x05, 1, 2, 3])])),
        ("aggregates with wrong lengths", media(&[&packets(96, &[0x78, 0xff, 0xff, 1, 2, 0, 0])])),
        ("parameter sets of junk", media(&[&packets(96, &[0x67, 0xff, 0xff, 0xff, 0xff, 0xff]), &packets(96, &[0x65, 0x88, 0x80, 0x10])])),
        ("control packets of junk", media(&[&interleaved(1, &junk[..500]), &interleaved(1, &[0x80, 200, 0xff, 0xff, 1])])),
        ("junk between packets", media(&[&junk, &packets(96, &junk[..100])])),
    ]
}

/// Whatever comes: no crash, a fault with words, and the neighbour loses nothing.
#[test]
fn malformed_servers_end_in_faults_of_their_own() {
    mos_camera_backends::init().unwrap();
    let healthy = RtspServer::start_default().unwrap();
    let neighbour = {
        let cameras = vec![("good".to_owned(), RtspSource::new(healthy.url(0)))];
        let backend: Arc<dyn Backend> = Arc::new(RtspBackend::new(cameras));
        let running =
            Running::start(&backend, &StreamConfig::new("rtsp:good".parse().unwrap())).unwrap();
        running.first_frame();
        running
    };
    let scripts = scripts();
    let servers: Vec<_> = scripts
        .iter()
        .map(|(_, script)| ScriptedRtsp::start(script.clone()).unwrap())
        .collect();
    let camera = |n: usize, server: &ScriptedRtsp| {
        let source = RtspSource {
            timeout: Duration::from_secs(1),
            ..RtspSource::new(server.url())
        };
        (format!("bad{n}"), source)
    };
    let cameras = servers
        .iter()
        .enumerate()
        .map(|(n, server)| camera(n, server));
    let backend: Arc<dyn Backend> = Arc::new(RtspBackend::new(cameras.collect()));
    let runs: Vec<_> = (0..scripts.len())
        .map(|n| {
            let config = StreamConfig::new(format!("rtsp:bad{n}").parse().unwrap());
            Running::start(&backend, &config).unwrap()
        })
        .collect();
    for ((title, _), running) in scripts.iter().zip(&runs) {
        // Packets that make no picture are no error; the stream's watchdog is for that.
        let plays =
            title.contains("packets") || title.contains("junk between") || MEDIA.contains(title);
        if plays {
            assert_eq!(running.pipeline.stats().frames, 0, "{title}");
            continue;
        }
        let fault = running.fault();
        assert!(
            !fault.message.is_empty() && !fault.hint.is_empty(),
            "{title}: {fault}"
        );
        assert!(
            fault.message.len() < 2000,
            "{title}: {} bytes",
            fault.message.len()
        );
        assert!(fault.message.contains("rtsp:bad"), "{title}: {fault}");
        assert_ne!(fault.kind, FaultKind::Contract, "{title}: {fault}");
    }
    let before = neighbour.pipeline.stats().frames;
    wait_until("frames of the neighbour", PATIENCE, || {
        (neighbour.pipeline.stats().frames > before + 30).then_some(())
    })
    .unwrap();
    assert_eq!(neighbour.events.drain(), []);
}

/// Scripts whose session is agreed on, so that there is media, however bad.
const MEDIA: &[&str] = &[
    "a payload type that was not described",
    "H.264 of junk",
    "fragments that begin nowhere",
    "aggregates with wrong lengths",
    "parameter sets of junk",
];
