//! One camera, `rtsp:door`, and what a run of it comes to.

use std::sync::Arc;
use std::time::Duration;

use mos_camera_backends::{Backend, RtspBackend};
use mos_camera_core::{Fault, RtspSource, SessionFacts, StreamConfig};

use crate::conformance::{Running, next};

pub(crate) fn config() -> StreamConfig {
    StreamConfig::new("rtsp:door".parse().unwrap())
}

pub(crate) fn backend(source: RtspSource) -> Arc<dyn Backend> {
    mos_camera_backends::init().unwrap();
    Arc::new(RtspBackend::new(vec![("door".to_owned(), source)]))
}

/// A run that streams.
pub(crate) fn streams(backend: &Arc<dyn Backend>) -> Running {
    let running = Running::start(backend, &config()).unwrap();
    running.first_frame();
    running
}

/// The fault of a run.
pub(crate) fn fails(backend: &Arc<dyn Backend>) -> Fault {
    let running = match Running::start(backend, &config()) {
        Ok(running) => running,
        Err(fault) => return fault,
    };
    running.fault()
}

/// A camera that is expected to fail: with little patience.
pub(crate) fn impatient(url: String) -> RtspSource {
    RtspSource {
        timeout: Duration::from_secs(2),
        ..RtspSource::new(url)
    }
}

pub(crate) fn facts(running: &Running) -> SessionFacts {
    running.pipeline.stats().session.unwrap()
}

/// Numbers of pictures that follow each other, as burnt in by the camera.
pub(crate) fn numbers(running: &Running, count: usize) -> Vec<u32> {
    let mut subscriber = running.subscribe();
    let number = |_| gstmos::counter::read_frame(&next(&mut subscriber)).unwrap();
    (0..count).filter_map(number).collect()
}
