//! One camera, `whep:door`, played from aiortc.

use std::sync::Arc;
use std::time::Duration;

use mos_camera_backends::{Backend, WhepBackend};
use mos_camera_core::{SessionFacts, StreamConfig, WhepSource};
use mos_testkit::{WhepServer, skip, wait_until, whep};

use crate::conformance::{PATIENCE, Running};

/// A server that was started, unless there is no aiortc here; then `test` says that it was skipped.
pub(crate) fn server(test: &str, arguments: &[&str]) -> Option<WhepServer> {
    if whep::python().is_none() {
        skip::skip(test, "no Python with aiortc; `./x test` makes one").unwrap();
        return None;
    }
    Some(WhepServer::aiortc(arguments, None).unwrap())
}

/// The camera of a server. Frames of a busy machine may be late.
pub(crate) fn of(server: &WhepServer) -> WhepSource {
    WhepSource {
        latency: Duration::from_millis(200),
        timeout: Duration::from_secs(30),
        ..WhepSource::new(server.url())
    }
}

/// A run that streams.
pub(crate) fn streams(source: WhepSource) -> Running {
    mos_camera_backends::init().unwrap();
    let backend: Arc<dyn Backend> = Arc::new(WhepBackend::new(vec![("door".to_owned(), source)]));
    let config = StreamConfig::new("whep:door".parse().unwrap());
    let running = Running::start(&backend, &config).unwrap();
    running.first_frame();
    running
}

pub(crate) fn facts(running: &Running) -> SessionFacts {
    running.pipeline.stats().session.unwrap()
}

/// Facts once they are as wanted: some come a moment after the first frame.
pub(crate) fn facts_with(
    running: &Running,
    what: &str,
    wanted: impl Fn(&SessionFacts) -> bool,
) -> SessionFacts {
    let found = wait_until(what, PATIENCE, || {
        Some(facts(running)).filter(|facts| wanted(facts))
    });
    found.unwrap_or_else(|error| panic!("{error}: {:?}", facts(running)))
}

/// What the session tells about something.
pub(crate) fn detail<'a>(facts: &'a SessionFacts, about: &str) -> &'a str {
    let found = facts.details.iter().find(|(name, _)| name == about);
    found.map_or("", |(_, text)| text)
}
