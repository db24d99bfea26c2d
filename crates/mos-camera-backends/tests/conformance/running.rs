//! A camera's pipeline on a bus of its own, with its events collected.

use std::sync::Arc;

use mos_camera_backends::{Backend, BusSettings, CapturePipeline, PipelineEvent};
use mos_camera_core::{Fault, StreamConfig, StreamName};
use mos_frame::{Frame, Subscriber, SubscriberOptions};
use mos_testkit::{Events, TempBus};

use super::PATIENCE;

/// Name of the stream.
const STREAM: &str = "camera";

/// A pipeline that was built.
pub(crate) struct Running {
    /// The pipeline.
    pub(crate) pipeline: CapturePipeline,
    /// What it reported.
    pub(crate) events: Events<PipelineEvent>,
    /// Its bus.
    pub(crate) bus: Arc<TempBus>,
}

impl Running {
    /// Builds and starts a pipeline on a new bus.
    pub(crate) fn start(backend: &Arc<dyn Backend>, config: &StreamConfig) -> Result<Self, Fault> {
        Self::start_on(backend, config, Arc::new(TempBus::new().unwrap()))
    }

    /// Builds and starts a pipeline on a bus that others may know.
    pub(crate) fn start_on(
        backend: &Arc<dyn Backend>,
        config: &StreamConfig,
        bus: Arc<TempBus>,
    ) -> Result<Self, Fault> {
        let (sender, events) = Events::new();
        let settings = BusSettings {
            directory: bus.dir().to_owned(),
        };
        let name: StreamName = STREAM.parse().unwrap();
        let pipeline = CapturePipeline::build(backend, &name, config, &settings, move |event| {
            // A test that ended early no longer listens.
            let _unheard = sender.send(event);
        })?;
        pipeline.start();
        Ok(Self {
            pipeline,
            events,
            bus,
        })
    }

    /// Waits for the first frame.
    pub(crate) fn first_frame(&self) {
        let end = self
            .events
            .wait_for("first frame", PATIENCE, |event| match event {
                PipelineEvent::FirstFrame => Some(Ok(())),
                other => Some(Err(other.clone())),
            });
        assert_eq!(end.unwrap(), Ok(()));
    }

    /// Waits for the fault that ends it, frames or not.
    pub(crate) fn fault(&self) -> Fault {
        let end = self.end();
        match end {
            PipelineEvent::Fault(fault) => fault,
            other => panic!("{other:?} instead of a fault"),
        }
    }

    /// Waits for its end.
    pub(crate) fn end(&self) -> PipelineEvent {
        let end = self.events.wait_for("end", PATIENCE, |event| {
            (*event != PipelineEvent::FirstFrame).then(|| event.clone())
        });
        end.unwrap()
    }

    /// The socket of its stream.
    pub(crate) fn socket(&self) -> std::path::PathBuf {
        self.bus.socket(STREAM)
    }

    /// Subscribes to its stream.
    pub(crate) fn subscribe(&self) -> Subscriber {
        let options = SubscriberOptions {
            timeout: PATIENCE,
            ..SubscriberOptions::default()
        };
        Subscriber::connect(&self.socket(), options).unwrap()
    }
}

/// The next frame, which has to come.
pub(crate) fn next(subscriber: &mut Subscriber) -> Frame {
    subscriber
        .next_timeout(PATIENCE)
        .unwrap()
        .expect("no frame came")
}
