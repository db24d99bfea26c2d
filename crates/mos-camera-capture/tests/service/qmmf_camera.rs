//! A camera of Qualcomm's camera service, whose element is the stand-in, loaded as a plugin. The service's socket is in a file system
//! of the program's own, so that nothing of it is seen outside. The test listens there and so plays the camera service.

use std::fs::{self, Permissions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use mos_camera_api::v1::{
    FaultKind, GetStatusRequest, ListDevicesRequest, Platform, State, StreamStatus,
};
use mos_testkit::{paths, skip, wait_until};

use crate::bystander::Bystander;
use crate::harness::{Home, PATIENCE, Service, reset};

/// `other` is a bystander.
const CONFIG: &str = r#"
[service]
platform = "qcs"
[onvif]
discovery = false
[cameras.mast]
width = 640
height = 480
framerate = "30"
steady_timeout_ms = 1000
qmmf = { camera = 3, link = "i2c@1/max96712@29/link2" }
[cameras.other]
width = 320
height = 240
framerate = "30"
test = {}
"#;

/// The camera's number in [`CONFIG`].
const CAMERA: u32 = 3;

/// Mounts `$1` where the camera service's socket is looked for, and becomes the program that follows.
pub(crate) const MOUNT: &str = "mount -t tmpfs tmpfs /run && mkdir /run/cam_server && mount --bind \"$1\" /run/cam_server && shift && exec \"$@\"";

pub(crate) fn can_mount(test: &str) -> bool {
    let tried = Command::new("unshare")
        .args(["--mount", "mount", "-t", "tmpfs", "tmpfs", "/run"])
        .output();
    let can = tried.is_ok_and(|output| output.status.success());
    if !can {
        let why = "it takes root and a mount namespace of its own";
        skip::skip(&format!("service {test}"), why).unwrap();
    }
    can
}

/// The camera service, played by this test.
#[derive(Debug)]
struct CameraService {
    socket: PathBuf,
    listener: Option<UnixListener>,
    client: Option<UnixStream>,
}

impl CameraService {
    fn new(socket: PathBuf) -> Self {
        Self {
            socket,
            listener: None,
            client: None,
        }
    }

    fn listen(&mut self) {
        let listener = UnixListener::bind(&self.socket).unwrap();
        listener.set_nonblocking(true).unwrap();
        self.listener = Some(listener);
    }

    /// Tells the stand-in what happens to its cameras.
    fn say(&mut self, line: &str) {
        let listener = self.listener.as_ref().unwrap();
        let client = self.client.get_or_insert_with(|| {
            let accepted = || listener.accept().ok().map(|(stream, _)| stream);
            wait_until("the stand-in's connection", PATIENCE, accepted).unwrap()
        });
        writeln!(client, "{line}").unwrap();
    }

    /// Its process ends. Before it did, nobody may have done what the documentation does not allow; what its end itself breaks is no
    /// fault of ours.
    fn die(&mut self) {
        fs::remove_file(&self.socket).unwrap();
        for mut client in self.connections() {
            client.set_nonblocking(true).unwrap();
            let mut refused = String::new();
            // The end is that there is no more, be it that nothing came yet.
            let _end = client.read_to_string(&mut refused);
            assert_eq!(refused, "");
        }
    }

    /// Every connection, also those that nobody spoke on yet; there are no more from now on.
    fn connections(&mut self) -> Vec<UnixStream> {
        let listener = self.listener.take();
        let pending = || Some(listener.as_ref()?.accept().ok()?.0);
        let unspoken = std::iter::from_fn(pending);
        self.client.take().into_iter().chain(unspoken).collect()
    }
}

impl Drop for CameraService {
    /// The service has been stopped by now: all is read that it was refused until its end.
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        for mut client in self.connections() {
            client.set_read_timeout(Some(PATIENCE)).unwrap();
            let mut refused = String::new();
            match client.read_to_string(&mut refused) {
                Ok(_) => {}
                // It ended before it read all that was said.
                Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
                Err(error) => panic!("the service was not stopped: {error}"),
            }
            assert_eq!(refused, "");
        }
    }
}

/// So that those tests that tell the stand-in nothing check it, too.
#[test]
fn what_the_stand_in_refused_is_read_from_a_connection_that_nobody_spoke_on() {
    for complaint in ["", "set while it plays\n"] {
        let folder = tempfile::tempdir().unwrap();
        let mut cameras = CameraService::new(folder.path().join("le_cam_socket"));
        cameras.listen();
        let mut standin = UnixStream::connect(&cameras.socket).unwrap();
        standin.write_all(complaint.as_bytes()).unwrap();
        drop(standin);
        let ended = std::panic::catch_unwind(move || drop(cameras));
        assert_eq!(ended.is_err(), !complaint.is_empty(), "{complaint}");
    }
}

/// Who is to run the service, and what it finds.
struct Setting {
    /// What the stand-in plays.
    build: &'static str,
    /// Whether the camera service is there already.
    listens: bool,
    /// Whether the service runs as a user who may not use it.
    stranger: bool,
}

/// A service with the stand-in of a build, and the camera service.
fn start(build: &'static str) -> (Service, CameraService) {
    start_in(&Setting {
        build,
        listens: true,
        stranger: false,
    })
}

/// `nobody` on Debian.
const NOBODY: u32 = 65534;

fn start_in(setting: &Setting) -> (Service, CameraService) {
    let home = Home::new(CONFIG);
    let sockets = home.path().join("cam_server");
    let plugins = home.path().join("plugins");
    for folder in [&sockets, &plugins] {
        fs::create_dir(folder).unwrap();
    }
    let mut cameras = CameraService::new(sockets.join("le_cam_socket"));
    if setting.listens {
        cameras.listen();
    }
    // Copies, which any user can reach; where they were built not everybody may.
    let plugin = paths::qmmf_standin().unwrap();
    fs::copy(&plugin, plugins.join(plugin.file_name().unwrap())).unwrap();
    let plain = home.command();
    let program = home.path().join("service");
    fs::copy(plain.get_program(), &program).unwrap();
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh", "-ec", MOUNT, "sh"])
        .arg(&sockets);
    if setting.stranger {
        fs::set_permissions(home.path(), Permissions::from_mode(0o777)).unwrap();
        command.args(["setpriv", "--clear-groups"]);
        command.args(["--reuid", "--regid"].map(|id| format!("{id}={NOBODY}")));
    }
    command
        .arg(program)
        .args(plain.get_args())
        .env_remove("NOTIFY_SOCKET")
        .env_remove("WATCHDOG_USEC")
        .env("GST_PLUGIN_PATH", &plugins)
        .env("GST_REGISTRY", home.path().join("registry.bin"))
        .env("MOS_QMMF_STANDIN", setting.build);
    (home.start_as(command), cameras)
}

/// What the service says of the machine.
async fn platform(service: &Service) -> Platform {
    let mut control = service.control().await;
    let status = control.get_status(GetStatusRequest::default()).await;
    let status = status.unwrap().into_inner().service.unwrap();
    status.platform.expect("a platform")
}

/// Waits until the last attempt ended with this fault, and the next is due.
async fn backs_off(service: &Service, kind: FaultKind) -> StreamStatus {
    let what = format!("back-off with {}", kind.as_str_name());
    service
        .wait_for("mast", &what, |s| {
            s.state() == State::Backoff && fault(s) == kind
        })
        .await
}

fn fault(status: &StreamStatus) -> FaultKind {
    status
        .fault
        .as_ref()
        .map_or(FaultKind::Unspecified, mos_camera_api::v1::Fault::kind)
}

/// Waits until the stream runs by another pipeline than that of `before`.
async fn streams_again(service: &Service, before: &StreamStatus) -> StreamStatus {
    let again = |s: &StreamStatus| s.state() == State::Streaming && s.restarts > before.restarts;
    service.wait_for("mast", "new pipeline", again).await
}

#[tokio::test]
async fn a_camera_behind_a_deserializer_streams() {
    if !can_mount("qmmf_camera::a_camera_behind_a_deserializer_streams") {
        return;
    }
    let (service, _cameras) = start("gbm");
    let found = platform(&service).await;
    assert_eq!(found.csi_backend, "qmmf");
    assert!(found.problems.is_empty(), "{:?}", found.problems);
    service.wait_state("mast", State::Streaming).await;
    let mut control = service.control().await;
    let listed = control.list_devices(ListDevicesRequest::default()).await;
    let listed = listed.unwrap().into_inner();
    let id = "gmsl:i2c@1/max96712@29/link2";
    let camera = listed.devices.iter().find(|device| device.id == id);
    let camera = camera.unwrap_or_else(|| panic!("{listed:?}"));
    assert_eq!(camera.location, "camera 3 of the camera service");
    let (end, home) = service.stop();
    assert!(end.success(), "{}", home.log());
    assert!(!home.log().contains("left behind"), "{}", home.log());
}

/// Its death is told by the element, or nobody tells it and frames end: the stream is tried again until the service is back, a reset
/// begins anew, and the subscriber that was there gets frames again.
#[tokio::test]
async fn the_camera_service_dies_and_comes_back() {
    if !can_mount("qmmf_camera::the_camera_service_dies_and_comes_back") {
        return;
    }
    for (heard, first) in [(true, "Camera service has died"), (false, "no frame")] {
        let (service, mut cameras) = start("gbm");
        let other = Bystander::watch(&service).await;
        let before = service.wait_state("mast", State::Streaming).await;
        let mut subscriber = service.subscribe("mast", "subject");
        assert!(subscriber.next_timeout(PATIENCE).unwrap().is_some());
        if !heard {
            cameras.say("unheard");
        }
        cameras.die();
        let lost = backs_off(&service, FaultKind::Unreachable).await;
        assert!(lost.fault.unwrap().hint.contains("cam-server"));
        assert!(service.home.log().contains(first), "heard: {heard}");

        // Some attempts in, so that a reset can be told from the next attempt.
        let tired = |s: &StreamStatus| s.state() == State::Backoff && s.attempt >= 3;
        let tired = service.wait_for("mast", "third attempt", tired).await;
        let mut control = service.control().await;
        control.reset_capture(reset("mast")).await.unwrap();
        let fresh = |s: &StreamStatus| {
            s.state() == State::Backoff
                && s.attempt < tired.attempt
                && fault(s) == FaultKind::Unreachable
        };
        service.wait_for("mast", "new beginning", fresh).await;

        cameras.listen();
        let back = streams_again(&service, &before).await;
        assert_eq!(back.attempt, 0);
        let frame = subscriber.next_timeout(PATIENCE).unwrap();
        assert!(frame.is_some(), "the subscriber is left behind");
        // With a frame still held at the stop, the element finds its descriptor in use.
        drop(frame);
        other.did_not_notice();
        let (end, home) = service.stop();
        assert!(end.success(), "{}", home.log());
    }
}

/// The sensor freezes: no error, but no frames either, which the watchdog sees.
#[tokio::test]
async fn a_frozen_sensor_is_opened_again() {
    if !can_mount("qmmf_camera::a_frozen_sensor_is_opened_again") {
        return;
    }
    let (service, mut cameras) = start("gbm");
    let other = Bystander::watch(&service).await;
    let before = service.wait_state("mast", State::Streaming).await;
    cameras.say(&format!("freeze {CAMERA}"));
    let again = streams_again(&service, &before).await;
    assert_eq!(fault(&again), FaultKind::Stalled);
    assert!(service.home.log().contains("the sensor froze"));
    other.did_not_notice();
    let (end, home) = service.stop();
    assert!(end.success(), "{}", home.log());
}

/// An error of the camera ends the stream, and a reset of a stream that runs is a new pipeline.
#[tokio::test]
async fn a_broken_camera_is_opened_again_and_so_is_one_that_is_reset() {
    if !can_mount("qmmf_camera::a_broken_camera_is_opened_again_and_so_is_one_that_is_reset") {
        return;
    }
    let (service, mut cameras) = start("gbm");
    let before = service.wait_state("mast", State::Streaming).await;
    cameras.say(&format!("break {CAMERA}"));
    let again = streams_again(&service, &before).await;
    assert_eq!(fault(&again), FaultKind::Disconnected);
    let mut control = service.control().await;
    control.reset_capture(reset("mast")).await.unwrap();
    let anew = streams_again(&service, &again).await;
    assert_eq!((fault(&anew), anew.attempt), (FaultKind::Unspecified, 0));
    let (end, home) = service.stop();
    assert!(end.success(), "{}", home.log());
}

/// The camera is pulled: newer releases say so, of older ones only frames end. Either way it streams again when it is back.
#[tokio::test]
async fn a_camera_is_pulled_and_put_back() {
    if !can_mount("qmmf_camera::a_camera_is_pulled_and_put_back") {
        return;
    }
    for (build, first) in [("gbm", "the camera is gone"), ("gbm,older", "no frame")] {
        let (service, mut cameras) = start(build);
        let other = Bystander::watch(&service).await;
        let before = service.wait_state("mast", State::Streaming).await;
        cameras.say(&format!("pull {CAMERA}"));
        // It is tried again, and can't be opened.
        let tried = |s: &StreamStatus| {
            s.state() == State::Backoff && s.attempt >= 2 && fault(s) == FaultKind::Absent
        };
        service.wait_for("mast", "second attempt", tried).await;
        assert!(service.home.log().contains(first), "{build}");
        cameras.say(&format!("plug {CAMERA}"));
        streams_again(&service, &before).await;
        other.did_not_notice();
        let (end, home) = service.stop();
        assert!(end.success(), "{}", home.log());
    }
}

/// The camera service starts after this one: until then it is said what is missing, then its camera streams without a restart.
#[tokio::test]
async fn a_camera_service_that_comes_later_is_used() {
    if !can_mount("qmmf_camera::a_camera_service_that_comes_later_is_used") {
        return;
    }
    let (service, mut cameras) = start_in(&Setting {
        build: "gbm",
        listens: false,
        stranger: false,
    });
    let other = Bystander::watch(&service).await;
    let failed = service.wait_state("mast", State::Failed).await;
    assert_eq!(fault(&failed), FaultKind::Missing);
    let said = failed.fault.unwrap().message;
    assert!(said.contains("does not listen"), "{said}");
    let found = platform(&service).await;
    assert_ne!(found.csi_backend, "qmmf");
    assert!(found.problems[0].hint.contains("as soon as it listens"));
    cameras.listen();
    service.wait_state("mast", State::Streaming).await;
    let found = platform(&service).await;
    assert_eq!(found.csi_backend, "qmmf");
    assert!(found.problems.is_empty(), "{:?}", found.problems);
    // From here on it may go and come as any.
    cameras.die();
    backs_off(&service, FaultKind::Unreachable).await;
    cameras.listen();
    service.wait_state("mast", State::Streaming).await;
    other.did_not_notice();
    let (end, home) = service.stop();
    assert!(end.success(), "{}", home.log());
}

/// The socket is there, but this service may not use it: that is what is said, not that nobody listens.
#[tokio::test]
async fn a_camera_service_that_lets_nobody_in_is_told_from_one_that_is_not_there() {
    if !can_mount(
        "qmmf_camera::a_camera_service_that_lets_nobody_in_is_told_from_one_that_is_not_there",
    ) {
        return;
    }
    let (service, cameras) = start_in(&Setting {
        build: "gbm",
        listens: true,
        stranger: true,
    });
    let failed = service.wait_state("mast", State::Failed).await;
    let said = failed.fault.unwrap().message;
    assert!(said.contains("no permission"), "{said}");
    let found = platform(&service).await;
    let [problem] = &found.problems[..] else {
        panic!("{:?}", found.problems)
    };
    assert!(problem.message.contains("no permission"), "{problem:?}");
    assert!(problem.hint.contains("SupplementaryGroups="), "{problem:?}");
    // As the camera service does a moment after it made its socket, here for everybody: client sockets are made in the folder.
    let open = |path: &Path| fs::set_permissions(path, Permissions::from_mode(0o777)).unwrap();
    open(cameras.socket.parent().unwrap());
    open(&cameras.socket);
    service.wait_state("mast", State::Streaming).await;
    assert_eq!(platform(&service).await.csi_backend, "qmmf");
    // The same while a stream runs and is opened anew.
    let closed = Permissions::from_mode(0o700);
    fs::set_permissions(&cameras.socket, closed).unwrap();
    let mut control = service.control().await;
    control.reset_capture(reset("mast")).await.unwrap();
    let denied = backs_off(&service, FaultKind::Unreachable)
        .await
        .fault
        .unwrap();
    assert!(denied.message.contains("no permission"), "{denied:?}");
    open(&cameras.socket);
    service.wait_state("mast", State::Streaming).await;
    let (end, home) = service.stop();
    assert!(end.success(), "{}", home.log());
}
