//! What the stand-in refuses, and how it fails, as the public source of the real element does.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use gst::prelude::*;
use gstqmmfstandin::{Borrowed, Build, service};

const PATIENCE: Duration = Duration::from_mins(1);
const CAPS: &str = "video/x-raw,format=NV12,width=320,height=240,framerate=60/1";

/// One test at a time: what was refused is counted for the whole process, and the service dies for all.
static TURN: Mutex<()> = Mutex::new(());

/// `qticamsrc ! CAPS ! fakesink`.
struct Rig {
    pipeline: gst::Pipeline,
    source: gst::Element,
    sink: gst::Element,
    camera: Borrowed,
}

impl Rig {
    fn new(caps: &str) -> Self {
        gst::init().unwrap();
        gstqmmfstandin::register(Build::default()).unwrap();
        let camera = service().borrow();
        let make = |factory: &str| gst::ElementFactory::make(factory).build().unwrap();
        let (source, filter, sink) = (make("qticamsrc"), make("capsfilter"), make("fakesink"));
        source.set_property("camera", camera.camera());
        filter.set_property("caps", caps.parse::<gst::Caps>().unwrap());
        sink.set_property("sync", false);
        sink.set_property("enable-last-sample", false);
        let pipeline = gst::Pipeline::new();
        pipeline.add_many([&source, &filter, &sink]).unwrap();
        let pad = source.request_pad_simple("video_%u").unwrap();
        pad.link(&filter.static_pad("sink").unwrap()).unwrap();
        filter.link(&sink).unwrap();
        Self {
            pipeline,
            source,
            sink,
            camera,
        }
    }

    fn play(&self) {
        self.pipeline.set_state(gst::State::Playing).unwrap();
        assert!(self.frames(3), "no frames: {:?}", self.error());
    }

    /// Waits until the camera gave so many frames.
    fn frames(&self, frames: u64) -> bool {
        let enough = |all: &[gstqmmfstandin::Report]| all.iter().any(|one| one.frames >= frames);
        service().wait(self.camera.camera(), PATIENCE, enough)
    }

    /// The text of the next error.
    fn error(&self) -> String {
        let bus = self.pipeline.bus().unwrap();
        let patience = gst::ClockTime::try_from(PATIENCE).unwrap();
        let message = bus.timed_pop_filtered(patience, &[gst::MessageType::Error]);
        match message.unwrap().view() {
            gst::MessageView::Error(error) => error.error().message().to_owned(),
            _ => unreachable!("only errors were asked for"),
        }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        let _down = self.pipeline.set_state(gst::State::Null);
    }
}

fn turn() -> std::sync::MutexGuard<'static, ()> {
    TURN.lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[test]
fn what_the_documentation_does_not_allow_is_an_error_and_counted() {
    let _turn = turn();
    let rig = Rig::new(CAPS);
    rig.play();
    let pad = rig.source.src_pads().remove(0);
    let steps: [(&str, &dyn Fn()); 4] = [
        ("camera can't be set", &|| {
            rig.source.set_property("camera", 9_u32);
        }),
        ("extra-buffers can't be set", &|| {
            pad.set_property("extra-buffers", 3_u32);
        }),
        ("a pad is requested", &|| {
            assert!(rig.source.request_pad_simple("video_%u").is_none());
        }),
        ("image pads", &|| {
            assert!(rig.source.request_pad_simple("image_%u").is_none());
        }),
    ];
    for (what, step) in steps {
        step();
        assert!(rig.error().contains(what), "{what}");
        let refused = service().take_violations();
        assert!(
            refused.len() == 1 && refused[0].contains(what),
            "{refused:?}"
        );
    }
    // What may be set while it plays.
    rig.source.set_property("sharpness", 4_i32);
    pad.set_property_from_str("type", "preview");
    assert!(service().take_violations().is_empty());
    assert!(rig.source.find_property("made-up").is_none());
}

#[test]
fn a_name_is_given_once() {
    let _turn = turn();
    let rig = Rig::new(CAPS);
    assert!(rig.source.request_pad_simple("video_0").is_none());
    assert_eq!(rig.error(), "stand-in: video_0 is there already");
    assert_eq!(service().take_violations(), ["video_0 is there already"]);
    // The one that is there is none the worse, and another name is free.
    assert!(rig.source.request_pad_simple("video_1").is_some());
    assert_eq!(rig.source.src_pads().len(), 2);
    assert!(service().take_violations().is_empty());
}

/// The real one hangs then; with the service alive a pad may go at any time.
#[test]
fn a_pad_is_not_released_after_the_service_died() {
    let _turn = turn();
    let rig = Rig::new(CAPS);
    rig.play();
    let pad = rig.source.src_pads().remove(0);
    let spare = Rig::new(CAPS);
    spare
        .source
        .release_request_pad(&spare.source.src_pads().remove(0));
    assert!(service().take_violations().is_empty());
    service().die();
    assert_eq!(rig.error(), "Camera service has died !");
    rig.source.release_request_pad(&pad);
    assert!(
        rig.error()
            .contains("a pad is released after the service died")
    );
    assert_eq!(service().take_violations().len(), 1);
    service().revive();
    // GStreamer frees no element that is not down, and this one can't be brought down.
    std::mem::forget(rig);
}

#[test]
fn caps_with_a_field_that_is_not_listed_give_no_stream() {
    let _turn = turn();
    let rig = Rig::new(&format!("{CAPS},stride=(int)320"));
    assert!(rig.pipeline.set_state(gst::State::Playing).is_err());
    assert_eq!(rig.error(), "Failed to create stream!");
    assert_eq!(service().take_violations().len(), 1);
}

/// As the real one, it gives no frames as long as all of its buffers are with somebody else.
#[test]
fn without_buffers_there_are_no_frames() {
    let _turn = turn();
    let rig = Rig::new(CAPS);
    let kept: Arc<Mutex<Vec<gst::Buffer>>> = Arc::default();
    let keep = Arc::clone(&kept);
    let pad = rig.sink.static_pad("sink").unwrap();
    let probe = pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        keep.lock().unwrap().extend(info.buffer().cloned());
        gst::PadProbeReturn::Ok
    });
    rig.play();
    let camera = rig.camera.camera();
    assert!(service().wait(camera, PATIENCE, |all| all[0].starved > 3));
    let dry = service().reports(camera)[0];
    // 12, and 4 more for 60 frames a second.
    assert_eq!((dry.buffers, dry.lent, dry.frames), (16, 16, 16));
    pad.remove_probe(probe.unwrap());
    kept.lock().unwrap().clear();
    assert!(rig.frames(20));
}

#[test]
fn a_slave_ends_when_its_master_closes_the_camera() {
    let _turn = turn();
    let master = Rig::new(CAPS);
    let slave = Rig::new(CAPS);
    slave.source.set_property("camera", master.camera.camera());
    slave.source.set_property("slave", true);
    assert!(
        slave.pipeline.set_state(gst::State::Playing).is_err(),
        "there is no master yet"
    );
    assert_eq!(slave.error(), "Failed to Open Camera!");
    slave.pipeline.set_state(gst::State::Null).unwrap();
    slave.pipeline.bus().unwrap().set_flushing(true);
    slave.pipeline.bus().unwrap().set_flushing(false);
    master.play();
    slave.pipeline.set_state(gst::State::Playing).unwrap();
    let both = |all: &[gstqmmfstandin::Report]| all.len() == 2 && all.iter().all(|r| r.frames > 3);
    assert!(service().wait(master.camera.camera(), PATIENCE, both));
    service().close_as_master(master.camera.camera());
    let bus = slave.pipeline.bus().unwrap();
    let kinds = [gst::MessageType::Eos, gst::MessageType::Error];
    let patience = gst::ClockTime::try_from(PATIENCE).unwrap();
    let end = bus.timed_pop_filtered(patience, &kinds).unwrap();
    assert_eq!(end.type_(), gst::MessageType::Eos);
}

#[test]
fn the_dead_service_fails_every_step_down_and_what_was_connected_stays_dead() {
    let _turn = turn();
    let rig = Rig::new(CAPS);
    rig.play();
    service().die();
    assert_eq!(rig.error(), "Camera service has died !");
    assert!(rig.pipeline.set_state(gst::State::Null).is_err());
    assert_eq!(rig.error(), "Failed to stop stream!");
    let unborn = gst::ElementFactory::make("qticamsrc").build().unwrap();
    assert!(unborn.set_state(gst::State::Ready).is_err());
    service().revive();
    assert!(
        unborn.set_state(gst::State::Ready).is_err(),
        "it never connected"
    );
    unborn.set_state(gst::State::Null).unwrap();
    let fresh = gst::ElementFactory::make("qticamsrc").build().unwrap();
    fresh.set_state(gst::State::Ready).unwrap();
    fresh.set_state(gst::State::Null).unwrap();
    for pad in rig.source.src_pads() {
        let _inactive = pad.set_active(false);
    }
    // GStreamer frees no element that is not down.
    std::mem::forget(rig);
}

/// As by clients that know the service by a socket: no word of its death, no frame after it, and nothing that can be asked.
#[test]
fn a_death_that_nobody_tells_is_seen_by_what_is_asked_next() {
    let _turn = turn();
    let rig = Rig::new(CAPS);
    rig.play();
    service().die_unheard();
    let bus = rig.pipeline.bus().unwrap();
    assert!(bus.pop_filtered(&[gst::MessageType::Error]).is_none());
    assert!(rig.pipeline.set_state(gst::State::Null).is_err());
    assert_eq!(rig.error(), "Failed to stop stream!");
    service().revive();
    for pad in rig.source.src_pads() {
        let _inactive = pad.set_active(false);
    }
    std::mem::forget(rig);
}
