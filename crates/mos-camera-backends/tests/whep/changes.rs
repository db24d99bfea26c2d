//! What a server changes in mid-stream: the codec, by another of the payload types that were agreed on, and the size.

use mos_camera_backends::PipelineEvent;
use mos_camera_core::Fault;

use crate::conformance::{Running, next};
use crate::rig::{detail, facts, of, server, streams};

/// What the pipeline could not get over by itself.
fn faults(running: &Running) -> Vec<Fault> {
    let events = running.events.drain().into_iter();
    let faults = events.filter_map(|event| match event {
        PipelineEvent::Fault(fault) => Some(fault),
        PipelineEvent::FirstFrame | PipelineEvent::Eos => None,
    });
    faults.collect()
}

#[test]
fn another_codec_of_those_that_were_agreed_on_is_followed_there_and_back() {
    let test = "another_codec_of_those_that_were_agreed_on_is_followed_there_and_back";
    for (first, second) in [("H264", "VP8"), ("VP8", "H264")] {
        let arguments = [
            format!("--codec={first}"),
            format!("--switch-to={second}"),
            "--switch-every=45".to_owned(),
            "--times".to_owned(),
        ];
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let Some(server) = server(test, &arguments) else {
            return;
        };
        let running = streams(of(&server));
        let mut subscriber = running.subscribe();
        let mut codecs = Vec::new();
        let mut numbers = Vec::new();
        // There, back, and there again: three exchanges, and frames after the last one.
        while codecs.len() < 4 || numbers.len() < 120 {
            assert_eq!(faults(&running), [], "after {codecs:?}");
            numbers.extend(gstmos::counter::read_frame(&next(&mut subscriber)).unwrap());
            let facts = facts(&running);
            let chain = running.pipeline.stats().chain;
            let decoded = if facts.codec == "VP8" {
                "rtpvp8depay"
            } else {
                "rtph264depay"
            };
            if codecs.last() != Some(&facts.codec) && chain.iter().any(|name| name == decoded) {
                codecs.push(facts.codec);
            }
            assert!(numbers.len() < 900, "only {codecs:?}");
        }
        assert!(
            codecs.windows(2).all(|pair| pair[0] != pair[1]),
            "{codecs:?}"
        );
        assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
        assert!(detail(&facts(&running), "negotiated").contains(", "));
    }
}

#[test]
fn another_size_is_another_format_of_the_same_session() {
    let test = "another_size_is_another_format_of_the_same_session";
    let arguments = ["--codec=H264", "--resize-to=320x240", "--resize-after=60"];
    let Some(server) = server(test, &arguments) else {
        return;
    };
    let running = streams(of(&server));
    let mut subscriber = running.subscribe();
    let before = next(&mut subscriber).epoch();
    let after = loop {
        let frame = next(&mut subscriber);
        if frame.format().width == 320 {
            break frame.epoch();
        }
    };
    assert!(after > before, "{before} became {after}");
    assert_eq!(faults(&running), []);
    let offers = server.lines();
    let offers = offers.iter().filter(|line| line.starts_with("offer "));
    assert_eq!(offers.count(), 1, "one session");
}
