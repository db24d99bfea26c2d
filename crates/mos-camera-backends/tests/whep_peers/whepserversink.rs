//! `whepserversink`: the WHEP server of GStreamer's Rust plugins. It takes no `PATCH` (501) and names its sessions itself.

use std::time::Duration;

use mos_camera_core::WhepSource;
use mos_testkit::{WhepServer, skip};

use crate::conformance::{PATIENCE, Running, next};
use crate::{LateStun, backend, config, of};

/// The server; none where it was not built, and then the test says that it was skipped.
fn server(test: &str, arguments: &[&str]) -> Option<WhepServer> {
    let server = WhepServer::whepserversink(arguments).unwrap();
    if server.is_none() {
        let why = "no whepserversink: `./x test` builds it and names it in MOS_WHEPSERVERSINK";
        skip::skip(test, why).unwrap();
    }
    server
}

#[test]
fn every_codec_is_received_from_it_and_it_is_told_of_the_end() {
    let test = "every_codec_is_received_from_it_and_it_is_told_of_the_end";
    for (codec, name, depayloader) in [
        ("H264", "H.264", "rtph264depay"),
        ("VP8", "VP8", "rtpvp8depay"),
        ("H265", "H.265", "rtph265depay"),
    ] {
        let arguments = [&format!("--codec={codec}"), "--size=320x240"];
        let Some(server) = server(test, &arguments) else {
            return;
        };
        let running = Running::start(&backend(of(&server)), &config()).unwrap();
        running.first_frame();
        let mut subscriber = running.subscribe();
        for _ in 0..60 {
            let frame = next(&mut subscriber);
            let format = frame.format();
            assert_eq!((format.width, format.height), (320, 240), "{codec}");
        }
        let stats = running.pipeline.stats();
        assert_eq!(stats.session.unwrap().codec, name);
        assert_eq!(stats.chain[1], depayloader, "{:?}", stats.chain);
        assert_eq!(running.events.drain(), [], "{codec}");
        let offer = server.wait_for("offer ", PATIENCE).unwrap();
        let session = offer.split(' ').nth(1).unwrap();
        running.pipeline.stop();
        // By DELETE: without it the server would notice by ICE only, half a minute later.
        server
            .wait_for(&format!("gone {session}"), Duration::from_secs(10))
            .unwrap();
    }
}

#[test]
fn it_takes_no_late_candidates_and_gets_the_next_offer_whole() {
    let test = "it_takes_no_late_candidates_and_gets_the_next_offer_whole";
    let Some(server) = server(test, &["--codec=VP8"]) else {
        return;
    };
    let source = WhepSource {
        ice_servers: vec![LateStun::start().server()],
        ..of(&server)
    };
    let running = Running::start(&backend(source), &config()).unwrap();
    running.first_frame();
    // The candidate that came late is refused by now, or will be: the session goes on.
    let mut subscriber = running.subscribe();
    for _ in 0..30 {
        next(&mut subscriber);
    }
    running.pipeline.stop();
    running.pipeline.start();
    running.first_frame();
    let offers = server.lines().into_iter();
    let offers: Vec<_> = offers.filter(|line| line.starts_with("offer")).collect();
    assert!(offers[0].ends_with(" incomplete"), "{offers:?}");
    assert!(offers[1].ends_with(" complete"), "{offers:?}");
}

#[test]
fn it_is_found_again_after_a_restart() {
    let Some(server) = server("it_is_found_again_after_a_restart", &[]) else {
        return;
    };
    let running = Running::start(&backend(of(&server)), &config()).unwrap();
    running.first_frame();
    let port = server.port();
    server.kill().unwrap();
    // Found by the service's watchdog, or by a human: the same pipeline begins anew.
    running.pipeline.stop();
    let _server = WhepServer::whepserversink(&[&format!("--port={port}")]).unwrap();
    running.pipeline.start();
    running.first_frame();
}
