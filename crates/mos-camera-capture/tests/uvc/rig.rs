//! A service with a bystander that streams, and what it tells.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use libtest_mimic::Failed;
use mos_camera_api::v1::event::Kind;
use mos_camera_api::v1::{Device, Event, ListDevicesRequest, State, StreamConfig};
use mos_testkit::wait_until;
use mos_virtual_uvc::{Camera, CameraConfig, FormatKind, FormatSpec};
use tokio::sync::Notify;

use crate::harness::{Home, PATIENCE, Service, configure, start};

/// Whether this host has the drivers.
pub(crate) fn ready() -> bool {
    let usb = Path::new("/sys/devices/platform/vhci_hcd.0/attach").exists()
        && Path::new("/sys/bus/usb/drivers/uvcvideo").exists();
    let there = usb && !vivid("vid-cap").is_empty();
    assert!(
        there || std::env::var_os("MOS_UVC_REQUIRED").is_none(),
        "vhci_hcd, uvcvideo or vivid is not loaded, but MOS_UVC_REQUIRED is set"
    );
    there
}

/// Says that a test can't run without the drivers.
pub(crate) fn skip(test: &str) -> Result<(), Failed> {
    let why = "vhci_hcd, uvcvideo and vivid are not loaded; runs in the lab";
    Ok(mos_testkit::skip::skip(&format!("uvc {test}"), why)?)
}

/// The nodes of vivid whose name ends like this.
pub(crate) fn vivid(ending: &str) -> Vec<PathBuf> {
    let nodes = std::fs::read_dir("/sys/class/video4linux");
    let nodes = nodes.into_iter().flatten().flatten();
    let named = nodes.filter(|node| {
        let name = std::fs::read_to_string(node.path().join("name")).unwrap_or_default();
        name.starts_with("vivid-") && name.trim_end().ends_with(ending)
    });
    let mut found: Vec<_> = named
        .map(|node| Path::new("/dev").join(node.file_name()))
        .collect();
    found.sort();
    found
}

/// A camera of one format in one size, small enough for an emulated guest.
pub(crate) fn camera(serial: Option<&str>, kind: FormatKind) -> CameraConfig {
    CameraConfig {
        serial: serial.map(str::to_owned),
        formats: vec![FormatSpec::new(kind, &[(320, 240)], &[15])],
        ..CameraConfig::default()
    }
}

/// The node of a camera, once there is one.
pub(crate) fn node(camera: &Camera) -> PathBuf {
    wait_until("node of the camera", PATIENCE, || {
        camera.nodes().into_iter().find(|node| node.exists())
    })
    .unwrap()
}

/// When the kernel made a node.
pub(crate) fn made_at(node: &Path) -> SystemTime {
    std::fs::metadata(node).unwrap().created().unwrap()
}

/// A service whose stream `other` shows vivid at 5 frames a second, with all that it tells since its start.
pub(crate) struct Rig {
    pub(crate) service: Service,
    pub(crate) told: Told,
}

impl Rig {
    pub(crate) async fn start() -> Self {
        let vivid = vivid("vid-cap").remove(0);
        let home = Home::new(&format!(
            "[cameras.other]\nwidth = 320\nheight = 180\nframerate = \"5\"\nv4l2 = {{ path = \"{}\" }}\n",
            vivid.display()
        ));
        let rig = Self::of(home, Home::command).await;
        rig.service.wait_state("other", State::Streaming).await;
        prefer_vivid();
        rig
    }

    /// A service of its own, without the bystander, started by this command.
    pub(crate) async fn alone(command: impl FnOnce(&Home) -> Command) -> Self {
        Self::of(Home::new("[service]\nlog_level = \"info\"\n"), command).await
    }

    async fn of(home: Home, command: impl FnOnce(&Home) -> Command) -> Self {
        let command = command(&home);
        let service = home.start_as(command);
        let told = Told::listen(&service).await;
        Self { service, told }
    }

    /// What an earlier test plugged in is out again.
    pub(crate) async fn no_camera_is_left(&self) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while !self.cameras().await.is_empty() {
            assert!(tokio::time::Instant::now() < deadline, "a camera is left");
            tokio::task::yield_now().await;
        }
    }

    /// The USB cameras that are there.
    pub(crate) async fn cameras(&self) -> Vec<Device> {
        let answer = self
            .service
            .control()
            .await
            .list_devices(ListDevicesRequest::default())
            .await
            .unwrap()
            .into_inner();
        assert!(answer.problems.is_empty(), "{:?}", answer.problems);
        let usb = |device: &Device| device.id.starts_with("usb:");
        answer.devices.into_iter().filter(usb).collect()
    }

    /// Makes a stream of a camera's first format and waits until frames come.
    pub(crate) async fn stream(&self, name: &str, device: &str) {
        self.configure_and_start(
            name,
            StreamConfig {
                device: device.to_owned(),
                ..StreamConfig::default()
            },
        )
        .await;
        self.service.wait_state(name, State::Streaming).await;
    }

    pub(crate) async fn configure_and_start(&self, name: &str, config: StreamConfig) {
        let mut control = self.service.control().await;
        control
            .configure_stream(configure(name, config))
            .await
            .unwrap();
        control.start_capture(start(name)).await.unwrap();
    }

    /// The bystander noticed nothing: it streams, in its first session.
    pub(crate) async fn other_is_untouched(&self) {
        let other = self.service.status("other").await;
        assert_eq!(other.state(), State::Streaming, "{other:?}");
        assert_eq!(other.restarts, 0, "{other:?}");
    }
}

/// Gives the thread of the kernel that draws vivid's pictures precedence, as a camera's hardware has it: else an emulated
/// guest's busy processors make it skip pictures, and no reader could have them.
fn prefer_vivid() {
    let threads = std::fs::read_dir("/proc").unwrap().flatten();
    let drawing = threads.filter_map(|process| {
        let name = std::fs::read_to_string(process.path().join("comm")).ok()?;
        let pid = process.file_name().into_string().ok()?;
        name.starts_with("vivid-").then_some(pid)
    });
    for pid in drawing {
        let chrt = Command::new("chrt")
            .args(["--fifo", "--pid", "50", &pid])
            .status();
        assert!(chrt.unwrap().success(), "thread {pid} of vivid");
    }
}

/// All events so far, and those to come.
#[derive(Clone)]
pub(crate) struct Told(Arc<Shared>);

struct Shared {
    events: Mutex<Vec<Event>>,
    more: Notify,
}

impl Told {
    async fn listen(service: &Service) -> Self {
        let shared = Arc::new(Shared {
            events: Mutex::default(),
            more: Notify::new(),
        });
        let mut watch = service
            .events()
            .await
            .watch_events(mos_camera_api::v1::WatchEventsRequest::default())
            .await
            .unwrap()
            .into_inner();
        let told = Self(Arc::clone(&shared));
        tokio::spawn(async move {
            // Ends with the service.
            while let Ok(Some(event)) = watch.message().await {
                shared.events.lock().unwrap().push(event);
                shared.more.notify_waiters();
            }
        });
        told
    }

    /// How many events there are; what comes later comes after this mark.
    pub(crate) fn mark(&self) -> usize {
        self.0.events.lock().unwrap().len()
    }

    /// The first event after a mark that is as wanted, and its time.
    pub(crate) async fn after<T>(
        &self,
        mark: usize,
        what: &str,
        wanted: impl Fn(&Kind) -> Option<T>,
    ) -> (SystemTime, T) {
        let find = || {
            let events = self.0.events.lock().unwrap();
            events[mark..].iter().find_map(|event| {
                let found = wanted(event.kind.as_ref()?)?;
                let at = SystemTime::try_from(event.at?).unwrap();
                Some((at, found))
            })
        };
        let waiting = async {
            loop {
                let more = self.0.more.notified();
                tokio::pin!(more);
                // Before looking, so that nothing is missed between the look and the wait.
                more.as_mut().enable();
                if let Some(found) = find() {
                    return found;
                }
                more.await;
            }
        };
        let found = tokio::time::timeout(PATIENCE, waiting).await;
        found.unwrap_or_else(|late| {
            let events = self.0.events.lock().unwrap();
            panic!("no {what} ({late}) among {:#?}", &events[mark..])
        })
    }

    /// When a stream came into a state after a mark.
    pub(crate) async fn state(&self, mark: usize, stream: &str, state: State) -> SystemTime {
        let entered = |kind: &Kind| match kind {
            Kind::StateChanged(change) => {
                (change.stream == stream && change.to() == state).then_some(())
            }
            _ => None,
        };
        self.after(mark, state.as_str_name(), entered).await.0
    }

    /// When a USB camera was added after a mark, and what it is.
    pub(crate) async fn added(&self, mark: usize) -> (SystemTime, Device) {
        let added = |kind: &Kind| match kind {
            Kind::DeviceAdded(device) if device.id.starts_with("usb:") => Some(device.clone()),
            _ => None,
        };
        self.after(mark, "added device", added).await
    }
}

/// What is measured in the guest is measured under emulation, fifteen times slower than the host: the bars hold all the same.
pub(crate) fn within(what: &str, from: SystemTime, to: SystemTime, bar: Duration) {
    let took = to.duration_since(from).unwrap_or_default();
    println!("{what}: {took:.0?} (bar {bar:.0?})");
    assert!(took < bar, "{what} took {took:?}, not {bar:?}");
}
