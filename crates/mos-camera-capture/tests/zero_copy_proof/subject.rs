//! The production service with its consumers, each a process of its own.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use mos_camera_api::client::{ControlClient, connect};
use mos_camera_api::v1;
use mos_frame::{Frame, Subscriber, SubscriberOptions};
use mos_testkit::wait_until;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// What is waited at most for anything; only a failing proof gets there.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);
/// The stream.
pub(crate) const STREAM: &str = "proof";
/// Frames a second, in every size.
pub(crate) const RATE: u32 = 10;
pub(crate) const SMALL: (u32, u32) = (320, 180);
pub(crate) const LARGE: (u32, u32) = (1920, 1080);

/// A process that ends with the proof.
#[derive(Debug)]
pub(crate) struct Process(pub(crate) Child);

impl Process {
    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// The service, streaming.
pub(crate) struct Subject {
    pub(crate) service: Process,
    runtime: Runtime,
    control: ControlClient,
    device: String,
    /// Another capture node, which the service does not use.
    other_node: Option<String>,
    dir: TempDir,
}

impl Subject {
    /// Starts it with one stream; none, and a note, on a machine that has no camera for it.
    pub(crate) fn start(proof: &str, size: (u32, u32)) -> Option<Self> {
        let program = variable("MOS_PROOF_SERVICE", "mos-camera-capture-production");
        let dir = tempfile::Builder::new().prefix("mos-").tempdir().unwrap();
        let path = |name| dir.path().join(name);
        let empty = path("mos-camera.toml");
        std::fs::write(&empty, "[service]\n").unwrap();
        let config = std::env::var_os("MOS_PROOF_CONFIG").map_or(empty, PathBuf::from);
        let socket = path("control.sock");
        let mut command = Command::new(&program);
        command
            .arg("--config")
            .arg(config)
            .arg("--control-socket")
            .arg(&socket);
        command
            .arg("--frame-dir")
            .arg(path("frames"))
            .arg("--state-file")
            .arg(path("state.json"));
        let log = File::create(path("log")).unwrap();
        let started = command.stderr(log).stdin(Stdio::null()).spawn();
        let Ok(child) = started else {
            return skip(proof, &format!("{} can't be run", program.display()));
        };
        let service = Process(child);
        wait_until("the control socket", PATIENCE, || {
            std::os::unix::net::UnixStream::connect(&socket).ok()
        })
        .unwrap();
        let runtime = Runtime::new().unwrap();
        let mut control = runtime.block_on(connect(&socket)).unwrap();
        let Some((device, other_node)) = runtime.block_on(camera(&mut control)) else {
            return skip(proof, "no capture node with NV12");
        };
        let mut subject = Self {
            service,
            runtime,
            control,
            device,
            other_node,
            dir,
        };
        subject.configure(size);
        let stream = STREAM.to_owned();
        let start = v1::StartCaptureRequest { stream };
        subject
            .runtime
            .block_on(subject.control.start_capture(start))
            .unwrap();
        Some(subject)
    }

    /// Makes the stream have this size.
    pub(crate) fn configure(&mut self, (width, height): (u32, u32)) {
        let config = v1::StreamConfig {
            device: self.device.clone(),
            size: Some(v1::Size { width, height }),
            framerate: Some(v1::Framerate {
                numerator: RATE,
                denominator: 1,
            }),
            ..v1::StreamConfig::default()
        };
        let request = v1::ConfigureStreamRequest {
            stream: STREAM.to_owned(),
            config: Some(config),
        };
        self.runtime
            .block_on(self.control.configure_stream(request))
            .unwrap();
    }

    pub(crate) fn status(&mut self) -> (v1::ServiceStatus, v1::StreamStatus) {
        let request = v1::GetStatusRequest::default();
        let answer = self
            .runtime
            .block_on(self.control.get_status(request))
            .unwrap();
        let mut answer = answer.into_inner();
        (answer.service.unwrap(), answer.streams.remove(0))
    }

    fn frame_dir(&self) -> PathBuf {
        self.dir.path().join("frames")
    }

    /// The stream's socket on the frame bus.
    pub(crate) fn socket(&self) -> PathBuf {
        mos_frame::socket_path(&self.frame_dir(), STREAM)
    }

    /// A subscriber in this process, which only counts frames.
    pub(crate) fn subscribe(&self) -> Counter {
        let usual = SubscriberOptions {
            name: "counter".to_owned(),
            ..SubscriberOptions::default()
        };
        let options = Demand::options(Demand::least(), usual);
        Counter(Subscriber::await_stream(&self.socket(), options).unwrap())
    }

    /// `mosctl frames` of the production build, which holds each frame for a while.
    pub(crate) fn mosctl(&self, name: &str) -> Process {
        let mut command = Command::new(variable("MOS_PROOF_MOSCTL", "mosctl-production"));
        command.arg("--frame-dir").arg(self.frame_dir());
        command.args([
            "frames",
            STREAM,
            "--work-ms",
            "30",
            "--wait",
            "60s",
            "--name",
            name,
        ]);
        if let Some(Demand { window, hold }) = Demand::least() {
            command.args(["--window", &window.to_string(), "--hold", &hold.to_string()]);
        }
        Process(
            command
                .stdout(Stdio::null())
                .stdin(Stdio::null())
                .spawn()
                .unwrap(),
        )
    }

    /// A program that captures from another node the old way, by mapping the node's memory; none without another node.
    pub(crate) fn mapper_of_another_node(&self) -> Option<Process> {
        let node = self.other_node.as_ref()?;
        let child = Command::new("v4l2-ctl")
            .args(["--device", node, "--stream-mmap"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Some(Process(child.unwrap()))
    }

    /// A GStreamer pipeline that is not ours, with `mosframesrc` of the production build.
    pub(crate) fn gstreamer(&self) -> Process {
        let mut command = Command::new("gst-launch-1.0");
        command.env(
            "GST_PLUGIN_PATH",
            variable("MOS_PROOF_PLUGIN", "/host/bin/production"),
        );
        command
            .arg("-q")
            .arg("mosframesrc")
            .arg(format!("stream={STREAM}"));
        command.arg(format!("directory={}", self.frame_dir().display()));
        let demand = Demand::least();
        if let Some(Demand { window, hold }) = demand {
            command.args([format!("window={window}"), format!("hold={hold}")]);
        }
        command.args(["!", "queue", "max-size-buffers=1", "!", "fakesink"]);
        if demand.is_some() {
            // Where one frame is all that it may hold, it keeps none of the last.
            command.arg("enable-last-sample=false");
        }
        Process(
            command
                .stdout(Stdio::null())
                .stdin(Stdio::null())
                .spawn()
                .unwrap(),
        )
    }
}

/// A proof that failed says what the service had to say; its folder goes with it.
impl Drop for Subject {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.dir.path().join("log"));
            println!("the service's log:\n{}", log.unwrap_or_default());
            let request = v1::GetStatusRequest::default();
            let answer = self.runtime.block_on(self.control.get_status(request));
            println!("its status:\n{answer:#?}");
        }
    }
}

/// What a subscriber asks for where the camera has few buffers; else all ask for what is usual.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Demand {
    window: u32,
    hold: u32,
}

impl Demand {
    /// The least that there is for dma-bufs, which are not lent without a hold: four buffers are enough for two such subscribers.
    pub(crate) fn least() -> Option<Self> {
        std::env::var_os("MOS_PROOF_FEW_BUFFERS").map(|_| Self { window: 1, hold: 1 })
    }

    /// Its options, from what they are usually.
    pub(crate) fn options(demand: Option<Self>, usual: SubscriberOptions) -> SubscriberOptions {
        match demand {
            Some(Self { window, hold }) => SubscriberOptions {
                window,
                hold,
                ..usual
            },
            None => usual,
        }
    }
}

/// Counts frames without looking at them.
#[derive(Debug)]
pub(crate) struct Counter(Subscriber);

impl Counter {
    /// The next frame of this size.
    pub(crate) fn next(&mut self, (width, height): (u32, u32)) -> Frame {
        loop {
            let frame = self.0.next_timeout(PATIENCE).unwrap().expect("a frame");
            let format = frame.format();
            if (format.width, format.height) == (width, height) {
                return frame;
            }
        }
    }
}

/// The value of a variable, or its default.
pub(crate) fn variable(name: &str, default: &str) -> PathBuf {
    std::env::var_os(name).map_or_else(|| default.into(), PathBuf::from)
}

/// The id of the camera, and the node of another one, if there is one.
async fn camera(control: &mut ControlClient) -> Option<(String, Option<String>)> {
    let request = v1::ListDevicesRequest::default();
    let answer = control.list_devices(request).await.unwrap().into_inner();
    let (mut cameras, chosen) = (answer.devices, std::env::var("MOS_PROOF_DEVICE").ok());
    // The proof is about a driver's memory, and captures from another node for comparison.
    let is_node = |d: &v1::Device| d.location.starts_with("/dev/");
    cameras.retain(|d| is_node(d) && d.capabilities.iter().any(|c| c.format == "NV12"));
    let device = chosen.or_else(|| cameras.first().map(|d| d.id.clone()))?;
    let other = cameras.into_iter().find(|d| d.id != device);
    Some((device, other.map(|d| d.location)))
}

fn skip(proof: &str, why: &str) -> Option<Subject> {
    let required = std::env::var_os("MOS_V4L2_REQUIRED").is_some();
    assert!(!required, "{why}, but MOS_V4L2_REQUIRED is set");
    mos_testkit::skip::skip(
        &format!("zero_copy_proof {proof}"),
        &format!("{why}; runs in the lab"),
    )
    .unwrap();
    None
}
