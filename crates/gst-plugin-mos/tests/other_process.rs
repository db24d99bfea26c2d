//! A stock GStreamer tool in another process plays a stream with the plugin as a file.
#![cfg(feature = "development")]
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod common;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use common::{DEADLINE, Pipeline};
use mos_testkit::{TempBus, wait_until};

/// GStreamer looks at every library of a folder, so the plugin gets one of its own.
fn launch(bus: &TempBus, line: &str) -> Command {
    let plugins = bus.dir().join("plugins");
    if std::fs::create_dir(&plugins).is_ok() {
        std::os::unix::fs::symlink(
            mos_testkit::paths::plugin().unwrap(),
            plugins.join("libgstmos.so"),
        )
        .unwrap();
    }
    let mut command = Command::new("gst-launch-1.0");
    command.args(line.split_whitespace());
    command
        .env("GST_PLUGIN_PATH", &plugins)
        .env("GST_REGISTRY", bus.dir().join("registry"))
        .env("MOS_FRAME_DIR", bus.dir());
    command
}

#[test]
fn gst_launch_receives_converts_and_ends_by_itself() {
    let bus = TempBus::new().unwrap();
    let pipeline = Pipeline::play(&format!(
        "videotestsrc is-live=true ! video/x-raw,format=NV12,width=320,height=240,framerate=60/1 \
         ! mosnv12contract ! mosframesink name=sink stream=front directory={}",
        bus.dir().display()
    ));
    let mut player = launch(&bus, "mosframesrc stream=front num-buffers=60 ! videoconvert ! video/x-raw,format=RGB ! fakesink")
        .spawn()
        .unwrap();
    let pid = player.id().cast_signed();
    let seen = wait_until("the player among the subscribers", DEADLINE, || {
        pipeline
            .sink()
            .stats()?
            .bus
            .subscribers
            .into_iter()
            .find(|s| s.pid == pid && s.counters.claimed > 0)
    })
    .unwrap();
    assert!(seen.name.starts_with("mosframesrc"), "{}", seen.name);
    let status = wait_until("the player's end", DEADLINE, || player.try_wait().unwrap()).unwrap();
    assert!(status.success(), "{status}");
    wait_until("the player's leases to end", DEADLINE, || {
        pipeline
            .sink()
            .stats()?
            .bus
            .subscribers
            .is_empty()
            .then_some(())
    })
    .unwrap();
    assert!(pipeline.pending_error().is_none());
}

#[test]
fn gst_launch_waits_for_its_stream() {
    let bus = TempBus::new().unwrap();
    let mut player = launch(&bus, "mosframesrc stream=front num-buffers=10 ! fakesink")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(player.stdout.take().unwrap()).lines();
    let waits =
        |line: &std::io::Result<String>| line.as_ref().unwrap().contains("waiting for the stream");
    assert!(said.any(|line| waits(&line)), "no word of the wait");
    let _pipeline = Pipeline::play(&format!(
        "videotestsrc is-live=true ! video/x-raw,format=NV12,width=320,height=240,framerate=60/1 \
         ! mosnv12contract ! mosframesink stream=front directory={}",
        bus.dir().display()
    ));
    let status = wait_until("the player's end", DEADLINE, || player.try_wait().unwrap()).unwrap();
    assert!(status.success(), "{status}");
}

#[test]
fn a_stream_that_nobody_publishes_ends_with_a_clear_message() {
    let bus = TempBus::new().unwrap();
    let output = launch(
        &bus,
        "mosframesrc stream=nowhere connect-timeout=100000000 ! fakesink",
    )
    .output()
    .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(
        text.contains("nowhere.sock") && text.contains("no such stream"),
        "{text}"
    );
}
