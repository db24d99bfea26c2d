//! An element that its keeper keeps open serves one pipeline after the other.

#![cfg(feature = "development")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod conformance;

use std::sync::{Arc, Mutex};

use conformance::{Running, next};
use gst::prelude::*;
use mos_camera_backends::kept::{Keeper, Kept};
use mos_camera_backends::{Backend, Source, TestBackend};
use mos_camera_core::plan::Explanation;
use mos_camera_core::{Device, DeviceId, Fault, FaultKind, StreamConfig, TestSource, Transport};

/// Generated cameras whose source element is kept, by a keeper that writes down what it is told.
#[derive(Debug)]
struct Keeping {
    cameras: TestBackend,
    keeper: Arc<Diary>,
}

#[derive(Debug, Default)]
struct Diary {
    element: Mutex<Option<gst::Element>>,
    told: Mutex<Vec<(&'static str, gst::State)>>,
}

impl Diary {
    fn write(&self, event: &'static str, element: &gst::Element) {
        let entry = (event, element.current_state());
        self.told.lock().unwrap().push(entry);
    }

    fn read(&self) -> Vec<(&'static str, gst::State)> {
        std::mem::take(&mut *self.told.lock().unwrap())
    }

    fn element(&self) -> gst::Element {
        self.element.lock().unwrap().clone().unwrap()
    }
}

impl Keeper for Diary {
    fn take(&self, element: &gst::Element) -> Result<(), Fault> {
        self.write("take", element);
        Ok(())
    }

    fn falls(&self, element: &gst::Element) {
        self.write("falls", element);
    }

    fn landed(&self, element: &gst::Element, down: bool) {
        self.write(if down { "landed" } else { "stuck" }, element);
    }
}

impl Backend for Keeping {
    fn transport(&self) -> Transport {
        self.cameras.transport()
    }

    fn discover(&self) -> Result<Vec<Device>, Fault> {
        self.cameras.discover()
    }

    fn explain(&self, device: &DeviceId, config: &StreamConfig) -> Result<Explanation, Fault> {
        self.cameras.explain(device, config)
    }

    /// The test camera's source, with the element that the first one had in the place of its own.
    fn source(&self, device: &DeviceId, config: &StreamConfig) -> Result<Source, Fault> {
        let source = self.cameras.source(device, config)?;
        let own = source.bin.iterate_sources().next().unwrap().unwrap();
        let mut kept = self.keeper.element.lock().unwrap();
        let element = kept.get_or_insert_with(|| own.clone()).clone();
        if element != own {
            let after = own.static_pad("src").unwrap().peer().unwrap();
            source.bin.remove(&own).unwrap();
            if let Some(bin) = element.parent().and_downcast::<gst::Bin>() {
                bin.remove(&element).unwrap();
            }
            source.bin.add(&element).unwrap();
            element.static_pad("src").unwrap().link(&after).unwrap();
        }
        let keep = Kept::new(&element, Arc::clone(&self.keeper) as Arc<dyn Keeper>);
        Ok(Source {
            keep: Some(keep),
            ..source
        })
    }

    fn classify(&self, device: &DeviceId, error: &gst::message::Error) -> Fault {
        self.cameras.classify(device, error)
    }

    fn reset(&self, device: &DeviceId) -> Result<(), Fault> {
        self.cameras.reset(device)
    }
}

fn backend() -> (Arc<dyn Backend>, Arc<Diary>, StreamConfig) {
    mos_camera_backends::init().unwrap();
    let keeper = Arc::new(Diary::default());
    let cameras = vec![("front".to_owned(), TestSource::default())];
    let backend = Keeping {
        cameras: TestBackend::new(cameras),
        keeper: Arc::clone(&keeper),
    };
    let config = StreamConfig::new("test:front".parse().unwrap());
    (Arc::new(backend), keeper, config)
}

/// A run of a pipeline, as its keeper sees it.
fn run(from: gst::State) -> Vec<(&'static str, gst::State)> {
    vec![
        ("take", from),
        ("falls", gst::State::Playing),
        ("landed", gst::State::Ready),
    ]
}

#[test]
fn one_element_serves_pipelines_that_come_and_go() {
    let (backend, keeper, config) = backend();
    let mut from = gst::State::Null;
    let mut elements = Vec::new();
    for _ in 0..4 {
        let running = Running::start(&backend, &config).unwrap();
        // The same pipeline twice, then another one.
        for _ in 0..2 {
            running.pipeline.start();
            running.first_frame();
            let mut subscriber = running.subscribe();
            next(&mut subscriber);
            running.pipeline.stop();
            // Nobody told again what is known.
            running.pipeline.stop();
            assert_eq!(keeper.read(), run(from));
            from = gst::State::Ready;
        }
        drop(running);
        let element = keeper.element();
        assert_eq!(element.current_state(), gst::State::Ready);
        elements.push(element);
    }
    assert!(elements.windows(2).all(|pair| pair[0] == pair[1]));
    elements[0].set_state(gst::State::Null).unwrap();
}

/// A pipeline that was stopped does not touch the element that is in another one, neither when it is started nor when it ends.
#[test]
fn a_pipeline_leaves_an_element_alone_that_another_one_has() {
    let (backend, keeper, config) = backend();
    let first = Running::start(&backend, &config).unwrap();
    first.first_frame();
    first.pipeline.stop();
    let second = Running::start(&backend, &config).unwrap();
    second.first_frame();
    let mut subscriber = second.subscribe();
    next(&mut subscriber);
    keeper.read();
    first.pipeline.start();
    let fault = first.fault();
    assert_eq!(fault.kind, FaultKind::Busy, "{fault}");
    // This keeper has nothing against it, but it is told.
    let playing = gst::State::Playing;
    assert_eq!(keeper.read(), [("take", playing), ("landed", playing)]);
    drop(first);
    for _ in 0..10 {
        next(&mut subscriber);
    }
    drop(second);
    let element = keeper.element();
    assert_eq!(element.current_state(), gst::State::Ready);
    element.set_state(gst::State::Null).unwrap();
}

/// Who builds a pipeline and does not start it has not opened or closed anything.
#[test]
fn a_pipeline_that_never_ran_leaves_the_element_as_it_was() {
    let (backend, keeper, config) = backend();
    drop(backend.source(&config.device, &config).unwrap());
    assert_eq!(keeper.element().current_state(), gst::State::Null);
    let running = Running::start(&backend, &config).unwrap();
    running.first_frame();
    drop(running);
    keeper.read();
    drop(backend.source(&config.device, &config).unwrap());
    assert_eq!(keeper.read(), []);
    let element = keeper.element();
    assert_eq!(element.current_state(), gst::State::Ready);
    element.set_state(gst::State::Null).unwrap();
}
