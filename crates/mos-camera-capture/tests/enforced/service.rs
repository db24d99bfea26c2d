//! The production service in the test's own process, on virtual cameras.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mos_camera_api::client::{ControlClient, connect, connect_events};
use mos_camera_api::v1::{self, State, StreamStatus, ViolationKind, event::Kind};
use mos_camera_capture::config;
use mos_camera_capture::run::{Hooks, run};
use mos_frame::{Subscriber, SubscriberOptions};
use tempfile::TempDir;
use tokio::sync::{OwnedMutexGuard, mpsc, oneshot};
use tokio::task::JoinHandle;

/// What a test waits at most for anything; only a failing test gets there.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// The cameras can be used by one test at a time.
static CAMERAS: std::sync::LazyLock<Arc<tokio::sync::Mutex<()>>> =
    std::sync::LazyLock::new(Arc::default);

/// A running service with the streams `subject` and `other`.
pub(crate) struct Service {
    dir: TempDir,
    control: ControlClient,
    events: Arc<Mutex<Vec<v1::Violation>>>,
    stop: Option<oneshot::Sender<()>>,
    served: Option<JoinHandle<()>>,
    _cameras: OwnedMutexGuard<()>,
}

impl Service {
    /// Starts it with both streams streaming; none, and a note, on a machine without two cameras.
    pub(crate) async fn start(test: &str) -> Option<Self> {
        let cameras = Arc::clone(&CAMERAS).lock_owned().await;
        // Short: the path of a Unix socket holds 107 bytes only (unix(7)).
        let dir = tempfile::Builder::new().prefix("mos-").tempdir().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let (ready, is_ready) = oneshot::channel();
        let config = config_in(&dir);
        let socket = config.service.control_socket.clone();
        let served = tokio::spawn(async move {
            let (_reloads, reload) = mpsc::channel(1);
            let hooks = Hooks {
                shutdown: async { stopped.await.unwrap() },
                reload,
                ready: Some(ready),
            };
            run(config, hooks).await.unwrap();
        });
        is_ready.await.unwrap();
        let control = connect(&socket).await.unwrap();
        let mut service = Self {
            dir,
            control,
            events: Arc::default(),
            stop: Some(stop),
            served: Some(served),
            _cameras: cameras,
        };
        let devices = service.cameras().await;
        let [subject, other, ..] = devices.as_slice() else {
            service.stop().await;
            skip(test);
            return None;
        };
        service.collect(&socket).await;
        for (stream, device) in [("subject", subject), ("other", other)] {
            service
                .configure(stream, device, v1::OnViolation::Unspecified)
                .await;
            service.start_stream(stream).await;
        }
        for stream in ["subject", "other"] {
            service.wait_state(stream, State::Streaming).await;
        }
        Some(service)
    }

    /// Ids of the capture nodes that give NV12.
    pub(crate) async fn cameras(&mut self) -> Vec<String> {
        let request = v1::ListDevicesRequest::default();
        let answer = self.control.list_devices(request).await.unwrap();
        let gives_nv12 = |d: &v1::Device| d.capabilities.iter().any(|c| c.format == "NV12");
        let devices = answer.into_inner().devices.into_iter().filter(gives_nv12);
        devices.map(|d| d.id).collect()
    }

    async fn collect(&self, socket: &std::path::Path) {
        let mut client = connect_events(socket).await.unwrap();
        let request = v1::WatchEventsRequest::default();
        let mut events = client.watch_events(request).await.unwrap().into_inner();
        let seen = Arc::clone(&self.events);
        tokio::spawn(async move {
            while let Ok(Some(event)) = events.message().await {
                if let Some(Kind::Violation(violation)) = event.kind {
                    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                    seen.push(violation);
                }
            }
        });
    }

    /// The events of a stream and kind so far.
    pub(crate) fn told(&self, stream: &str, kind: ViolationKind) -> Vec<v1::Violation> {
        let all = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let ours = |v: &&v1::Violation| v.stream == stream && v.kind() == kind;
        all.iter().filter(ours).cloned().collect()
    }

    pub(crate) async fn configure(&mut self, stream: &str, device: &str, on: v1::OnViolation) {
        let config = v1::StreamConfig {
            device: device.to_owned(),
            size: Some(v1::Size {
                width: 320,
                height: 180,
            }),
            framerate: Some(v1::Framerate {
                numerator: 10,
                denominator: 1,
            }),
            on_violation: on.into(),
            ..v1::StreamConfig::default()
        };
        let request = v1::ConfigureStreamRequest {
            stream: stream.to_owned(),
            config: Some(config),
        };
        self.control.configure_stream(request).await.unwrap();
    }

    async fn start_stream(&mut self, stream: &str) {
        let request = v1::StartCaptureRequest {
            stream: stream.to_owned(),
        };
        self.control.start_capture(request).await.unwrap();
    }

    pub(crate) async fn reset(&mut self, stream: &str) {
        let request = v1::ResetCaptureRequest {
            stream: stream.to_owned(),
        };
        self.control.reset_capture(request).await.unwrap();
    }

    pub(crate) async fn status(&mut self, stream: &str) -> StreamStatus {
        let request = v1::GetStatusRequest {
            streams: vec![stream.to_owned()],
        };
        let answer = self.control.get_status(request).await.unwrap();
        answer.into_inner().streams.remove(0)
    }

    /// Mapped dma-bufs that no stream knows.
    pub(crate) async fn strays(&mut self) -> u64 {
        let request = v1::GetStatusRequest::default();
        let answer = self.control.get_status(request).await.unwrap();
        answer.into_inner().service.unwrap().stray_mappings
    }

    /// The counts of a stream.
    pub(crate) async fn violations(&mut self, stream: &str) -> v1::Violations {
        let frames = self.status(stream).await.frames.unwrap();
        let kinds = frames.violations_by_kind.unwrap();
        let sum = kinds.refused_frames + kinds.refused_maps + kinds.mapped_dmabufs;
        assert_eq!(frames.violations, sum);
        kinds
    }

    /// Waits until something is so, which is looked at again and again: counters change without an event.
    pub(crate) async fn wait_for(
        &mut self,
        what: &str,
        mut so: impl AsyncFnMut(&mut Self) -> bool,
    ) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while !so(self).await {
            let late = tokio::time::Instant::now() > deadline;
            assert!(!late, "no {what}: {:#?}", self.status("subject").await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn wait_state(&mut self, stream: &str, state: State) -> StreamStatus {
        self.wait_for(state.as_str_name(), async |service| {
            service.status(stream).await.state() == state
        })
        .await;
        self.status(stream).await
    }

    /// Returns when so many more frames were published.
    pub(crate) async fn goes_on(&mut self, stream: &str, frames: u64) {
        let published = async |service: &mut Self| {
            let status = service.status(stream).await;
            status.frames.unwrap().published
        };
        let before = published(self).await;
        self.wait_for("further frames", async |service| {
            published(service).await >= before + frames
        })
        .await;
    }

    pub(crate) fn subscribe(&self, stream: &str) -> Subscriber {
        let socket = mos_frame::socket_path(&self.dir.path().join("frames"), stream);
        let options = SubscriberOptions {
            name: "enforced".to_owned(),
            ..SubscriberOptions::default()
        };
        Subscriber::connect(&socket, options).unwrap()
    }

    pub(crate) async fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
        self.served.take().unwrap().await.unwrap();
    }
}

fn config_in(dir: &TempDir) -> config::Config {
    let path = |name| -> PathBuf { dir.path().join(name) };
    fs::write(path("mos-camera.toml"), "[service]\n").unwrap();
    let mut config = config::load(&path("mos-camera.toml")).unwrap();
    config.service.control_socket = path("control.sock");
    config.service.frame_dir = path("frames");
    config.service.state_file = path("state.json");
    config
}

fn skip(test: &str) {
    assert!(
        std::env::var_os("MOS_V4L2_REQUIRED").is_none(),
        "no two capture nodes with NV12, but MOS_V4L2_REQUIRED is set"
    );
    let why = "needs two capture nodes with NV12; runs in the lab";
    mos_testkit::skip::skip(&format!("enforced {test}"), why).unwrap();
}
