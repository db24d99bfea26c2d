//! A running service, in folders of its own.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use mos_camera_api::client::{ControlClient, EventClient, InspectClient, SourceClient};
use mos_camera_api::v1::{self, State, StreamStatus};
use mos_frame::{Subscriber, SubscriberOptions};
use mos_testkit::wait_until;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tonic::{Code, Status};

/// What a test waits at most for anything; only a failing test gets there.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// The same for the start of the service, which takes long where a busy machine emulates another.
const PATIENCE_AT_START: Duration = Duration::from_mins(4);

/// The binary under test: cargo's, unless `MOS_CAMERA_CAPTURE` names another, as in the lab, which has no build folder.
pub(crate) fn binary() -> PathBuf {
    let given = std::env::var_os("MOS_CAMERA_CAPTURE");
    given.map_or_else(
        || env!("CARGO_BIN_EXE_mos-camera-capture").into(),
        PathBuf::from,
    )
}

/// Two test cameras: `subject`, which a test does things to, and `other`, which must not notice.
pub(crate) const TWO_CAMERAS: &str = r#"
[cameras.subject]
width = 320
height = 240
framerate = "30"
test = {}
[cameras.other]
width = 320
height = 240
framerate = "30"
test = {}
"#;

/// Folders for one service: configuration, sockets, state.
#[derive(Debug)]
pub(crate) struct Home {
    dir: TempDir,
}

impl Home {
    /// Empty folders, and a configuration file with this text.
    pub(crate) fn new(config: &str) -> Self {
        // Short: the path of a Unix socket holds 107 bytes only (unix(7)).
        let home = Self {
            dir: tempfile::Builder::new().prefix("mos-").tempdir().unwrap(),
        };
        home.configure(config);
        home
    }

    /// Replaces the configuration file.
    pub(crate) fn configure(&self, config: &str) {
        fs::write(self.config_file(), config).unwrap();
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn config_file(&self) -> PathBuf {
        self.path().join("mos-camera.toml")
    }

    pub(crate) fn control_socket(&self) -> PathBuf {
        self.path().join("run/control.sock")
    }

    pub(crate) fn frame_dir(&self) -> PathBuf {
        self.path().join("run/frames")
    }

    pub(crate) fn bus_socket(&self, stream: &str) -> PathBuf {
        mos_frame::socket_path(&self.frame_dir(), stream)
    }

    pub(crate) fn state_file(&self) -> PathBuf {
        self.path().join("state/state.json")
    }

    fn log_file(&self) -> PathBuf {
        self.path().join("log")
    }

    /// Everything that services in these folders have logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// The command that starts the service here.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(binary());
        command
            .arg("--config")
            .arg(self.config_file())
            .arg("--control-socket")
            .arg(self.control_socket())
            .arg("--frame-dir")
            .arg(self.frame_dir())
            .arg("--state-file")
            .arg(self.state_file())
            .env_remove("NOTIFY_SOCKET")
            .env_remove("WATCHDOG_USEC")
            .stdin(Stdio::null());
        command
    }

    /// Runs the service where it is expected not to come up.
    pub(crate) fn run_to_end(&self) -> Output {
        self.command().output().unwrap()
    }

    /// Starts the service and waits until it answers.
    pub(crate) fn start(self) -> Service {
        let command = self.command();
        self.start_as(command)
    }

    /// Starts the service by this command and waits until it answers.
    pub(crate) fn start_as(self, mut command: Command) -> Service {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log_file())
            .unwrap();
        let child = command.stderr(log).stdout(Stdio::null()).spawn().unwrap();
        let mut service = Service { child, home: self };
        service.wait_until_it_answers();
        service
    }
}

/// A running service; killed on drop.
#[derive(Debug)]
pub(crate) struct Service {
    child: Child,
    pub home: Home,
}

impl Service {
    /// Starts a service with this configuration.
    pub(crate) fn start(config: &str) -> Self {
        Home::new(config).start()
    }

    fn wait_until_it_answers(&mut self) {
        let socket = self.home.control_socket();
        let answers = wait_until("an answer of the control socket", PATIENCE_AT_START, || {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("the service ended with {status}:\n{}", self.home.log());
            }
            std::os::unix::net::UnixStream::connect(&socket).ok()
        });
        answers.unwrap_or_else(|e| panic!("{e}\n{}", self.home.log()));
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) fn stop(mut self) -> (ExitStatus, Home) {
        self.signal(Signal::TERM);
        let status = self.wait_for_end();
        (status, self.into_home())
    }

    /// Kills it, with no chance to clean up.
    pub(crate) fn kill(mut self) -> Home {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.into_home()
    }

    pub(crate) fn wait_for_end(&mut self) -> ExitStatus {
        wait_until("the end of the service", PATIENCE, || {
            self.child.try_wait().unwrap()
        })
        .unwrap_or_else(|e| panic!("{e}\n{}", self.home.log()))
    }

    fn into_home(mut self) -> Home {
        let empty = Home {
            dir: tempfile::tempdir().unwrap(),
        };
        std::mem::replace(&mut self.home, empty)
    }

    pub(crate) async fn control(&self) -> ControlClient {
        mos_camera_api::client::connect(&self.home.control_socket())
            .await
            .unwrap()
    }

    pub(crate) async fn events(&self) -> EventClient {
        mos_camera_api::client::connect_events(&self.home.control_socket())
            .await
            .unwrap()
    }

    pub(crate) async fn inspect(&self) -> InspectClient {
        mos_camera_api::client::connect_inspect(&self.home.control_socket())
            .await
            .unwrap()
    }

    pub(crate) async fn sources(&self) -> SourceClient {
        mos_camera_api::client::connect_sources(&self.home.control_socket())
            .await
            .unwrap()
    }

    /// The status of one stream.
    pub(crate) async fn status(&self, stream: &str) -> StreamStatus {
        let request = v1::GetStatusRequest {
            streams: vec![stream.to_owned()],
        };
        let answer = self.control().await.get_status(request).await.unwrap();
        answer.into_inner().streams.remove(0)
    }

    /// Waits until a stream's status is as wanted.
    pub(crate) async fn wait_for(
        &self,
        stream: &str,
        what: &str,
        wanted: impl Fn(&StreamStatus) -> bool,
    ) -> StreamStatus {
        let mut client = self.control().await;
        let mut last = None;
        let found = tokio::time::timeout(PATIENCE, async {
            loop {
                let request = v1::GetStatusRequest {
                    streams: vec![stream.to_owned()],
                };
                if let Ok(answer) = client.get_status(request).await {
                    let status = answer.into_inner().streams.remove(0);
                    if wanted(&status) {
                        return status;
                    }
                    last = Some(status);
                }
                // The status is asked for again and again, not derived from events: what a test waits for (frame counts,
                // subscribers, ages) changes without one. 10 ms is short beside the waits and leaves the service the CPU.
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        match found.await {
            Ok(status) => status,
            Err(late) => panic!(
                "stream {stream}: no {what} ({late}); it is {last:#?}\n{}",
                self.home.log()
            ),
        }
    }

    /// Waits until a stream is in a state.
    pub(crate) async fn wait_state(&self, stream: &str, state: State) -> StreamStatus {
        self.wait_for(stream, state.as_str_name(), |s| s.state() == state)
            .await
    }

    /// Subscribes to a stream that is on the bus.
    pub(crate) fn subscribe(&self, stream: &str, name: &str) -> Subscriber {
        let options = SubscriberOptions {
            name: name.to_owned(),
            timeout: PATIENCE,
            ..SubscriberOptions::default()
        };
        Subscriber::connect(&self.home.bus_socket(stream), options).unwrap()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- log of the service\n{}", self.home.log());
        }
    }
}

/// A configuration for a stream of a test camera.
pub(crate) fn stream_config(device: &str, size: (u32, u32)) -> v1::StreamConfig {
    v1::StreamConfig {
        device: device.to_owned(),
        size: Some(v1::Size {
            width: size.0,
            height: size.1,
        }),
        framerate: Some(v1::Framerate {
            numerator: 30,
            denominator: 1,
        }),
        ..v1::StreamConfig::default()
    }
}

/// A request to configure a stream.
pub(crate) fn configure(stream: &str, config: v1::StreamConfig) -> v1::ConfigureStreamRequest {
    v1::ConfigureStreamRequest {
        stream: stream.to_owned(),
        config: Some(config),
    }
}

pub(crate) fn start(stream: &str) -> v1::StartCaptureRequest {
    v1::StartCaptureRequest {
        stream: stream.to_owned(),
    }
}

pub(crate) fn stop(stream: &str) -> v1::StopCaptureRequest {
    v1::StopCaptureRequest {
        stream: stream.to_owned(),
    }
}

pub(crate) fn reset(stream: &str) -> v1::ResetCaptureRequest {
    v1::ResetCaptureRequest {
        stream: stream.to_owned(),
    }
}

/// The detail of a call that has to fail with this code and reason.
pub(crate) fn refused<T: std::fmt::Debug>(
    answer: Result<T, Status>,
    code: Code,
    reason: &str,
) -> (Status, v1::ErrorDetail) {
    let status = answer.expect_err(reason);
    assert_eq!(status.code(), code, "{status:?}");
    let detail =
        mos_camera_api::detail_of(&status).unwrap_or_else(|| panic!("no detail: {status:?}"));
    assert_eq!(detail.reason, reason, "{status:?}");
    (status, detail)
}

/// The exit code and the last words of a service that did not come up.
pub(crate) fn end_of(output: &Output) -> (i32, String) {
    (
        output.status.code().unwrap_or(-1),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}
