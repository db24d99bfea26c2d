//! A WHEP server for tests: `whepserversink` of GStreamer's Rust plugins, behind a generated video. What speaks HTTP, ICE and
//! RTP is the element's own; this program only starts it and tells what happens, a line for each event: `ready PORT`,
//! `offer SESSION CANDIDATES complete`, `connected SESSION`, `gone SESSION`. The end of standard input ends it.
//!
//! `--codec=H264|H265|VP8 --size=640x480 --fps=30 --host=127.0.0.1 --port=0 --stun=stun://HOST:PORT --turn=turn://USER:PASSWORD@HOST:PORT`

use std::error::Error;
use std::io::{self, BufRead as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use gst::prelude::*;
use gst_webrtc::{WebRTCPeerConnectionState, WebRTCSessionDescription, WebRTCSignalingState};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What the command line asks for.
struct Options {
    codec: String,
    size: (i32, i32),
    fps: i32,
    host: String,
    port: u16,
    stun: Option<String>,
    turn: Vec<String>,
}

impl Options {
    fn of(arguments: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self {
            codec: "H264".to_owned(),
            size: (640, 480),
            fps: 30,
            host: "127.0.0.1".to_owned(),
            port: 0,
            stun: None,
            turn: Vec::new(),
        };
        for argument in arguments {
            let (name, value) = argument
                .split_once('=')
                .ok_or("every option is NAME=VALUE")?;
            match name {
                "--codec" => value.clone_into(&mut options.codec),
                "--size" => options.size = size(value)?,
                "--fps" => options.fps = value.parse()?,
                "--host" => value.clone_into(&mut options.host),
                "--port" => options.port = value.parse()?,
                "--stun" => options.stun = Some(value.to_owned()),
                "--turn" => options.turn.push(value.to_owned()),
                other => return Err(format!("no option {other}").into()),
            }
        }
        Ok(options)
    }
}

fn size(text: &str) -> Result<(i32, i32)> {
    let (width, height) = text.split_once('x').ok_or("a size is WIDTHxHEIGHT")?;
    Ok((width.parse()?, height.parse()?))
}

fn main() -> Result<()> {
    if std::env::args().nth(1).as_deref() == Some("--version") {
        // Whether all libraries are there is all that is asked.
        println!("{}", env!("CARGO_PKG_VERSION"));
        return Ok(());
    }
    let mut options = Options::of(std::env::args().skip(1))?;
    gst::init()?;
    gstrswebrtc::plugin_register_static()?;
    if options.port == 0 {
        // The element takes no 0. Until it listens, somebody else may take the port; then it ends, and the test says so.
        let probe = TcpListener::bind((options.host.as_str(), 0))?;
        options.port = probe.local_addr()?.port();
    }
    let pipeline = pipeline(&options)?;
    pipeline.set_state(gst::State::Playing)?;
    let bus = pipeline.bus().ok_or("a pipeline has a bus")?;
    let weak = pipeline.downgrade();
    thread::spawn(move || {
        for message in bus.iter_timed(gst::ClockTime::NONE) {
            match message.view() {
                gst::MessageView::Error(error) => {
                    eprintln!("{}: {:?}", error.error(), error.debug());
                    std::process::exit(1);
                }
                gst::MessageView::Latency(_) => {
                    let latency = weak
                        .upgrade()
                        .map(|pipeline| pipeline.recalculate_latency());
                    drop(latency);
                }
                _ => {}
            }
        }
    });
    // It tells nobody when it listens.
    while TcpStream::connect((options.host.as_str(), options.port)).is_err() {
        thread::sleep(Duration::from_millis(20));
    }
    say(&format!("ready {}", options.port));
    for line in io::stdin().lock().lines() {
        line?;
    }
    pipeline.set_state(gst::State::Null)?;
    Ok(())
}

/// Whoever listened may be gone; then standard input ends, too.
fn say(line: &str) {
    let mut out = io::stdout().lock();
    let _gone = writeln!(out, "{line}").and_then(|()| out.flush());
}

fn pipeline(options: &Options) -> Result<gst::Pipeline> {
    let pipeline = gst::Pipeline::new();
    let source = gst::ElementFactory::make("videotestsrc")
        .property("is-live", true)
        .property_from_str("pattern", "ball")
        .build()?;
    let raw = gst::Caps::builder("video/x-raw")
        .field("format", "I420")
        .field("width", options.size.0)
        .field("height", options.size.1)
        .field("framerate", gst::Fraction::new(options.fps, 1))
        .build();
    let filter = gst::ElementFactory::make("capsfilter")
        .property("caps", raw)
        .build()?;
    let codec = format!("video/x-{}", options.codec.to_ascii_lowercase());
    let sink = gst::ElementFactory::make("whepserversink")
        .property("video-caps", gst::Caps::new_empty_simple(codec.as_str()))
        // By default it asks a public server.
        .property("stun-server", None::<String>)
        // It would need an element of another plugin, and has a wire without loss here.
        .property_from_str("congestion-control", "disabled")
        .build()?;
    let proxy = sink
        .dynamic_cast_ref::<gst::ChildProxy>()
        .ok_or("it has a signaller")?;
    let signaller = proxy
        .child_by_name("signaller")
        .ok_or("it has a signaller")?;
    signaller.set_property(
        "host-addr",
        format!("http://{}:{}", options.host, options.port),
    );
    // For its clients.
    signaller.set_property("stun-server", &options.stun);
    signaller.set_property("turn-servers", array(&options.turn));
    sink.connect("consumer-added", false, |values| {
        let (session, peer) = (values.get(1)?.get().ok()?, values.get(2)?.get().ok()?);
        follow(session, &peer);
        None
    });
    sink.connect("consumer-removed", false, |values| {
        say(&format!("gone {}", values.get(1)?.get::<String>().ok()?));
        None
    });
    pipeline.add_many([&source, &filter, &sink])?;
    gst::Element::link_many([&source, &filter, &sink])?;
    Ok(pipeline)
}

fn array(all: &[String]) -> gst::Array {
    gst::Array::new(all)
}

/// Tells what becomes of a session.
fn follow(session: String, peer: &gst::Element) {
    let name = session.clone();
    peer.connect_notify(Some("signaling-state"), move |peer, _| {
        let state: WebRTCSignalingState = peer.property("signaling-state");
        let offer: Option<WebRTCSessionDescription> = peer.property("pending-remote-description");
        if let (WebRTCSignalingState::HaveRemoteOffer, Some(Ok(text))) =
            (state, offer.map(|offer| offer.sdp().as_text()))
        {
            let candidates = text.matches("a=candidate:").count();
            let all = if text.contains("a=end-of-candidates") {
                "complete"
            } else {
                "incomplete"
            };
            say(&format!("offer {name} {candidates} {all}"));
        }
    });
    peer.connect_notify(Some("connection-state"), move |peer, _| {
        let state: WebRTCPeerConnectionState = peer.property("connection-state");
        if state == WebRTCPeerConnectionState::Connected {
            say(&format!("connected {session}"));
        }
    });
}
