//! A hundred runs leave no descriptor and no thread behind. They are counted in the whole process: nothing else runs in it meanwhile.

#![cfg(feature = "development")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod conformance;

use std::sync::{Arc, Mutex, PoisonError};

use conformance::{PATIENCE, Running};
use mos_camera_backends::{Backend, RtspBackend, TestBackend, WhepBackend};
use mos_camera_core::{DeviceId, RtspSource, StreamConfig, TestSource, Trust, WhepSource};
use mos_testkit::process::{open_fds, threads};
use mos_testkit::{
    Authority, ClosedPort, Codec, Dates, RtspServer, RtspServerOptions, WhepServer, skip,
    wait_until, whep,
};

/// Runs before the count: caches and thread pools fill up.
const WARM_UP: usize = 5;
const RUNS: usize = 100;
/// Where a run takes longer, for its handshake.
const FEWER: usize = 40;

/// Held by the one test that runs.
static ALONE: Mutex<()> = Mutex::new(());

fn streams(backend: &Arc<dyn Backend>, device: &DeviceId) {
    let running = Running::start(backend, &StreamConfig::new(device.clone())).unwrap();
    running.first_frame();
}

fn fails(backend: &Arc<dyn Backend>, device: &DeviceId) {
    let running = Running::start(backend, &StreamConfig::new(device.clone())).unwrap();
    running.fault();
}

fn stays_flat(what: &str, runs: usize, mut run: impl FnMut()) {
    (0..WARM_UP).for_each(|_| run());
    let before = (open_fds().unwrap(), threads().unwrap());
    (0..runs).for_each(|_| run());
    // Threads of GLib's pool end by themselves some seconds after their last work.
    let flat = wait_until("descriptors and threads as before", PATIENCE, || {
        let now = (open_fds().unwrap(), threads().unwrap());
        (now.0 <= before.0 && now.1 <= before.1).then_some(())
    });
    flat.unwrap_or_else(|error| {
        let now = (open_fds().unwrap(), threads().unwrap());
        panic!(
            "{what}: {error}; descriptors and threads {before:?} before, {now:?} after {runs} runs"
        );
    });
}

#[test]
fn a_hundred_runs_leave_nothing_behind() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    mos_camera_backends::init().unwrap();
    let test: Arc<dyn Backend> = Arc::new(TestBackend::new(vec![(
        "front".to_owned(),
        TestSource::default(),
    )]));
    stays_flat("test camera", RUNS, || {
        streams(&test, &"test:front".parse().unwrap());
    });

    let (server, closed) = (
        RtspServer::start_default().unwrap(),
        ClosedPort::new().unwrap(),
    );
    let camera = |name: &str, port: u16| {
        let source = RtspSource {
            timeout: PATIENCE,
            ..RtspSource::new(format!("rtsp://127.0.0.1:{port}/cam0"))
        };
        (name.to_owned(), source)
    };
    let cameras = vec![camera("door", server.port()), camera("gone", closed.port())];
    let rtsp: Arc<dyn Backend> = Arc::new(RtspBackend::new(cameras));
    stays_flat("RTSP camera", RUNS, || {
        streams(&rtsp, &"rtsp:door".parse().unwrap());
    });
    let authority = Authority::new().unwrap();
    let issue = |name: &str, dates| authority.issue(name, &["127.0.0.1"], dates).unwrap();
    let serve = |tls| {
        RtspServer::start(&RtspServerOptions {
            tls: Some(tls),
            codec: Codec::Jpeg,
            ..RtspServerOptions::default()
        })
    };
    let good = serve(issue("good", Dates::Good)).unwrap();
    let expired = serve(issue("expired", Dates::Expired)).unwrap();
    let secure = |name: &str, server: &RtspServer| {
        let source = RtspSource {
            trust: Trust::CaFile(authority.root()),
            ..RtspSource::new(server.url(0))
        };
        (name.to_owned(), source)
    };
    let cameras = vec![secure("good", &good), secure("expired", &expired)];
    let secure: Arc<dyn Backend> = Arc::new(RtspBackend::new(cameras));
    stays_flat("RTSPS camera", FEWER, || {
        streams(&secure, &"rtsp:good".parse().unwrap());
    });
    stays_flat("RTSPS camera that is not believed", FEWER, || {
        fails(&secure, &"rtsp:expired".parse().unwrap());
    });
    stays_flat("RTSP camera that refuses", RUNS, || {
        fails(&rtsp, &"rtsp:gone".parse().unwrap());
    });
}

#[test]
fn forty_webrtc_sessions_leave_nothing_behind() {
    if whep::python().is_none() {
        let test = "forty_webrtc_sessions_leave_nothing_behind";
        return skip::skip(test, "no Python with aiortc; `./x test` makes one").unwrap();
    }
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    mos_camera_backends::init().unwrap();
    let server = WhepServer::aiortc(&["--codec=VP8"], None).unwrap();
    let source = WhepSource {
        timeout: PATIENCE,
        ..WhepSource::new(server.url())
    };
    let whep: Arc<dyn Backend> = Arc::new(WhepBackend::new(vec![("door".to_owned(), source)]));
    stays_flat("WebRTC camera", FEWER, || {
        streams(&whep, &"whep:door".parse().unwrap());
    });
}
