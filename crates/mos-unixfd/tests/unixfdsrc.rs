//! GStreamer's own `unixfdsrc`, in `gst-launch-1.0`, as the client: the peer that the endpoint is for.
//!
//! Needs GStreamer 1.24 with gst-plugins-bad, such as that of the camera lab.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]
#![allow(
    clippy::disallowed_methods,
    reason = "the launch lines are the test's own"
)]

mod common;

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Once;
use std::time::Duration;

use common::{DEADLINE, Place, wait_for};
use gst::prelude::*;
use mos_frame::{Subscriber, SubscriberOptions};
use mos_testkit::wait_until;
use mos_unixfd::{DmabufCaps, Endpoint, Options};
use rustix::process::{Pid, Signal, kill_process};

const WIDTH: usize = 320;
const HEIGHT: usize = 240;
/// One of the sizes that a vivid camera has.
const VIVID_HEIGHT: usize = 180;

/// Slow and with a wide window: this must hold on a machine that is emulated.
const SOURCE: &str = "videotestsrc is-live=true ! video/x-raw,format=NV12,width=320,height=240,framerate=10/1 \
    ! mostestcounter ! mosnv12contract fallback=memfd min-buffers=52";
/// Buffers for three clients with a wide window.
const BUDGET: &str = "expected-subscribers=4 hold=10 window=8";

fn init() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        gst::init().unwrap();
        gstmos::plugin_register_static().unwrap();
    });
}

/// Whether the machine has what the test needs; else it is noted as skipped, or fails where it must not be.
fn can_run(test: &str, what: &str, there: bool) -> bool {
    if !there {
        assert!(
            std::env::var_os("MOS_UNIXFD_REQUIRED").is_none(),
            "no {what}"
        );
        mos_testkit::skip::skip(test, &format!("no {what}")).unwrap();
    }
    there
}

fn has_unixfdsrc() -> bool {
    init();
    gst::Registry::get().lookup_feature("unixfdsrc").is_some()
}

/// A pipeline that publishes frames with a counter in the picture; stopped on drop.
struct Producer(gst::Pipeline);

impl Producer {
    fn start(place: &Place, source: &str, budget: &str) -> Self {
        let launch = format!(
            "{source} ! mosframesink name=sink stream=front directory={} {budget}",
            place.stream().parent().unwrap().display()
        );
        let pipeline = gst::parse::launch(&launch)
            .unwrap()
            .downcast::<gst::Pipeline>();
        let pipeline = pipeline.unwrap();
        assert!(
            pipeline.set_state(gst::State::Playing).is_ok(),
            "{}",
            fault(&pipeline)
        );
        Self(pipeline)
    }

    fn is_well(&self) -> bool {
        let bus = self.0.bus().unwrap();
        bus.pop_filtered(&[gst::MessageType::Error]).is_none()
    }
}

fn fault(pipeline: &gst::Pipeline) -> String {
    let bus = pipeline.bus().unwrap();
    format!("{:?}", bus.pop_filtered(&[gst::MessageType::Error]))
}

impl Drop for Producer {
    fn drop(&mut self) {
        self.0.set_state(gst::State::Null).unwrap();
    }
}

/// A `gst-launch-1.0` that reads the endpoint and writes what it got to its output.
struct Player {
    process: Child,
    output: BufReader<ChildStdout>,
    height: usize,
}

impl Player {
    fn start(socket: &Path, frames: u32, rest: &str) -> Self {
        let line = format!(
            "-q unixfdsrc socket-path={} num-buffers={frames} ! {rest}",
            socket.display()
        );
        let mut command = Command::new("gst-launch-1.0");
        command.args(line.split_whitespace()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        Self {
            process,
            output,
            height: HEIGHT,
        }
    }

    /// The counter in the next picture; `None` at the end of the stream.
    fn number(&mut self) -> Option<u32> {
        let mut picture = vec![0; WIDTH * self.height * 3 / 2];
        if self.output.fill_buf().unwrap().is_empty() {
            return None;
        }
        self.output.read_exact(&mut picture).unwrap();
        let number = gstmos::counter::read(&picture, WIDTH, WIDTH, self.height);
        Some(number.expect("a counter in the picture"))
    }

    /// What one that was cut off still writes: its frames were taken from it, so their pixels are anybody's, and it may end
    /// in the middle of a picture.
    fn read_to_the_end(&mut self) {
        std::io::copy(&mut self.output, &mut std::io::sink()).unwrap();
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }

    fn wait(&mut self) -> std::process::ExitStatus {
        wait_until("the player's end", DEADLINE, || {
            self.process.try_wait().unwrap()
        })
        .unwrap()
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn options(place: &Place) -> Options {
    Options {
        window: 8,
        hold: 8,
        linger: Duration::from_secs(30),
        ..place.options()
    }
}

fn assert_no_gap(numbers: &[u32]) {
    let follow = numbers.windows(2).all(|pair| pair[1] == pair[0] + 1);
    assert!(follow, "{numbers:?}");
}

#[test]
fn frames_arrive_in_order_with_the_right_pixels() {
    if !can_run("frames_arrive_in_order", "unixfdsrc", has_unixfdsrc()) {
        return;
    }
    let place = Place::new();
    let endpoint = Endpoint::bind(&options(&place)).unwrap();
    let producer = Producer::start(&place, SOURCE, BUDGET);
    let mut player = Player::start(&place.socket(), 30, "fdsink fd=1");
    let numbers: Vec<_> = std::iter::from_fn(|| player.number()).collect();
    assert_eq!(numbers.len(), 30);
    assert_no_gap(&numbers);
    assert!(player.wait().success());
    wait_for("its end", &endpoint, |stats| stats.clients.is_empty());
    assert_eq!((endpoint.stats().cut, producer.is_well()), (0, true));
}

#[test]
fn its_time_is_the_cameras() {
    if !can_run("its_time_is_the_cameras", "unixfdsrc", has_unixfdsrc()) {
        return;
    }
    let place = Place::new();
    let _endpoint = Endpoint::bind(&options(&place)).unwrap();
    let _producer = Producer::start(&place, SOURCE, BUDGET);
    // A pipeline of our own, to read its buffers' times: running time of the display is that of capture and one frame.
    let launch = format!(
        "unixfdsrc socket-path={} num-buffers=10 ! identity name=probe ! fakesink sync=true",
        place.socket().display()
    );
    let pipeline = gst::parse::launch(&launch)
        .unwrap()
        .downcast::<gst::Pipeline>();
    let pipeline = Producer(pipeline.unwrap());
    let (sender, times) = std::sync::mpsc::channel();
    let probe = pipeline.0.by_name("probe").unwrap();
    let clocked = probe.clone();
    probe
        .static_pad("sink")
        .unwrap()
        .add_probe(gst::PadProbeType::BUFFER, move |_, info| {
            let now = clocked.current_running_time();
            let pts = info.buffer().and_then(|buffer| buffer.pts());
            // The test may have stopped listening.
            let _ = sender.send((now, pts));
            gst::PadProbeReturn::Ok
        });
    pipeline.0.set_state(gst::State::Playing).unwrap();
    let mut last = gst::ClockTime::ZERO;
    for nth in 0..10 {
        let (now, pts) = times.recv_timeout(DEADLINE).unwrap();
        let (now, pts) = (now.unwrap(), pts.unwrap());
        // The first frames may be older than the pipeline, which clips their time to its start.
        assert!(nth < 2 || pts > last, "{last} then {pts}");
        // Never later than a frame's time after the present: the capture was before now.
        assert!(
            pts <= now + gst::ClockTime::from_mseconds(100),
            "{pts} at {now}"
        );
        last = pts;
    }
}

#[test]
fn a_stopped_player_disturbs_nobody() {
    if !can_run(
        "a_stopped_player_disturbs_nobody",
        "unixfdsrc",
        has_unixfdsrc(),
    ) {
        return;
    }
    let place = Place::new();
    let endpoint = Endpoint::bind(&Options {
        release_timeout: Duration::from_secs(2),
        ..options(&place)
    })
    .unwrap();
    let producer = Producer::start(&place, SOURCE, BUDGET);
    let mut stopped = Player::start(&place.socket(), 1000, "fdsink fd=1");
    stopped.number().expect("a first frame");
    let mut healthy = Player::start(&place.socket(), 60, "fdsink fd=1");
    let mut numbers = vec![healthy.number().expect("a first frame")];
    stopped.signal(Signal::STOP);
    let wide = SubscriberOptions {
        window: 8,
        ..SubscriberOptions::default()
    };
    let mut native = Subscriber::connect(&place.stream(), wide).unwrap();
    let mut seen = 0;
    while let Some(number) = healthy.number() {
        numbers.push(number);
        while let Some(frame) = native.try_next().unwrap() {
            drop(frame);
            seen += 1;
        }
    }
    assert_eq!(numbers.len(), 60);
    assert_no_gap(&numbers);
    assert!(seen >= 50, "{seen}");
    assert_eq!(native.stats().missed, 0);
    assert!(healthy.wait().success());
    // Six seconds with all its frames and no word: it is cut off, and knows when it wakes.
    wait_for("the cut", &endpoint, |stats| {
        stats.cut == 1 && stats.clients.is_empty()
    });
    stopped.signal(Signal::CONT);
    stopped.read_to_the_end();
    assert!(!stopped.wait().success());
    assert!(producer.is_well());
}

/// The node of a vivid camera.
fn vivid() -> Option<String> {
    let nodes = std::fs::read_dir("/sys/class/video4linux").ok()?;
    nodes.filter_map(Result::ok).find_map(|node| {
        let name = std::fs::read_to_string(node.path().join("name")).ok()?;
        let path = format!("/dev/{}", node.file_name().to_str()?);
        name.contains("vid-cap").then_some(path)
    })
}

#[test]
fn a_drivers_dma_bufs_arrive_under_either_name() {
    let camera = vivid();
    let there = has_unixfdsrc() && camera.is_some();
    if !can_run(
        "a_drivers_dma_bufs_arrive",
        "unixfdsrc or no vivid camera",
        there,
    ) {
        return;
    }
    let place = Place::new();
    let source = format!(
        "v4l2src device={} io-mode=dmabuf ! video/x-raw,format=NV12,width={WIDTH},height={VIVID_HEIGHT} \
         ! mostestcounter ! mosnv12contract",
        camera.unwrap_or_default()
    );
    let producer = Producer::start(&place, &source, "expected-subscribers=1 hold=2");
    let first = place.native().next_timeout(DEADLINE).unwrap();
    assert!(first.is_some(), "{}", fault(&producer.0));
    drop(first);
    // A driver has few buffers.
    let small = Options {
        window: 2,
        hold: 2,
        ..options(&place)
    };
    let drm =
        "video/x-raw(memory:DMABuf),format=DMA_DRM,drm-format=NV12,width=320,height=180 ! fakesink";
    {
        let _endpoint = Endpoint::bind(&small).unwrap();
        assert!(Player::start(&place.socket(), 10, drm).wait().success());
    }
    let _endpoint = Endpoint::bind(&Options {
        dmabuf_caps: DmabufCaps::Plain,
        ..small
    })
    .unwrap();
    let plain = "video/x-raw,format=NV12 ! fdsink fd=1";
    let mut player = Player::start(&place.socket(), 10, plain);
    player.height = VIVID_HEIGHT;
    let numbers: Vec<_> = std::iter::from_fn(|| player.number()).collect();
    assert_eq!(numbers.len(), 10);
    assert!(
        numbers.windows(2).all(|pair| pair[1] > pair[0]),
        "{numbers:?}"
    );
    assert!(player.wait().success());
}
