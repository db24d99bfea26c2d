//! What the tests share: pipelines whose errors are awaited as events, and pads that feed an element by hand.
#![allow(dead_code, reason = "each test uses its part")]
#![allow(
    clippy::disallowed_methods,
    reason = "the launch lines are the test's own"
)]

use std::sync::Once;
use std::sync::mpsc::Sender;
use std::time::Duration;

use gst::prelude::*;
use mos_frame::{Frame, Subscriber, SubscriberOptions};
use mos_testkit::{Events, TempBus};

/// Deadline of every wait: only a failing test reaches it.
pub const DEADLINE: Duration = Duration::from_mins(1);

/// Initializes GStreamer and the elements, once.
pub fn init() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        gst::init().unwrap();
        gstmos::plugin_register_static().unwrap();
    });
}

/// A running pipeline; stopped on drop.
pub struct Pipeline(pub gst::Pipeline);

impl Pipeline {
    /// Builds a pipeline from a launch line of the test's own.
    pub fn new(launch: &str) -> Self {
        init();
        let pipeline = gst::parse::launch(launch).unwrap();
        Self(pipeline.downcast().unwrap())
    }

    /// Builds and starts a pipeline.
    pub fn play(launch: &str) -> Self {
        let pipeline = Self::new(launch);
        pipeline.start();
        pipeline
    }

    /// Starts it; an error of an element fails the test with its text.
    pub fn start(&self) {
        let started = self.0.set_state(gst::State::Playing).is_ok();
        assert!(started, "{}", self.error());
    }

    /// The element of this name.
    pub fn element(&self, name: &str) -> gst::Element {
        self.0.by_name(name).unwrap()
    }

    /// The sink named `sink`.
    pub fn sink(&self) -> gstmos::mosframesink::MosFrameSink {
        self.element("sink").downcast().unwrap()
    }

    /// Waits for an error and gives its text, `kind` and `reason`.
    pub fn fault(&self) -> Fault {
        let message = self.message(&[gst::MessageType::Error]);
        Fault::of(&message)
    }

    /// Waits for an error and gives all that it says.
    pub fn error(&self) -> String {
        format!("{:?}", self.message(&[gst::MessageType::Error]))
    }

    /// Waits for the end of the stream; an error fails the test.
    pub fn wait_eos(&self) {
        let message = self.message(&[gst::MessageType::Eos, gst::MessageType::Error]);
        assert_eq!(message.type_(), gst::MessageType::Eos, "{message:?}");
    }

    fn message(&self, types: &[gst::MessageType]) -> gst::Message {
        let deadline = gst::ClockTime::from_nseconds(DEADLINE.as_nanos() as u64);
        self.0
            .bus()
            .unwrap()
            .timed_pop_filtered(deadline, types)
            .expect("a message within the deadline")
    }

    /// An error that was posted already, if any.
    pub fn pending_error(&self) -> Option<gst::Message> {
        self.0
            .bus()
            .unwrap()
            .pop_filtered(&[gst::MessageType::Error])
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        self.0.set_state(gst::State::Null).unwrap();
    }
}

/// What an error message says to programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub text: String,
    pub kind: String,
    pub reason: String,
    pub advice: String,
}

impl Fault {
    pub fn of(message: &gst::Message) -> Self {
        let gst::MessageView::Error(error) = message.view() else {
            panic!("no error: {message:?}")
        };
        let details = error
            .details()
            .unwrap_or_else(|| panic!("no details: {message:?}"));
        let field = |name| details.get::<String>(name).unwrap();
        Self {
            text: error.error().message().to_owned(),
            kind: field("kind"),
            reason: field("reason"),
            advice: field("advice"),
        }
    }
}

/// Subscribes to a stream of the test's bus.
pub fn subscribe(bus: &TempBus, stream: &str, window: u32, hold: u32) -> Subscriber {
    let options = SubscriberOptions {
        name: "test".into(),
        window,
        hold,
        ..SubscriberOptions::default()
    };
    Subscriber::connect(&bus.socket(stream), options).unwrap()
}

/// The next frame, within the deadline.
pub fn next(subscriber: &mut Subscriber) -> Frame {
    subscriber
        .next_timeout(DEADLINE)
        .unwrap()
        .expect("a frame within the deadline")
}

/// Collects the buffers that pass a pad.
pub fn buffers_at(pad: &gst::Pad) -> Events<gst::Buffer> {
    let (sender, events) = Events::new();
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        // The test may have stopped listening.
        let _ = info.buffer().map(|buffer| sender.send(buffer.clone()));
        gst::PadProbeReturn::Ok
    });
    events
}

/// What left an element that is fed by hand.
#[derive(Debug, Clone)]
pub enum Out {
    Event(gst::Event),
    Buffer(gst::Buffer),
}

/// Pads around one element in a pipeline, to push into it and to see what comes out.
pub struct Bench {
    pub pipeline: Pipeline,
    pub element: gst::Element,
    feed: gst::Pad,
    take: gst::Pad,
    pub out: Events<Out>,
}

impl Bench {
    /// Puts an element with the pads `sink` and `src` between two pads.
    pub fn new(launch: &str) -> Self {
        init();
        let pipeline = Pipeline(gst::Pipeline::new());
        let element = gst::parse::launch(launch).unwrap();
        pipeline.0.add(&element).unwrap();
        let (sender, out) = Events::new();
        let feed = gst::Pad::builder(gst::PadDirection::Src)
            .name("feed")
            .build();
        let take = receiving_pad(sender);
        feed.link(&element.static_pad("sink").unwrap()).unwrap();
        element.static_pad("src").unwrap().link(&take).unwrap();
        take.set_active(true).unwrap();
        feed.set_active(true).unwrap();
        pipeline.0.set_state(gst::State::Playing).unwrap();
        feed.push_event(gst::event::StreamStart::new("test"));
        Self {
            pipeline,
            element,
            feed,
            take,
            out,
        }
    }

    /// Sends caps and a segment; whether the caps were accepted.
    pub fn caps(&self, caps: &str) -> bool {
        let caps = caps.parse::<gst::Caps>().unwrap();
        self.event(gst::event::Caps::new(&caps))
            && self.event(gst::event::Segment::new(&time_segment()))
    }

    pub fn event(&self, event: gst::Event) -> bool {
        self.feed.push_event(event)
    }

    pub fn push(&self, buffer: gst::Buffer) -> Result<gst::FlowSuccess, gst::FlowError> {
        self.feed.push(buffer)
    }

    pub fn query(&self, query: &mut gst::QueryRef) -> bool {
        self.feed.peer_query(query)
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        for pad in [&self.feed, &self.take] {
            pad.set_active(false).unwrap();
        }
    }
}

fn receiving_pad(sender: Sender<Out>) -> gst::Pad {
    let events = sender.clone();
    gst::Pad::builder(gst::PadDirection::Sink)
        .name("take")
        .chain_function(move |_, _, buffer| {
            sender
                .send(Out::Buffer(buffer))
                .map_err(|_| gst::FlowError::Flushing)?;
            Ok(gst::FlowSuccess::Ok)
        })
        .event_function(move |_, _, event| events.send(Out::Event(event)).is_ok())
        .query_function(|pad, parent, query| match query.view_mut() {
            gst::QueryViewMut::AcceptCaps(query) => {
                query.set_result(true);
                true
            }
            gst::QueryViewMut::Caps(query) => {
                query.set_result(&query.filter_owned().unwrap_or_else(gst::Caps::new_any));
                true
            }
            _ => gst::Pad::query_default(pad, parent, query),
        })
        .build()
}

pub fn time_segment() -> gst::Segment {
    gst::FormattedSegment::<gst::ClockTime>::new().upcast()
}
