//! The engine: every stream's actor, the devices, the wanted state. The control service is a thin skin over it.

mod actor;
mod arrival;
mod cameras;
mod catalogue;
mod clock;
mod desired;
mod error;
mod event;
mod hotplug;
mod keeper;
mod mappings;
mod meter;
mod monitor;
mod roster;
mod status;
mod strays;
mod stream;
mod violations;
mod worker;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::SystemTime;

use mos_camera_backends::platform::Probe;
use mos_camera_backends::qmmf;
use mos_camera_core::plan::{self, Explanation};
use mos_camera_core::platform::{self, Board, CameraService, Evidence, Family, Platform};
use mos_camera_core::{Device, DeviceId, FaultKind, StreamConfig, StreamName, Transport};
use tokio::sync::{Notify, broadcast, watch};

pub use cameras::Added;
pub use catalogue::{Listing, Problem};
pub use error::EngineError;
pub use event::{Event, EventKind};
pub use hotplug::Hotplug;
pub use meter::Lost;
pub use status::{FrameClock, Memory, SeenFormat, StreamStats, StreamStatus, SubscriberStats};
pub use violations::{ViolationKind, Violations};

use crate::config::Config;
use crate::state::{Loaded, Store};
use actor::Command;
use catalogue::{Catalogue, Effort};
use clock::Clock;
use desired::{Conflict, Desired, desired, needs_rebuild};
use keeper::Keeper;
use mappings::{Finding, LOOK_EVERY, Looker};
use roster::Roster;
use strays::Strays;

/// Events that a watcher may be behind before it loses some.
const EVENT_BACKLOG: usize = 1024;

/// All of the service except its socket. Cheap to clone; dropped, its streams end.
#[derive(Debug, Clone)]
pub struct Engine(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    clock: Clock,
    /// The configuration file.
    file: RwLock<Arc<Config>>,
    /// The same with the cameras that were added at run time.
    config: RwLock<Arc<Config>>,
    /// One change of the configuration at a time.
    reloading: tokio::sync::Mutex<()>,
    catalogue: Arc<Catalogue>,
    keeper: Keeper,
    roster: Roster,
    /// Held from the save of a start or a stop until its stream knows. Locks are taken in the order turn, claim, this.
    starts: tokio::sync::Mutex<()>,
    events: broadcast::Sender<Event>,
    hotplug: watch::Sender<Hotplug>,
    /// What all this runs on. It changes while a camera service is awaited: by why it can't be used yet, and once when it comes.
    platform: RwLock<Arc<Platform>>,
    /// Mapped dma-bufs that no stream knows.
    strays: Strays,
    stopping: AtomicBool,
    /// Turns true when every stream has ended.
    down: watch::Sender<bool>,
}

/// What became of a `configure`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configured {
    /// As saved.
    pub config: StreamConfig,
    /// It was so before.
    pub unchanged: bool,
}

/// The service as a whole.
#[derive(Debug, Clone)]
pub struct ServiceStatus {
    /// When it started.
    pub started_at: SystemTime,
    /// Folder of the frame bus's sockets.
    pub frame_dir: PathBuf,
    /// Why the last save of the wanted state failed; none if it did not.
    pub state_problem: Option<String>,
    /// How cameras that are plugged in are noticed.
    pub hotplug: Hotplug,
    /// Mappings of dma-bufs that no stream knows.
    pub stray_mappings: u64,
    /// The machine.
    pub platform: Arc<Platform>,
    /// The files of profiles that hold on it.
    pub profiles: Vec<String>,
}

impl Engine {
    /// Starts every stream that the configuration and the wanted state ask for.
    pub async fn start(config: Config, store: Store, loaded: Loaded) -> Self {
        let platform = found_out(&config).await;
        follow_profiles(&config, &platform);
        let cameras = cameras::merged(&config, &loaded.state);
        let catalogue = Catalogue::new(&cameras, &platform);
        Self::start_with(config, store, loaded, catalogue, platform).await
    }

    async fn start_with(
        config: Config,
        store: Store,
        loaded: Loaded,
        catalogue: Catalogue,
        platform: Platform,
    ) -> Self {
        let clock = Clock::start();
        let (events, _) = broadcast::channel(EVENT_BACKLOG);
        let catalogue = Arc::new(catalogue);
        let look = catalogue.again();
        let roster = Roster::new(
            clock,
            Arc::clone(&catalogue),
            events.clone(),
            Arc::clone(&look),
            &config.service,
        );
        let shared = Shared {
            clock,
            config: RwLock::new(Arc::new(cameras::merged(&config, &loaded.state))),
            file: RwLock::new(Arc::new(config)),
            reloading: tokio::sync::Mutex::default(),
            catalogue,
            keeper: Keeper::new(store, loaded.state),
            roster,
            starts: tokio::sync::Mutex::default(),
            events,
            hotplug: watch::Sender::new(Hotplug::default()),
            platform: RwLock::new(Arc::new(platform)),
            strays: Strays::default(),
            stopping: AtomicBool::new(false),
            down: watch::Sender::new(false),
        };
        let engine = Self(Arc::new(shared));
        // Before the first look, so that no camera comes unseen between the two.
        let changes = hotplug::watch();
        engine.0.hotplug.send_replace(changes.source().clone());
        engine.refresh_devices().await;
        engine.settle(&[]).await;
        tokio::spawn(follow(changes, look, Arc::downgrade(&engine.0)));
        tokio::spawn(watch_mappings(Arc::downgrade(&engine.0)));
        if engine.platform().awaited.is_some() {
            tokio::spawn(await_camera_service(Arc::downgrade(&engine.0), "/".into()));
        }
        engine
    }

    fn platform(&self) -> Arc<Platform> {
        self.0.platform()
    }

    /// Finds out about the machine anew, and has the cameras on its chip driven by what was awaited. False if that did not come.
    async fn find_out_again(&self) -> bool {
        let _turn = self.0.reloading.lock().await;
        let platform = found_out(&self.file()).await;
        self.take_over(platform).await
    }

    /// Has the cameras on the chip driven by what was awaited, if the machine has it now. Whoever calls has the turn to reload.
    async fn take_over(&self, platform: Platform) -> bool {
        let awaited = self.platform().awaited;
        // Anything else, as after a probe that broke off, is no reason to take cameras from what drives them.
        if platform.csi != awaited {
            let now = platform.csi.map(tracing::field::display);
            tracing::warn!(
                now,
                "the camera service listens, but can't be used: cameras are driven as before"
            );
            return false;
        }
        if self.check_running().is_err() {
            return false;
        }
        follow_profiles(&self.file(), &platform);
        let (config, platform) = (self.config(), Arc::new(platform));
        self.0.catalogue.rewire(&config, &platform);
        self.set_platform(platform);
        self.refresh_devices().await;
        // Also those that no table names: the device tree may show them. What came between is built by the new backends anyway.
        let (streams, _) = self.desired().await;
        let on_chip =
            |id: &DeviceId| matches!(id.transport(), Transport::MipiCsi | Transport::Gmsl2);
        let devices = streams.into_values().map(|stream| stream.config.device);
        self.settle(&devices.filter(on_chip).collect::<Vec<_>>())
            .await;
        true
    }

    /// Takes in that the camera service can still not be used, for another reason maybe than before.
    async fn note_camera_service(&self, seen: CameraService) {
        let _turn = self.0.reloading.lock().await;
        let before = self.platform();
        if before.evidence.camera_service == seen {
            return;
        }
        let evidence = Evidence {
            camera_service: seen,
            ..before.evidence.clone()
        };
        let file = self.file();
        let boards = file.profiles.boards();
        let platform = platform::decide_with(&evidence, file.service.platform, &boards);
        // A file that was reloaded may ask for another machine, which takes a restart.
        if platform.csi != before.csi {
            return;
        }
        for problem in &platform.problems {
            tracing::warn!(hint = problem.hint, "{}", problem.message);
        }
        self.set_platform(Arc::new(platform));
    }

    fn set_platform(&self, platform: Arc<Platform>) {
        let mut known = self
            .0
            .platform
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *known = platform;
    }

    /// Takes over a new configuration file. Streams whose settings did not change don't notice.
    pub async fn reload(&self, config: Config) {
        let _turn = self.0.reloading.lock().await;
        follow_profiles(&config, &self.platform());
        *self.0.file.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
        self.apply().await;
    }

    /// Takes over the file and the cameras that were added, as they are now.
    async fn apply(&self) {
        let config = cameras::merged(&self.file(), &self.0.keeper.state().await);
        let old = std::mem::replace(
            &mut *self
                .0
                .config
                .write()
                .unwrap_or_else(PoisonError::into_inner),
            Arc::new(config.clone()),
        );
        let changed = changed_sources(&old, &config, &self.0.catalogue.listing().devices);
        self.0.catalogue.replace(&config);
        self.refresh_devices().await;
        self.settle(&changed).await;
    }

    /// Brings the streams to what is asked for; those on `changed` devices are rebuilt.
    ///
    /// What was acknowledged while this runs is not undone: the claim keeps `configure` out before the state is read. It
    /// may be held for as long as a camera takes to come down, so it does not keep starts and stops out; the state is
    /// read once more for them.
    async fn settle(&self, changed: &[DeviceId]) {
        let _claim = self.0.roster.claim().await;
        let (streams, conflicts) = self.desired().await;
        for conflict in conflicts {
            tracing::error!(stream = %conflict.left_out, device = %conflict.device, kept = %conflict.kept,
                "the stream is left out: its device already feeds another one; configure that one for another device, or take this one out of the configuration file");
        }
        self.0.roster.settle_configs(streams, changed).await;
        let _starts = self.0.starts.lock().await;
        let (streams, _) = self.desired().await;
        self.0.roster.settle_starts(streams).await;
    }

    async fn desired(&self) -> (BTreeMap<StreamName, Desired>, Vec<Conflict>) {
        desired(&self.config(), &self.0.keeper.state().await)
    }

    fn config(&self) -> Arc<Config> {
        Arc::clone(&self.0.config.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn file(&self) -> Arc<Config> {
        Arc::clone(&self.0.file.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Looks for devices, and tells the streams and the watchers what came and went.
    async fn refresh_devices(&self) {
        self.0.refresh_devices(Effort::Full).await;
    }

    /// The devices of these transports (all if empty), with the streams that they feed.
    pub async fn list_devices(&self, transports: &[Transport]) -> Listing {
        self.refresh_devices().await;
        let mut listing = self.0.catalogue.listing();
        let asked = |t: Transport| transports.is_empty() || transports.contains(&t);
        listing.devices.retain(|device| asked(device.transport));
        listing.problems.retain(|problem| asked(problem.transport));
        listing
    }

    /// The stream that a device feeds.
    pub fn stream_of(&self, device: &DeviceId) -> Option<StreamName> {
        self.0.roster.owner(device).map(|(name, _)| name)
    }

    /// Makes a stream, or makes it another one. What was asked for is saved first.
    pub async fn configure(
        &self,
        name: &StreamName,
        config: StreamConfig,
    ) -> Result<Configured, EngineError> {
        self.check_running()?;
        let _turn = self.0.roster.turn(name).await;
        if self.0.roster.config(name).as_ref() == Some(&config) {
            return Ok(Configured {
                config,
                unchanged: true,
            });
        }
        let device = self.find_device(&config.device).await?;
        // Which of its profiles a network camera is to give, if any, its backend finds out with the plan.
        let offered = if device.profiles.is_empty() {
            device.capabilities.as_slice()
        } else {
            &[]
        };
        plan::validate(&config, offered)
            .and_then(|()| plan::validate_controls(&config, &device.controls))
            .map_err(|error| EngineError::Config {
                stream: name.clone(),
                device: config.device.clone(),
                error: Box::new(error),
            })?;
        self.check_plan(name, &config).await?;
        self.check_unclaimed(name, &config.device)?;
        // Before the claim, which keeps all others waiting: a camera may take its time.
        self.try_controls(name, &config).await?;
        let _claim = self.0.roster.claim().await;
        self.check_unclaimed(name, &config.device)?;
        let override_file =
            (self.file_config(name).as_ref() != Some(&config)).then(|| config.clone());
        self.0
            .keeper
            .update(name, |wanted| wanted.config = override_file)
            .await?;
        self.0.roster.configure(name, config.clone(), false).await?;
        Ok(Configured {
            config,
            unchanged: false,
        })
    }

    /// Refuses what can't become NV12 here. A device that can't be asked now is no reason: its stream waits for it.
    async fn check_plan(
        &self,
        name: &StreamName,
        config: &StreamConfig,
    ) -> Result<(), EngineError> {
        let before = self.0.roster.config(name);
        if before.is_some_and(|before| !needs_rebuild(&before, config)) {
            return Ok(());
        }
        let stream = name.clone();
        match self.0.catalogue.explain(config).await {
            Ok(explanation) => match explanation.into_plan(&config.device) {
                Ok(_) => Ok(()),
                Err(error) => Err(EngineError::NoPlan { stream, error }),
            },
            Err(fault) if fault.kind == FaultKind::Unsupported => Err(EngineError::NoProfile {
                stream,
                device: config.device.clone(),
                fault,
            }),
            Err(fault) => {
                tracing::debug!(%stream, %fault, "whether the device's pictures can become NV12 shows when it starts");
                Ok(())
            }
        }
    }

    /// How a device's pictures would become NV12 here and now, and why not otherwise.
    pub async fn explain(&self, config: &StreamConfig) -> Result<Explanation, EngineError> {
        let device = self.find_device(&config.device).await?;
        let explained = self.0.catalogue.explain(config).await;
        explained.map_err(|fault| EngineError::DeviceUnavailable {
            device: device.id,
            fault,
        })
    }

    /// Sets the controls that are asked for: whether the camera takes them now only it can tell.
    async fn try_controls(
        &self,
        name: &StreamName,
        config: &StreamConfig,
    ) -> Result<(), EngineError> {
        let before = self
            .0
            .roster
            .config(name)
            .unwrap_or_else(|| StreamConfig::new(config.device.clone()));
        if config.controls.is_empty()
            || (before.device == config.device && before.controls == config.controls)
        {
            return Ok(());
        }
        let device = config.device.clone();
        let set = self
            .0
            .catalogue
            .set_controls(&device, &config.controls)
            .await;
        set.map_err(|fault| match fault.kind {
            FaultKind::Unsupported => EngineError::ControlRefused {
                stream: name.clone(),
                device,
                fault,
            },
            _ => EngineError::DeviceUnavailable { device, fault },
        })
    }

    fn file_config(&self, name: &StreamName) -> Option<StreamConfig> {
        self.config()
            .cameras
            .get(name)?
            .stream
            .as_ref()
            .map(|stream| stream.config.clone())
    }

    async fn find_device(&self, id: &DeviceId) -> Result<Device, EngineError> {
        use mos_camera_core::{Fault, Health};
        self.refresh_devices().await;
        let listing = self.0.catalogue.listing();
        let unavailable = |fault| EngineError::DeviceUnavailable {
            device: id.clone(),
            fault,
        };
        let Some(device) = listing.devices.into_iter().find(|device| device.id == *id) else {
            let problem = listing
                .problems
                .into_iter()
                .find(|p| p.transport == id.transport());
            return Err(problem.map_or_else(
                || EngineError::UnknownDevice { device: id.clone() },
                |p| unavailable(p.fault),
            ));
        };
        match device.health {
            Health::NoPermission(why) => {
                let hint = "let the service's user open the node, for example by the group `video`";
                Err(unavailable(Fault::new(FaultKind::NoPermission, why, hint)))
            }
            Health::Unusable(why) => Err(unavailable(Fault::new(
                FaultKind::Unsupported,
                why,
                "use another device",
            ))),
            // A network camera that does not answer now is waited for.
            Health::Ready
            | Health::Unknown
            | Health::Busy(_)
            | Health::Unreachable(_)
            | Health::Reachable(_)
            | Health::Unauthorized(_) => Ok(device),
        }
    }

    fn check_unclaimed(&self, name: &StreamName, device: &DeviceId) -> Result<(), EngineError> {
        match self.0.roster.owner(device) {
            Some((stream, state)) if stream != *name => Err(EngineError::DeviceInUse {
                device: device.clone(),
                stream,
                state,
            }),
            _ => Ok(()),
        }
    }

    /// Wants a stream to run; true if it was wanted before.
    pub async fn start_capture(&self, name: &StreamName) -> Result<bool, EngineError> {
        self.check_running()?;
        let _turn = self.0.roster.turn(name).await;
        let was_wanted = self.existing(name).await?;
        self.want(name, true).await?;
        Ok(was_wanted)
    }

    /// Wants a stream to stop, and waits until it has; true if it was not wanted before.
    pub async fn stop_capture(&self, name: &StreamName) -> Result<bool, EngineError> {
        self.check_running()?;
        let _turn = self.0.roster.turn(name).await;
        let was_wanted = match self.existing(name).await {
            // Nothing of it runs.
            Err(EngineError::NotConfigured { .. }) => return Ok(true),
            found => found?,
        };
        self.want(name, false).await?;
        self.0.roster.wait_down(name).await?;
        Ok(!was_wanted)
    }

    /// Saves whether a stream is wanted to run, and tells the stream.
    async fn want(&self, name: &StreamName, started: bool) -> Result<(), EngineError> {
        let _starts = self.0.starts.lock().await;
        self.0
            .keeper
            .update(name, |wanted| wanted.started = Some(started))
            .await?;
        let command = if started {
            Command::Start
        } else {
            Command::Stop
        };
        self.0.roster.command(name, command).await
    }

    /// Clears a stream's fault and begins anew.
    pub async fn reset_capture(&self, name: &StreamName) -> Result<(), EngineError> {
        self.check_running()?;
        let _turn = self.0.roster.turn(name).await;
        self.existing(name).await?;
        self.0.roster.command(name, Command::Reset).await
    }

    /// Whether the stream is wanted; an error if there is none.
    async fn existing(&self, name: &StreamName) -> Result<bool, EngineError> {
        if let Some(wanted) = self.0.roster.wanted(name) {
            return Ok(wanted);
        }
        self.refresh_devices().await;
        match self.idle_device(name) {
            Some(device) => Err(EngineError::NotConfigured {
                stream: name.clone(),
                device: device.id,
            }),
            None => Err(EngineError::UnknownStream {
                stream: name.clone(),
            }),
        }
    }

    /// The device of a stream's name that feeds no stream.
    fn idle_device(&self, name: &StreamName) -> Option<Device> {
        let named = |device: &Device| device.id.rest() == name.as_str();
        let found = self.0.catalogue.listing().devices.into_iter().find(named)?;
        self.stream_of(&found.id).is_none().then_some(found)
    }

    /// The status of these streams (all if empty), sorted by name.
    pub fn status(&self, names: &[StreamName]) -> Result<Vec<StreamStatus>, EngineError> {
        if names.is_empty() {
            return Ok(self.all_status());
        }
        let mut names = names.to_vec();
        names.sort();
        names.dedup();
        names.iter().map(|name| self.status_of(name)).collect()
    }

    /// Every stream, and the cameras of the file that were given none.
    fn all_status(&self) -> Vec<StreamStatus> {
        let config = self.config();
        let idle = config
            .cameras
            .iter()
            .filter(|(_, camera)| camera.stream.is_none())
            .map(|(name, _)| name.clone());
        let mut names: Vec<_> = self.0.roster.names().into_iter().chain(idle).collect();
        names.sort();
        names.dedup();
        // A name that is no stream by now is left out.
        names
            .iter()
            .filter_map(|name| self.status_of(name).ok())
            .collect()
    }

    fn status_of(&self, name: &StreamName) -> Result<StreamStatus, EngineError> {
        let unknown = || EngineError::UnknownStream {
            stream: name.clone(),
        };
        if let Some(status) = self.0.roster.status(name) {
            return Ok(status);
        }
        self.idle_device(name)
            .map(|_| self.0.roster.idle_status(name))
            .ok_or_else(unknown)
    }

    /// The service as a whole.
    pub fn service_status(&self) -> ServiceStatus {
        ServiceStatus {
            started_at: self.0.clock.started_at(),
            frame_dir: self.0.roster.frame_dir().to_owned(),
            state_problem: self.0.keeper.problem(),
            hotplug: self.0.hotplug.borrow().clone(),
            stray_mappings: self.0.strays.count(),
            profiles: profiles_in_force(&self.file(), &self.platform()),
            platform: self.platform(),
        }
    }

    /// Events from now on.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.0.events.subscribe()
    }

    /// Returns once every stream's actor has answered: what a watchdog wants to know.
    pub async fn alive(&self) {
        self.0.roster.ping().await;
    }

    /// Stops every stream, without forgetting which are wanted. False if a pipeline did not come down in time.
    pub async fn stop(&self) -> bool {
        self.0.stopping.store(true, Ordering::SeqCst);
        let clean = self.0.roster.retire_all().await;
        self.0.down.send_replace(true);
        clean
    }

    /// Returns once [`Self::stop`] is done.
    pub async fn down(&self) {
        // Can't fail: the sender lives as long as `self`.
        let _ = self.0.down.subscribe().wait_for(|down| *down).await;
    }

    fn check_running(&self) -> Result<(), EngineError> {
        if self.0.stopping.load(Ordering::SeqCst) {
            Err(EngineError::Stopping)
        } else {
            Ok(())
        }
    }
}

/// The machine, and what is wrong with it in the log.
async fn found_out(config: &Config) -> Platform {
    let (configured, boards) = (config.service.platform, config.profiles.boards());
    let known = boards.clone();
    let probe = move || Probe::new().machine(Path::new("/"), configured, &known);
    let platform = probed(probe, configured, &boards).await;
    tracing::info!(
        family = %platform.family,
        ground = %platform.ground,
        model = platform.evidence.model.as_deref().unwrap_or_default(),
        csi = platform.csi.map(tracing::field::display),
        "platform"
    );
    for problem in &platform.problems {
        tracing::warn!(hint = problem.hint, "{}", problem.message);
    }
    platform
}

/// What `probe` finds out, or what is assumed where it breaks off.
async fn probed(
    probe: impl FnOnce() -> Platform + Send + 'static,
    configured: Option<Family>,
    boards: &[Board],
) -> Platform {
    // Making elements loads libraries.
    match tokio::task::spawn_blocking(probe).await {
        Ok(platform) => platform,
        // Only a panic of the probe leads here: cameras that need nothing of the platform go on.
        Err(error) => {
            let mut platform = platform::decide_with(&Evidence::default(), configured, boards);
            platform.problems.push(platform::Problem {
                message: format!("the look at the platform broke off, and nothing is assumed of this machine: {error}"),
                hint: "please report this with the service's log; the key `platform` names the family until then".to_owned(),
            });
            platform
        }
    }
}

/// Makes plans by what the profiles say of this machine from now on; streams that run stay as they are until they are built anew.
fn follow_profiles(config: &Config, platform: &Platform) {
    let (family, compatible) = (platform.family, &platform.evidence.compatible);
    match config.profiles.rules(family, compatible) {
        Ok(rules) => mos_camera_backends::machine::follow(rules),
        Err(error) => {
            tracing::error!(%error, "the profiles can't be used; plans are made as before");
        }
    }
    for file in profiles_in_force(config, platform) {
        tracing::info!(file, "profile");
    }
}

/// The files of profiles that hold on a machine.
fn profiles_in_force(config: &Config, platform: &Platform) -> Vec<String> {
    config
        .profiles
        .files(platform.family, &platform.evidence.compatible)
}

/// Looks for devices whenever the kernel says that some came, went or changed, or a stream asks, until the engine is gone.
async fn follow(mut changes: hotplug::Changes, look: Arc<Notify>, engine: Weak<Shared>) {
    let mut told = true;
    loop {
        tokio::select! {
            change = changes.next(), if told => told = change.is_some(),
            () = look.notified() => {}
        }
        let Some(engine) = engine.upgrade() else {
            return;
        };
        engine.hotplug.send_replace(changes.source().clone());
        engine.refresh_devices(Effort::WhatChanged).await;
    }
}

/// Waits for the camera service that this machine's cameras should be driven by, until it is used or the engine is down or gone.
/// `root` is `/` but in tests.
async fn await_camera_service(engine: Weak<Shared>, root: PathBuf) {
    let Some(mut down) = engine.upgrade().map(|engine| engine.down.subscribe()) else {
        return;
    };
    let mut socket = match arrival::Watch::new(&qmmf::service::socket(&root)) {
        Ok(socket) => socket,
        Err(error) => {
            tracing::warn!(%error, "a camera service that starts from now on is not noticed: restart this service then");
            return;
        }
    };
    loop {
        let seen = qmmf::service::look(&root);
        {
            let Some(engine) = engine.upgrade().map(Engine) else {
                return;
            };
            if seen != CameraService::Listens {
                engine.note_camera_service(seen).await;
            } else if engine.find_out_again().await {
                return;
            }
        }
        let changed = tokio::select! {
            // An error is that the engine is gone.
            _ = down.wait_for(|down| *down) => return,
            changed = socket.changed() => changed,
        };
        if let Err(error) = changed {
            tracing::warn!(%error, "a camera service that starts from now on is not noticed: restart this service then");
            return;
        }
    }
}

/// Looks for mapped dma-bufs every now and then, until the engine is gone.
async fn watch_mappings(engine: Weak<Shared>) {
    let mut every = tokio::time::interval(LOOK_EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let mut looker = Looker::default();
    loop {
        every.tick().await;
        let Some(engine) = engine.upgrade() else {
            return;
        };
        let look = move || {
            engine.look_for_mappings(&mut looker);
            looker
        };
        match tokio::task::spawn_blocking(look).await {
            Ok(same) => looker = same,
            // Only a panic of the look leads here, or the runtime's end.
            Err(error) => {
                tracing::error!(%error, "mapped dma-bufs are not looked for any more: please report this");
                return;
            }
        }
    }
}

impl Shared {
    fn platform(&self) -> Arc<Platform> {
        Arc::clone(&self.platform.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn look_for_mappings(&self, looker: &mut Looker) {
        match looker.look(&self.roster.frame_memory()) {
            Ok(findings) => findings.iter().for_each(|finding| self.count(finding)),
            Err(error) => looker.complain(&error),
        }
        if let Some((count, detail)) = self.strays.due(self.clock.now()) {
            let kind = ViolationKind::MappedDmabuf;
            tracing::warn!(
                kind = kind.name(),
                count,
                last = detail,
                "the contract was broken: mapped dma-bufs of no stream"
            );
            self.emit(EventKind::Violation {
                stream: None,
                kind,
                count,
                detail,
            });
        }
    }

    /// The stream tells its own; a stream that is gone by now has nobody who would.
    fn count(&self, finding: &Finding) {
        let owner = finding.stream.as_ref();
        if !owner.is_some_and(|name| self.roster.note_mapping(name, finding)) {
            self.strays.note(finding);
        }
    }

    async fn refresh_devices(&self, effort: Effort) {
        let changes = self.catalogue.refresh(effort).await;
        for device in &changes.removed {
            tracing::info!(%device, "device removed");
            self.emit(EventKind::DeviceRemoved { id: device.clone() });
        }
        for device in &changes.added {
            tracing::info!(device = %device.id, model = device.model, location = device.location, "device added");
            let stream = self.roster.owner(&device.id).map(|(name, _)| name);
            self.emit(EventKind::DeviceAdded {
                device: device.clone(),
                stream,
            });
        }
        self.roster.tell_presence();
        for device in &changes.mended {
            tracing::info!(%device, "device can be used now");
            self.roster.tell_usable(device);
        }
    }

    fn emit(&self, kind: EventKind) {
        // Fails only while nobody watches.
        let _ = self.events.send(Event::now(kind));
    }
}

/// The devices whose own settings differ between two configurations.
fn changed_sources(old: &Config, new: &Config, known: &[Device]) -> Vec<DeviceId> {
    let changed = new.cameras.iter().filter(|(name, camera)| {
        old.cameras
            .get(*name)
            .is_some_and(|before| before.source != camera.source)
    });
    let mut changed: Vec<_> = changed.map(|(_, camera)| camera.device.clone()).collect();
    // Its log-in and trust go for every camera that only discovery knows.
    if old.onvif != new.onvif {
        let named = |id: &DeviceId| new.cameras.values().any(|camera| camera.device == *id);
        let found = known
            .iter()
            .filter(|device| device.transport == Transport::Rtsp);
        changed.extend(found.map(|d| d.id.clone()).filter(|id| !named(id)));
    }
    changed
}

#[cfg(test)]
mod tests;
