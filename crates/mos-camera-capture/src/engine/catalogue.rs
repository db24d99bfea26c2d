//! The devices: what the backends found when they were last asked.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use mos_camera_backends::{
    Backend, LibcameraBackend, OnvifBackend, QmmfBackend, Registry, RtspBackend, V4l2Backend,
    WhepBackend, libcamera, onvif, qmmf,
};
use mos_camera_core::plan::Explanation;
use mos_camera_core::platform::{CsiBackend, Platform};
use mos_camera_core::{
    ControlValues, Device, DeviceId, Fault, FaultKind, Health, QmmfSource, SourceConfig,
    StreamConfig, TestSource, Transport,
};

use tokio::sync::Notify;

use crate::config::Config;

/// The backends, and the devices that they found.
#[derive(Debug)]
pub(super) struct Catalogue {
    backends: RwLock<Backends>,
    /// What is known of V4L2 nodes; it outlives the backends.
    v4l2: Arc<Registry>,
    /// What is known of ONVIF cameras, and who listens for them; it outlives the backends.
    onvif: Arc<onvif::Registry>,
    /// What drives the cameras on the chip; it outlives the backends.
    chip: RwLock<Chip>,
    found: Mutex<Found>,
    /// One look at a time.
    looking: tokio::sync::Mutex<()>,
    /// By transport: a look runs, or hangs.
    busy: Mutex<BTreeMap<Transport, Arc<Busy>>>,
    /// Asks for another look.
    again: Arc<Notify>,
    /// By device: somebody asks it something.
    turns: Mutex<BTreeMap<DeviceId, Arc<tokio::sync::Mutex<()>>>>,
}

/// Whether a look at one transport runs.
#[derive(Debug)]
struct Busy {
    runs: AtomicBool,
    /// Somebody did not get the answer: another look is due when this one ends.
    owes: AtomicBool,
    again: Arc<Notify>,
}

impl Busy {
    const fn new(again: Arc<Notify>) -> Self {
        Self {
            runs: AtomicBool::new(false),
            owes: AtomicBool::new(false),
            again,
        }
    }

    /// Somebody did not get the answer of the look that runs; it may have ended meanwhile.
    fn owe(&self) {
        self.owes.store(true, Ordering::SeqCst);
        if !self.runs.load(Ordering::SeqCst) {
            self.pay();
        }
    }

    fn end(&self) {
        self.runs.store(false, Ordering::SeqCst);
        self.pay();
    }

    fn pay(&self) {
        if self.owes.swap(false, Ordering::SeqCst) {
            self.again.notify_one();
        }
    }
}

/// Longest wait for a backend's discovery: a driver that hangs must not hang the service.
const PATIENCE: Duration = Duration::from_secs(10);

/// How well to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effort {
    /// Ask every device.
    Full,
    /// See which came and went.
    WhatChanged,
}

/// What drives the cameras that are wired to the chip, and what is known of them.
#[derive(Debug)]
enum Chip {
    /// Qualcomm's camera service.
    Qmmf(Arc<qmmf::Registry>),
    /// Something else.
    Other {
        /// libcamera; none: they are V4L2 nodes, if the kernel shows any.
        libcamera: Option<Arc<libcamera::Registry>>,
        /// Why it is not Qualcomm's camera service.
        why: String,
    },
}

impl Chip {
    /// By what was found out about the machine.
    fn new(platform: &Platform) -> Self {
        match platform.csi {
            Some(CsiBackend::Qmmf) => {
                Self::Qmmf(Arc::new(qmmf::Registry::new("/", platform.element)))
            }
            Some(CsiBackend::Libcamera) => Self::Other {
                libcamera: Some(Arc::default()),
                why: why_not_qmmf(platform),
            },
            None => Self::Other {
                libcamera: None,
                why: why_not_qmmf(platform),
            },
        }
    }

    fn libcamera(&self) -> Option<&Arc<libcamera::Registry>> {
        match self {
            Self::Qmmf(_) => None,
            Self::Other { libcamera, .. } => libcamera.as_ref(),
        }
    }
}

fn why_not_qmmf(platform: &Platform) -> String {
    let refused = platform.refused.iter();
    let qmmf = refused
        .map(|r| (r.backend, &r.why))
        .find(|(backend, _)| *backend == CsiBackend::Qmmf);
    qmmf.map_or_else(
        || format!("it is not looked for on this {} machine", platform.family),
        |(_, why)| why.clone(),
    )
}

type Backends = BTreeMap<Transport, Arc<dyn Backend>>;

#[derive(Debug, Default)]
struct Found {
    devices: BTreeMap<DeviceId, Device>,
    problems: BTreeMap<Transport, Fault>,
}

/// What is there.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// The devices, sorted by id.
    pub devices: Vec<Device>,
    /// The transports whose discovery did not work.
    pub problems: Vec<Problem>,
}

/// Discovery of one transport did not work.
#[derive(Debug, Clone)]
pub struct Problem {
    /// The transport.
    pub transport: Transport,
    /// Why.
    pub fault: Fault,
}

/// What came and went.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Devices that were not there before.
    pub added: Vec<Device>,
    /// Devices that are not there any more.
    pub removed: Vec<DeviceId>,
    /// Devices that could not be used and now can.
    pub mended: Vec<DeviceId>,
}

impl Catalogue {
    /// Knows the cameras of the file; nothing was looked for yet.
    pub(super) fn new(config: &Config, platform: &Platform) -> Self {
        let chip = Chip::new(platform);
        let v4l2 = Arc::default();
        let again: Arc<Notify> = Arc::default();
        let look = Arc::clone(&again);
        let onvif = Arc::new(onvif::Registry::new(move || look.notify_one()));
        Self {
            backends: RwLock::new(backends(config, &v4l2, &onvif, &chip)),
            v4l2,
            onvif,
            chip: RwLock::new(chip),
            found: Mutex::default(),
            looking: tokio::sync::Mutex::default(),
            busy: Mutex::default(),
            again,
            turns: Mutex::default(),
        }
    }

    /// Knows the devices of one backend.
    #[cfg(test)]
    pub(super) fn of(backend: Arc<dyn Backend>) -> Self {
        let mut config = Config::default();
        config.onvif.discovery = false;
        let nothing = mos_camera_core::platform::Evidence::default();
        let platform = mos_camera_core::platform::decide(&nothing, None);
        let catalogue = Self::new(&config, &platform);
        *catalogue
            .backends
            .write()
            .unwrap_or_else(PoisonError::into_inner) = [(backend.transport(), backend)].into();
        catalogue
    }

    /// Asks whoever waits for it for another look; one that was too slow does so itself when it ends.
    pub(super) fn again(&self) -> Arc<Notify> {
        Arc::clone(&self.again)
    }

    /// Knows other cameras from the next look on.
    pub(super) fn replace(&self, config: &Config) {
        let chip = self.chip.read().unwrap_or_else(PoisonError::into_inner);
        *self
            .backends
            .write()
            .unwrap_or_else(PoisonError::into_inner) =
            backends(config, &self.v4l2, &self.onvif, &chip);
    }

    /// The cameras on the chip are driven by something else from the next look on: the machine is not what it was.
    pub(super) fn rewire(&self, config: &Config, platform: &Platform) {
        *self.chip.write().unwrap_or_else(PoisonError::into_inner) = Chip::new(platform);
        self.replace(config);
    }

    /// The backend of a device.
    pub(super) fn backend(&self, device: &DeviceId) -> Result<Arc<dyn Backend>, Fault> {
        let transport = device.transport();
        let backends = self.backends.read().unwrap_or_else(PoisonError::into_inner);
        backends.get(&transport).cloned().ok_or_else(|| {
            let message = format!("this build has no backend for {transport} devices");
            Fault::new(
                FaultKind::Missing,
                message,
                "test cameras need a development build; other transports are not built yet",
            )
        })
    }

    /// Sets controls of a camera, for as long as [`PATIENCE`] lasts.
    pub(super) async fn set_controls(
        &self,
        device: &DeviceId,
        values: &ControlValues,
    ) -> Result<(), Fault> {
        let (id, values) = (device.clone(), values.clone());
        self.ask(device, move |backend| backend.set_controls(&id, &values))
            .await
    }

    /// Asks a device for something that may hang. One that hangs has one thread, however often it is asked.
    async fn ask<T: Send + 'static>(
        &self,
        device: &DeviceId,
        question: impl FnOnce(&dyn Backend) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let backend = self.backend(device)?;
        let turn = self.turn(device);
        let asking = async {
            let turn = turn.lock_owned().await;
            let task = tokio::task::spawn_blocking(move || {
                let _turn = turn;
                question(&*backend)
            });
            task.await
        };
        match tokio::time::timeout(PATIENCE, asking).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => Err(broke_down(device.transport(), &error)),
            Err(_) => Err(no_answer(device)),
        }
    }

    /// The right to ask a device.
    fn turn(&self, device: &DeviceId) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        // Ids come from callers: those that nobody waits for must not pile up.
        turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        Arc::clone(turns.entry(device.clone()).or_default())
    }

    /// Asks every backend what is there now.
    pub(super) async fn refresh(&self, effort: Effort) -> Changes {
        let _turn = self.looking.lock().await;
        let backends: Vec<_> = {
            let backends = self.backends.read().unwrap_or_else(PoisonError::into_inner);
            backends.iter().map(|(t, b)| (*t, Arc::clone(b))).collect()
        };
        let certain = backends.iter().flat_map(|(_, b)| b.certain()).collect();
        let looks = backends.into_iter().map(|(transport, backend)| async move {
            let found = look(backend, self.busy(transport), effort, PATIENCE).await;
            (transport, found)
        });
        let results = futures::future::join_all(looks).await;
        self.found
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take_in(results, certain)
    }

    /// How a device's pictures would become NV12, for as long as [`PATIENCE`] lasts.
    pub(super) async fn explain(&self, config: &StreamConfig) -> Result<Explanation, Fault> {
        let asked = config.clone();
        self.ask(&config.device, move |backend| {
            backend.explain(&asked.device, &asked)
        })
        .await
    }

    fn busy(&self, transport: Transport) -> Arc<Busy> {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(Busy::new(Arc::clone(&self.again)));
        Arc::clone(busy.entry(transport).or_insert_with(new))
    }

    /// What was found at the last look.
    pub(super) fn listing(&self) -> Listing {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let problems = found.problems.iter().map(|(transport, fault)| Problem {
            transport: *transport,
            fault: fault.clone(),
        });
        Listing {
            devices: found.devices.values().cloned().collect(),
            problems: problems.collect(),
        }
    }

    /// Whether a device was there at the last look. One that nobody can look for counts as there: building its pipeline says why.
    pub(super) fn is_present(&self, device: &DeviceId) -> bool {
        if !self.backend(device).is_ok_and(|backend| backend.can_look()) {
            return true;
        }
        self.found
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .devices
            .contains_key(device)
    }
}

impl Found {
    /// Takes in what each transport's look gave. A look that failed says nothing about its devices: they stay as they were, and
    /// those that are `certain` are there all the same.
    fn take_in(
        &mut self,
        results: Vec<(Transport, Result<Vec<Device>, Fault>)>,
        certain: Vec<Device>,
    ) -> Changes {
        let mut next = Self::default();
        for (transport, result) in results {
            match result {
                Ok(devices) => next
                    .devices
                    .extend(devices.into_iter().map(|d| (d.id.clone(), d))),
                Err(fault) => {
                    let known = self
                        .devices
                        .iter()
                        .filter(|(_, d)| d.transport == transport);
                    next.devices
                        .extend(known.map(|(id, d)| (id.clone(), d.clone())));
                    next.problems.insert(transport, fault);
                }
            }
        }
        // As they are now: what is known of them may be from before a reload.
        next.devices
            .extend(certain.into_iter().map(|d| (d.id.clone(), d)));
        let old = std::mem::replace(self, next);
        let added = self
            .devices
            .values()
            .filter(|d| !old.devices.contains_key(&d.id))
            .cloned()
            .collect();
        let was_broken = |id: &DeviceId| old.devices.get(id).is_some_and(is_broken);
        let mended = self.devices.values().filter(|d| !is_broken(d));
        let mended = mended.map(|d| d.id.clone()).filter(was_broken).collect();
        let removed = old
            .devices
            .into_keys()
            .filter(|id| !self.devices.contains_key(id))
            .collect();
        Changes {
            added,
            removed,
            mended,
        }
    }
}

/// Whether opening the device is of no use.
fn is_broken(device: &Device) -> bool {
    matches!(device.health, Health::NoPermission(_) | Health::Unusable(_))
}

/// Asks a backend, for as long as `patience` lasts. One that did not answer is left alone until it has.
async fn look(
    backend: Arc<dyn Backend>,
    busy: Arc<Busy>,
    effort: Effort,
    patience: Duration,
) -> Result<Vec<Device>, Fault> {
    let transport = backend.transport();
    if busy.runs.swap(true, Ordering::SeqCst) {
        busy.owe();
        return Err(hangs(transport));
    }
    let idle_again = IdleAgain(Arc::clone(&busy));
    let task = tokio::task::spawn_blocking(move || {
        let _idle_again = idle_again;
        match effort {
            Effort::Full => backend.discover(),
            Effort::WhatChanged => backend.discover_again(),
        }
    });
    match tokio::time::timeout(patience, task).await {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => Err(broke_down(transport, &error)),
        Err(_) => {
            busy.owe();
            Err(hangs(transport))
        }
    }
}

fn broke_down(transport: Transport, error: &tokio::task::JoinError) -> Fault {
    Fault::new(
        FaultKind::Internal,
        format!("discovery of {transport} devices broke down: {error}"),
        "please report this with the log",
    )
}

/// Says on drop, also by a panic, that the look is over.
struct IdleAgain(Arc<Busy>);

impl Drop for IdleAgain {
    fn drop(&mut self) {
        self.0.end();
    }
}

fn no_answer(device: &DeviceId) -> Fault {
    Fault::new(
        FaultKind::Internal,
        format!("{device} does not answer"),
        "unplug or power-cycle it; the kernel's log may say more",
    )
}

fn hangs(transport: Transport) -> Fault {
    Fault::new(
        FaultKind::Internal,
        format!("discovery of {transport} devices does not answer"),
        "a driver hangs: unplug or power-cycle the camera that was plugged in last; the kernel's log may name it",
    )
}

/// One backend for each transport, each with the cameras of the file that are its own.
fn backends(
    config: &Config,
    registry: &Arc<Registry>,
    onvif: &Arc<onvif::Registry>,
    chip: &Chip,
) -> Backends {
    let (mut test, mut rtsp, mut v4l2) = (Vec::new(), Vec::new(), Vec::new());
    let (mut named, mut whep, mut wired) = (Vec::new(), Vec::new(), Vec::new());
    let (mut taken, mut by_libcamera) = (Vec::new(), Vec::new());
    for (name, camera) in &config.cameras {
        let name = name.to_string();
        match camera.source.clone() {
            SourceConfig::Test(source) => test.push((name, source)),
            SourceConfig::Rtsp(source) => rtsp.push((name, source)),
            SourceConfig::Onvif(source) => named.push((name, source)),
            SourceConfig::V4l2(source) => {
                taken.push(source.path.clone());
                v4l2.push((name, source));
            }
            SourceConfig::Libcamera(source) => by_libcamera.push(source.device()),
            SourceConfig::Qmmf(source) => wired.push((name, source)),
            SourceConfig::Whep(source) => whep.push((name, source)),
        }
    }
    onvif.configure(&config.onvif, named);
    let rtsp = RtspBackend::new(rtsp);
    let mut nodes = V4l2Backend::new(v4l2, Arc::clone(registry));
    let mut usb = V4l2Backend::usb(Arc::clone(registry), taken.clone());
    if let Some(libcamera) = chip.libcamera() {
        nodes = nodes.beside(Arc::clone(libcamera));
        // Without a name none of its cameras is on USB.
        if !by_libcamera.is_empty() {
            usb = usb.beside(Arc::clone(libcamera));
        }
        libcamera.configure(by_libcamera);
    } else if !by_libcamera.is_empty() {
        tracing::error!(
            cameras = ?by_libcamera,
            "these cameras are configured for libcamera, which drives none on this machine; `mosctl platform` says why"
        );
    }
    let others: [Option<Arc<dyn Backend>>; 5] = [
        test_backend(test),
        Some(Arc::new(OnvifBackend::new(rtsp, Arc::clone(onvif)))),
        Some(Arc::new(nodes)),
        Some(Arc::new(usb)),
        Some(Arc::new(WhepBackend::new(whep))),
    ];
    on_chip(chip, wired, taken)
        .into_iter()
        .chain(others.into_iter().flatten())
        .map(|backend| (backend.transport(), backend))
        .collect()
}

/// The backends of cameras that are wired to the chip.
///
/// Cameras of Qualcomm's camera service are told what is missing on a machine that does not use it, also those that only its device
/// tree would show.
fn on_chip(
    chip: &Chip,
    wired: Vec<(String, QmmfSource)>,
    taken: Vec<PathBuf>,
) -> Vec<Arc<dyn Backend>> {
    match chip {
        Chip::Qmmf(registry) => {
            registry.configure(wired);
            vec![
                Arc::new(QmmfBackend::csi(Arc::clone(registry))),
                Arc::new(QmmfBackend::gmsl(Arc::clone(registry))),
            ]
        }
        Chip::Other { libcamera, why } => {
            let csi = libcamera.as_ref().map(|registry| -> Arc<dyn Backend> {
                Arc::new(LibcameraBackend::new(Arc::clone(registry), taken))
            });
            let both = [(Transport::MipiCsi, csi), (Transport::Gmsl2, None)].into_iter();
            both.map(|(transport, beside)| -> Arc<dyn Backend> {
                Arc::new(qmmf::Unserved::new(transport, &wired, why, beside))
            })
            .collect()
        }
    }
}

#[cfg(feature = "development")]
#[allow(clippy::unnecessary_wraps, reason = "a production build has none")]
fn test_backend(cameras: Vec<(String, TestSource)>) -> Option<Arc<dyn Backend>> {
    Some(Arc::new(mos_camera_backends::TestBackend::new(cameras)))
}

/// Generated cameras are for development: in a production build their streams fail, for it has no backend for them.
#[cfg(not(feature = "development"))]
fn test_backend(cameras: Vec<(String, TestSource)>) -> Option<Arc<dyn Backend>> {
    for (name, _) in cameras {
        tracing::error!(
            camera = name,
            "a test camera needs a development build; this is a production build"
        );
    }
    None
}

#[cfg(test)]
mod tests {
    use mos_camera_core::platform::{CameraService, ElementState, Evidence, decide};

    use super::*;

    /// A QCS board with these elements; the camera service listens or does not.
    fn qcs(elements: &[&str], camera_service: CameraService) -> Platform {
        let usable = |name: &&str| ((*name).to_owned(), ElementState::Usable);
        let evidence = Evidence {
            compatible: vec!["qcom,qcm6490".to_owned()],
            elements: elements.iter().map(usable).collect(),
            camera_service,
            ..Evidence::default()
        };
        decide(&evidence, None)
    }

    /// Cameras of the operator's that only Qualcomm's service knows, on machines without it: they are listed with the reason, and a
    /// stream of one fails for want of the service, whoever drives the others.
    #[test]
    fn a_camera_of_a_service_that_is_not_used_is_told_what_is_missing() {
        gst::init().unwrap();
        let config = crate::config::parse(
            "cameras.toml".as_ref(),
            "
            [onvif]
            discovery = false
            [cameras.mast.qmmf]
            camera = 0
            [cameras.roof.qmmf]
            camera = 1
            link = 'i2c@1/max96712@29/link0'",
        )
        .unwrap();
        let pc = decide(&Evidence::default(), None);
        let without = qcs(&["libcamerasrc", "qticamsrc"], CameraService::Absent);
        assert_eq!(without.csi, Some(CsiBackend::Libcamera));
        for (platform, why) in [
            (pc, "generic machine"),
            (qcs(&["libcamerasrc"], CameraService::Listens), "no element"),
            (without, "does not listen"),
            (qcs(&["qticamsrc"], CameraService::Denied), "no permission"),
        ] {
            let catalogue = Catalogue::new(&config, &platform);
            for id in ["csi:mast", "gmsl:i2c@1/max96712@29/link0"] {
                let id: DeviceId = id.parse().unwrap();
                let backend = catalogue.backend(&id).unwrap();
                let stream = StreamConfig::new(id.clone());
                let fault = backend.source(&id, &stream).unwrap_err();
                assert_eq!(fault.kind, FaultKind::Missing, "{fault}");
                assert!(fault.message.contains(why), "{why}: {fault}");
                assert!(fault.hint.contains("mosctl platform"), "{fault}");
                assert!(backend.explain(&id, &stream).is_err());
                assert!(backend.reset(&id).is_err());
                // Without libcamera on this machine the others can't be looked for.
                let alone = platform.csi.is_none() || id.transport() == Transport::Gmsl2;
                if alone {
                    let listed = backend.discover().unwrap();
                    assert_eq!(listed.len(), 1, "{listed:?}");
                    assert!(
                        matches!(&listed[0].health, Health::Unusable(text) if text.contains(why)),
                        "{listed:?}"
                    );
                }
            }
        }
    }

    /// Both transports have one, whatever drives them.
    #[test]
    fn the_chips_cameras_have_one_backend() {
        let config = Config::default();
        let transports = |platform: &Platform| -> Vec<Transport> {
            let chip = Chip::new(platform);
            let found = on_chip(&chip, Vec::new(), Vec::new());
            found.iter().map(|backend| backend.transport()).collect()
        };
        let (csi, gmsl) = (Transport::MipiCsi, Transport::Gmsl2);
        let both = ["libcamerasrc", "qticamsrc"];
        assert_eq!(transports(&qcs(&both, CameraService::Listens)), [csi, gmsl]);
        assert_eq!(transports(&qcs(&both, CameraService::Absent)), [csi, gmsl]);
        assert_eq!(transports(&qcs(&[], CameraService::Absent)), [csi, gmsl]);
        // A machine may become another.
        let catalogue = Catalogue::new(&config, &qcs(&both, CameraService::Absent));
        let link: DeviceId = "gmsl:x/link0".parse().unwrap();
        assert!(catalogue.is_present(&link), "nobody can look for it");
        assert!(
            !catalogue.is_present(&"csi:x".parse().unwrap()),
            "libcamera can"
        );
        catalogue.rewire(&config, &qcs(&both, CameraService::Listens));
        assert!(!catalogue.is_present(&link));
    }

    fn device(transport: Transport, rest: &str) -> Device {
        Device {
            id: DeviceId::new(transport, rest),
            transport,
            model: String::new(),
            location: String::new(),
            capabilities: Vec::new(),
            controls: Vec::new(),
            profiles: Vec::new(),
            health: Health::Ready,
        }
    }

    /// As a test camera in a production build: its stream has to fail with this fault, not to wait for a device.
    #[test]
    fn a_device_without_a_backend_is_a_fault_and_not_absent() {
        let door = DeviceId::new(Transport::Rtsp, "door");
        let mut catalogue = Catalogue::new(&Config::default(), &decide(&Evidence::default(), None));
        assert!(!catalogue.is_present(&door));
        catalogue.backends = RwLock::default();
        assert!(catalogue.is_present(&door));
        assert_eq!(
            catalogue.backend(&door).unwrap_err().kind,
            FaultKind::Missing
        );
    }

    #[test]
    fn what_came_and_went_is_told_once() {
        let (a, b) = (device(Transport::V4l2, "a"), device(Transport::V4l2, "b"));
        let mut found = Found::default();
        let first = found.take_in(vec![(Transport::V4l2, Ok(vec![a.clone()]))], vec![]);
        assert_eq!((first.added, first.removed), (vec![a.clone()], vec![]));
        let second = found.take_in(vec![(Transport::V4l2, Ok(vec![b.clone()]))], vec![]);
        assert_eq!(
            (second.added, second.removed),
            (vec![b.clone()], vec![a.id])
        );
        let third = found.take_in(vec![(Transport::V4l2, Ok(vec![b]))], vec![]);
        assert_eq!((third.added, third.removed), (vec![], vec![]));
    }

    #[test]
    fn a_device_that_can_be_used_at_last_is_told() {
        let with = |health| Device {
            health,
            ..device(Transport::V4l2, "a")
        };
        let denied = || Health::NoPermission("no".to_owned());
        let mut found = Found::default();
        for (health, mended) in [
            (denied(), false),
            (denied(), false),
            (Health::Ready, true),
            (Health::Busy("x".to_owned()), false),
            (Health::Unusable("x".to_owned()), false),
            (Health::Busy("x".to_owned()), true),
        ] {
            let changes = found.take_in(
                vec![(Transport::V4l2, Ok(vec![with(health.clone())]))],
                vec![],
            );
            assert_eq!(changes.mended.len(), usize::from(mended), "{health:?}");
        }
    }

    #[test]
    fn a_failed_look_does_not_unplug_anything() {
        let (a, cam) = (device(Transport::V4l2, "a"), device(Transport::Rtsp, "cam"));
        let mut found = Found::default();
        found.take_in(
            vec![
                (Transport::V4l2, Ok(vec![a])),
                (Transport::Rtsp, Ok(vec![cam])),
            ],
            vec![],
        );
        let fault = Fault::new(FaultKind::Internal, "no", "");
        let changes = found.take_in(
            vec![
                (Transport::V4l2, Err(fault.clone())),
                (Transport::Rtsp, Ok(vec![])),
            ],
            vec![device(Transport::V4l2, "sure")],
        );
        assert_eq!(changes.removed, [DeviceId::new(Transport::Rtsp, "cam")]);
        // The camera that needs no look is not lost with the look at the others.
        let ids: Vec<_> = found.devices.keys().map(DeviceId::rest).collect();
        assert_eq!(ids, ["a", "sure"]);
        assert_eq!(changes.added, [device(Transport::V4l2, "sure")]);
        assert_eq!(found.problems[&Transport::V4l2], fault);
    }

    /// A driver that hangs until it is let go; no real one does so on demand.
    #[derive(Debug)]
    struct Hanging(Mutex<std::sync::mpsc::Receiver<()>>);

    impl Backend for Hanging {
        fn transport(&self) -> Transport {
            Transport::V4l2
        }

        fn discover(&self) -> Result<Vec<Device>, Fault> {
            // Ends when the test drops the sender.
            let _ = self.0.lock().unwrap().recv();
            Ok(vec![device(Transport::V4l2, "a")])
        }

        fn explain(&self, _: &DeviceId, _: &StreamConfig) -> Result<Explanation, Fault> {
            unreachable!("only asked for devices")
        }

        fn source(
            &self,
            _: &DeviceId,
            _: &StreamConfig,
        ) -> Result<mos_camera_backends::Source, Fault> {
            unreachable!("only asked for devices")
        }

        fn classify(&self, _: &DeviceId, _: &gst::message::Error) -> Fault {
            unreachable!("only asked for devices")
        }

        fn reset(&self, _: &DeviceId) -> Result<(), Fault> {
            unreachable!("only asked for devices")
        }
    }

    #[tokio::test]
    async fn a_driver_that_hangs_is_given_up_and_asked_again_when_it_has_answered() {
        let (let_go, hold) = std::sync::mpsc::channel();
        let backend: Arc<dyn Backend> = Arc::new(Hanging(Mutex::new(hold)));
        let again = Arc::new(Notify::new());
        let busy = Arc::new(Busy::new(Arc::clone(&again)));
        let look = |patience| {
            look(
                Arc::clone(&backend),
                Arc::clone(&busy),
                Effort::Full,
                patience,
            )
        };
        let short = Duration::from_millis(20);
        assert!(
            look(short)
                .await
                .unwrap_err()
                .message
                .contains("does not answer")
        );
        // The second does not even ask: one thread hangs, not one for every look.
        assert!(look(Duration::MAX).await.is_err());
        drop(let_go);
        // Its end asks for another look, since two did not get the answer.
        again.notified().await;
        assert!(!busy.runs.load(Ordering::Acquire));
        assert_eq!(look(Duration::from_mins(1)).await.unwrap().len(), 1);
    }
}
