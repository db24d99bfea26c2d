//! Every stream there is, by name.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak};

use futures::future::join_all;
use mos_camera_core::lifecycle::{Input, Lifecycle, State};
use mos_camera_core::{BackoffPolicy, DeviceId, StreamConfig, StreamName};
use tokio::sync::{MutexGuard, Notify, OwnedMutexGuard, broadcast, mpsc};

use super::actor::{Command, Surroundings, View};
use super::catalogue::Catalogue;
use super::clock::Clock;
use super::desired::Desired;
use super::error::EngineError;
use super::event::Event;
use super::mappings::{Finding, FrameMemory};
use super::monitor::Monitor;
use super::status::{StreamStats, StreamStatus};
use super::stream::Stream;
use super::worker::{BusSettings, Worker};
use crate::config::ServiceConfig;

/// Every stream there is.
#[derive(Debug)]
pub(super) struct Roster {
    clock: Clock,
    catalogue: Arc<Catalogue>,
    events: broadcast::Sender<Event>,
    look: Arc<Notify>,
    bus: Arc<BusSettings>,
    streams: RwLock<Streams>,
    turns: Mutex<HashMap<StreamName, Weak<tokio::sync::Mutex<()>>>>,
    claims: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Streams {
    by_name: BTreeMap<StreamName, Arc<Stream>>,
    /// The service stops: no stream may be added any more.
    closed: bool,
}

impl Roster {
    /// No stream yet.
    pub(super) fn new(
        clock: Clock,
        catalogue: Arc<Catalogue>,
        events: broadcast::Sender<Event>,
        look: Arc<Notify>,
        service: &ServiceConfig,
    ) -> Self {
        Self {
            clock,
            catalogue,
            events,
            look,
            bus: Arc::new(BusSettings::from(service)),
            streams: RwLock::default(),
            turns: Mutex::default(),
            claims: tokio::sync::Mutex::default(),
        }
    }

    /// Waits for one's turn with a stream: requests on one stream are carried out one after the other.
    pub(super) async fn turn(&self, name: &StreamName) -> OwnedMutexGuard<()> {
        self.turn_of(name).lock_owned().await
    }

    fn turn_of(&self, name: &StreamName) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        // Names come from callers: those that nobody waits for must not pile up.
        turns.retain(|_, turn| turn.strong_count() > 0);
        if let Some(turn) = turns.get(name).and_then(Weak::upgrade) {
            return turn;
        }
        let turn = Arc::default();
        turns.insert(name.clone(), Arc::downgrade(&turn));
        turn
    }

    /// Waits for the right to say which device feeds which stream.
    pub(super) async fn claim(&self) -> MutexGuard<'_, ()> {
        self.claims.lock().await
    }

    fn read(&self) -> RwLockReadGuard<'_, Streams> {
        self.streams.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Streams> {
        self.streams.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, name: &StreamName) -> Option<Arc<Stream>> {
        self.read().by_name.get(name).cloned()
    }

    fn all(&self) -> Vec<(StreamName, Arc<Stream>)> {
        let streams = self.read();
        let pair = |(name, stream): (&StreamName, &Arc<Stream>)| (name.clone(), Arc::clone(stream));
        streams.by_name.iter().map(pair).collect()
    }

    /// The streams' names, sorted.
    pub(super) fn names(&self) -> Vec<StreamName> {
        self.read().by_name.keys().cloned().collect()
    }

    /// What a stream is asked to be.
    pub(super) fn config(&self, name: &StreamName) -> Option<StreamConfig> {
        self.get(name)?.config()
    }

    /// Whether a stream is wanted to run; none if there is none.
    pub(super) fn wanted(&self, name: &StreamName) -> Option<bool> {
        self.get(name).map(|stream| stream.view().life.wanted)
    }

    /// The stream that a device feeds, and what it does.
    pub(super) fn owner(&self, device: &DeviceId) -> Option<(StreamName, State)> {
        let owns = |stream: &Stream| {
            stream
                .config()
                .is_some_and(|config| config.device == *device)
        };
        self.all()
            .into_iter()
            .find(|(_, stream)| owns(stream))
            .map(|(name, stream)| (name, stream.view().life.state))
    }

    /// Makes the streams be what is asked for; those on `changed` devices are rebuilt, the others are left alone. Whoever
    /// calls has the claim.
    pub(super) async fn settle_configs(
        &self,
        wanted: BTreeMap<StreamName, Desired>,
        changed: &[DeviceId],
    ) {
        // First the ends: a device has to be free before another stream takes it.
        let names = self.names().into_iter();
        let gone = names.filter(|name| !wanted.contains_key(name));
        join_all(gone.map(|name| self.retire(name))).await;
        for (name, Desired { config, .. }) in wanted {
            let source_changed = changed.contains(&config.device);
            if !source_changed && self.config(&name).as_ref() == Some(&config) {
                continue;
            }
            if let Err(error) = self.configure(&name, config, source_changed).await {
                tracing::error!(stream = %name, %error, "the stream can't be set up");
            }
        }
    }

    /// Starts and stops the streams as is asked for.
    pub(super) async fn settle_starts(&self, wanted: BTreeMap<StreamName, Desired>) {
        for (name, desired) in wanted {
            let command = match (self.wanted(&name), desired.started) {
                (Some(false), true) => Command::Start,
                (Some(true), false) => Command::Stop,
                _ => continue,
            };
            if let Err(error) = self.command(&name, command).await {
                tracing::error!(stream = %name, %error, "the stream can't be started or stopped");
            }
        }
    }

    /// Makes a stream, or makes it another one.
    pub(super) async fn configure(
        &self,
        name: &StreamName,
        config: StreamConfig,
        source_changed: bool,
    ) -> Result<(), EngineError> {
        let stream = match self.get(name) {
            Some(stream) => stream,
            None => self.add(name)?,
        };
        let present = self.catalogue.is_present(&config.device);
        stream.tell_presence(present);
        stream
            .command(Command::Configure {
                config,
                source_changed,
            })
            .await
    }

    fn add(&self, name: &StreamName) -> Result<Arc<Stream>, EngineError> {
        let mut streams = self.write();
        if streams.closed {
            return Err(EngineError::Stopping);
        }
        let (inbox, outbox) = mpsc::unbounded_channel();
        let monitor = Arc::new(Monitor::default());
        let worker = Worker::start(
            name,
            Arc::clone(&self.catalogue),
            Arc::clone(&self.bus),
            Arc::clone(&monitor),
            inbox.clone(),
        )
        .map_err(|e| EngineError::Internal {
            what: format!("no thread for stream {name}: {e}"),
        })?;
        let around = Surroundings {
            clock: self.clock,
            events: self.events.clone(),
            look: Arc::clone(&self.look),
            monitor,
            worker,
        };
        let stream = Arc::new(Stream::spawn(name.clone(), around, (inbox, outbox)));
        streams.by_name.insert(name.clone(), Arc::clone(&stream));
        Ok(stream)
    }

    /// Gives a stream a command.
    pub(super) async fn command(
        &self,
        name: &StreamName,
        command: Command,
    ) -> Result<(), EngineError> {
        let stream = self.get(name).ok_or_else(|| EngineError::UnknownStream {
            stream: name.clone(),
        })?;
        stream.command(command).await
    }

    /// Returns once a stream's pipeline is down.
    pub(super) async fn wait_down(&self, name: &StreamName) -> Result<(), EngineError> {
        match self.get(name) {
            Some(stream) if !stream.down().await => Err(EngineError::StuckTeardown {
                stream: name.clone(),
            }),
            _ => Ok(()),
        }
    }

    async fn retire(&self, name: StreamName) {
        let Some(stream) = self.get(&name) else {
            return;
        };
        if !retire(&stream).await {
            tracing::error!(stream = %name, "the pipeline did not come down in time and was abandoned");
        }
        self.write().by_name.remove(&name);
        tracing::info!(stream = %name, "the stream is gone from the configuration");
    }

    /// Ends every stream, all at once. False if a pipeline did not come down in time.
    pub(super) async fn retire_all(&self) -> bool {
        self.write().closed = true;
        let streams = self.all();
        let ends = streams.iter().map(|(_, stream)| retire(stream));
        join_all(ends).await.into_iter().all(|clean| clean)
    }

    /// Tells every stream whether its device is there.
    pub(super) fn tell_presence(&self) {
        for (_, stream) in self.all() {
            if let Some(config) = stream.config() {
                stream.tell_presence(self.catalogue.is_present(&config.device));
            }
        }
    }

    /// Tells the stream of a device that what kept it from being used is gone.
    pub(super) fn tell_usable(&self, device: &DeviceId) {
        let of = |stream: &Arc<Stream>| stream.config().is_some_and(|c| c.device == *device);
        for (_, stream) in self.all().into_iter().filter(|(_, stream)| of(stream)) {
            stream.tell_usable();
        }
    }

    /// The memory of every stream's frames.
    pub(super) fn frame_memory(&self) -> Vec<(StreamName, FrameMemory)> {
        let memory = |(name, stream): (_, Arc<Stream>)| (name, stream.monitor().frame_memory());
        self.all().into_iter().map(memory).collect()
    }

    /// Counts a mapping of a stream's frames; false if there is no such stream any more.
    pub(super) fn note_mapping(&self, name: &StreamName, finding: &Finding) -> bool {
        let stream = self.get(name);
        stream
            .map(|stream| stream.monitor().note_mapping(finding))
            .is_some()
    }

    /// Returns once every actor has answered.
    pub(super) async fn ping(&self) {
        let pings = self
            .all()
            .into_iter()
            .map(|(_, stream)| async move { stream.ping().await });
        join_all(pings).await;
    }

    /// A stream's status; none if there is none.
    pub(super) fn status(&self, name: &StreamName) -> Option<StreamStatus> {
        let stream = self.get(name)?;
        Some(self.status_from(name, stream.view(), stream.monitor().stats()))
    }

    /// The status of a camera that was given no stream.
    pub(crate) fn idle_status(&self, name: &StreamName) -> StreamStatus {
        let mut life = Lifecycle::new(BackoffPolicy::default());
        life.step(self.clock.now(), Input::Present, 0);
        self.status_from(name, View::new(life.snapshot()), StreamStats::default())
    }

    fn status_from(&self, name: &StreamName, view: View, stats: StreamStats) -> StreamStatus {
        let next_attempt_in = match view.life.state {
            State::Backoff { until, .. } => Some(until.saturating_sub(self.clock.now())),
            _ => None,
        };
        StreamStatus {
            name: name.clone(),
            fault: view.fault(),
            config: view.config,
            life: view.life,
            next_attempt_in,
            streaming_since: view.streaming_since,
            bus_socket: self.bus_socket(name),
            stats,
        }
    }

    fn bus_socket(&self, name: &StreamName) -> PathBuf {
        mos_frame::socket_path(&self.bus.dir, name.as_str())
    }

    /// Folder of the frame bus's sockets.
    pub(super) fn frame_dir(&self) -> &Path {
        &self.bus.dir
    }
}

/// Ends a stream; true if its pipeline is down.
async fn retire(stream: &Stream) -> bool {
    // An actor that has ended already can't be told, and does not need to be.
    let _ = stream.command(Command::Retire).await;
    stream.down().await
}
