//! One stream: a task that owns its lifecycle, feeds it, and does what it says.
//!
//! Everything that may block (building, starting, stopping a pipeline, resetting a device) is done by the stream's
//! [`Worker`], so that the actor always answers, and a driver that hangs is this stream's trouble alone.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mos_camera_core::lifecycle::{
    Action, Input, Lifecycle, PipelineEvent, Snapshot, State, Timeouts,
};
use mos_camera_core::{BackoffPolicy, Fault, FaultKind, StreamConfig, StreamName};
use tokio::sync::{Notify, broadcast, mpsc, oneshot, watch};
use tracing::{info, warn};

use super::clock::Clock;
use super::desired::needs_rebuild;
use super::event::{Event, EventKind};
use super::monitor::{Breach, Monitor};
use super::violations::{Violations, ends_stream, fault};
use super::worker::{Job, Worker};

/// How often a running stream's counters are looked at.
const SAMPLE_EVERY: Duration = Duration::from_millis(500);

/// What an actor is told.
#[derive(Debug)]
pub(super) enum Message {
    /// A command; answered once it is taken in, not when it is done.
    Command(Command, oneshot::Sender<()>),
    /// Answer, to show that the actor lives.
    Ping(oneshot::Sender<()>),
    /// The device came or went.
    Present(bool),
    /// What kept the device from being used is gone.
    Usable,
    /// A pipeline reported something.
    Pipeline {
        /// Which pipeline.
        generation: u64,
        /// What.
        event: PipelineEvent,
    },
}

/// What a stream is told to do.
#[derive(Debug, Clone)]
pub(super) enum Command {
    /// Be this. `source_changed`: the device's own settings changed, so the pipeline is rebuilt whatever the rest says.
    Configure {
        /// The configuration.
        config: StreamConfig,
        /// Whether the device's own settings changed.
        source_changed: bool,
    },
    /// Run.
    Start,
    /// Stop.
    Stop,
    /// Clear the fault and begin anew.
    Reset,
    /// Stop for good, because the service or the stream ends.
    Retire,
}

/// A stream's life as others see it.
#[derive(Debug, Clone)]
pub(crate) struct View {
    /// What it is asked to be.
    pub(crate) config: Option<StreamConfig>,
    /// Its life.
    pub(crate) life: Snapshot,
    /// Time of day of the life's fault.
    pub(crate) fault_at: Option<SystemTime>,
    /// Time of day since which frames arrive.
    pub(crate) streaming_since: Option<SystemTime>,
}

impl View {
    /// Nothing was asked for yet.
    pub(crate) fn new(life: Snapshot) -> Self {
        Self {
            config: None,
            life,
            fault_at: None,
            streaming_since: None,
        }
    }

    /// The view after a step. A time of day is taken when its event is new: it does not wander with the clock.
    fn next(&self, config: Option<StreamConfig>, life: Snapshot, clock: &Clock) -> Self {
        let fault = |life: &Snapshot| life.fault.as_ref().map(|fault| fault.at);
        let since = |life: &Snapshot| life.streaming_since;
        let dated = |at: Option<Duration>, before, known| {
            if at == before {
                known
            } else {
                at.map(|at| clock.wall(at))
            }
        };
        Self {
            config,
            fault_at: dated(fault(&life), fault(&self.life), self.fault_at),
            streaming_since: dated(since(&life), since(&self.life), self.streaming_since),
            life,
        }
    }

    /// The fault and its time of day.
    pub(crate) fn fault(&self) -> Option<(Fault, SystemTime)> {
        let fault = self.life.fault.as_ref()?.fault.clone();
        Some((fault, self.fault_at?))
    }
}

/// What an actor needs of its surroundings.
#[derive(Debug)]
pub(super) struct Surroundings {
    /// The engine's clock.
    pub clock: Clock,
    /// Where events go.
    pub events: broadcast::Sender<Event>,
    /// Asks for a look at the devices.
    pub look: Arc<Notify>,
    /// The stream's counters.
    pub monitor: Arc<Monitor>,
    /// Who does what may block.
    pub worker: Worker,
}

/// The task of one stream.
#[derive(Debug)]
pub(super) struct Actor {
    name: StreamName,
    config: Option<StreamConfig>,
    life: Lifecycle,
    around: Surroundings,
    view: watch::Sender<View>,
    retired: bool,
}

impl Actor {
    /// Starts the task; it ends after [`Command::Retire`], when its pipeline is down, or when nobody is left to talk to it.
    pub(super) fn spawn(
        name: StreamName,
        around: Surroundings,
        inbox: mpsc::UnboundedReceiver<Message>,
    ) -> watch::Receiver<View> {
        let life = Lifecycle::new(BackoffPolicy::default());
        let (view, seen) = watch::channel(View::new(life.snapshot()));
        let actor = Self {
            name,
            config: None,
            life,
            around,
            view,
            retired: false,
        };
        tokio::spawn(actor.run(inbox));
        seen
    }

    async fn run(mut self, mut inbox: mpsc::UnboundedReceiver<Message>) {
        let mut sample = tokio::time::interval(SAMPLE_EVERY);
        sample.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        while !self.is_over() {
            tokio::select! {
                message = inbox.recv() => match message {
                    Some(message) => self.take(message),
                    None => return,
                },
                () = sleep_until(self.life.next_deadline().map(|at| self.around.clock.instant(at))) => self.tick(),
                _ = sample.tick() => self.sample(),
            }
        }
    }

    /// Retired, and nothing of it is alive; or given up.
    fn is_over(&self) -> bool {
        let life = self.life.snapshot();
        self.retired && (life.generation.is_none() || life.state == State::Failed)
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Command(command, taken) => {
                self.command(command);
                // Whoever asked may have gone; the command stands.
                let _ = taken.send(());
            }
            Message::Ping(answer) => {
                // Whoever asked may have gone.
                let _ = answer.send(());
            }
            Message::Present(true) => self.step(Input::Present),
            Message::Present(false) => self.step(Input::Gone),
            Message::Usable => self.step(Input::Usable),
            Message::Pipeline { generation, event } => {
                // The pipeline may notice before udev tells: the other streams and the watchers are to know as soon.
                if matches!(&event, PipelineEvent::Fault(fault) if fault.kind == FaultKind::Absent)
                {
                    self.around.look.notify_one();
                }
                self.step(Input::Pipeline { generation, event });
            }
        }
    }

    fn command(&mut self, command: Command) {
        if self.retired {
            // Its end has begun: a command that crossed it must not bring it back.
            return;
        }
        match command {
            Command::Configure {
                config,
                source_changed,
            } => self.configure(config, source_changed),
            Command::Start => self.step(Input::Start),
            Command::Stop => self.step(Input::Stop),
            Command::Reset => self.step(Input::Reset),
            Command::Retire => {
                self.retired = true;
                self.step(Input::Stop);
            }
        }
    }

    fn configure(&mut self, config: StreamConfig, source_changed: bool) {
        let changed = source_changed
            || self
                .config
                .as_ref()
                .is_none_or(|old| needs_rebuild(old, &config));
        let timeouts = Timeouts::from(&config);
        let new_controls = self
            .config
            .as_ref()
            .is_some_and(|old| old.controls != config.controls);
        if new_controls && !changed && !config.controls.is_empty() {
            self.around.worker.order(Job::SetControls {
                device: config.device.clone(),
                values: config.controls.clone(),
            });
        }
        self.config = Some(config);
        self.step(Input::Configure { changed, timeouts });
    }

    /// A deadline passed. Frames are not reported one by one: the newest is asked for before time is.
    fn tick(&mut self) {
        self.note_frames();
        self.step(Input::Tick);
    }

    fn sample(&mut self) {
        self.note_frames();
        let now = self.around.clock.now();
        let sample = self.around.monitor.sample(now);
        for drops in sample.drops {
            let kind = EventKind::Drops {
                stream: self.name.clone(),
                subscriber: drops.subscriber,
                name: drops.name,
                lost: drops.lost,
            };
            self.emit(kind);
        }
        for breach in sample.breaches {
            self.tell_breach(breach);
        }
        if let Some((generation, new)) = sample.new {
            self.judge(generation, new);
        }
    }

    fn tell_breach(&self, breach: Breach) {
        let Breach {
            kind,
            count,
            detail,
        } = breach;
        warn!(stream = %self.name, kind = kind.name(), count, last = detail, "the contract was broken");
        self.emit(EventKind::Violation {
            stream: Some(self.name.clone()),
            kind,
            count,
            detail,
        });
    }

    /// Ends the pipeline if it broke the contract and is to stop for that.
    fn judge(&mut self, generation: u64, new: Violations) {
        let on = self.config.as_ref().map(|config| config.on_violation);
        let Some(kind) = ends_stream(on.unwrap_or_default(), new) else {
            return;
        };
        let fault = fault(kind, new.of(kind), &self.around.monitor.detail(kind));
        self.step(Input::Pipeline {
            generation,
            event: PipelineEvent::Fault(fault),
        });
    }

    fn note_frames(&mut self) {
        if let Some((generation, age)) = self.around.monitor.newest_frame() {
            let at = self.around.clock.now().saturating_sub(age);
            self.step(Input::Pipeline {
                generation,
                event: PipelineEvent::Frame { at },
            });
        }
    }

    fn step(&mut self, input: Input) {
        let before = self.life.state();
        let actions = self.life.step(self.around.clock.now(), input, random());
        for action in actions {
            self.act(action);
        }
        let life = self.life.snapshot();
        let view = self
            .view
            .borrow()
            .next(self.config.clone(), life, &self.around.clock);
        let changed = view.life.state != before;
        self.view.send_replace(view.clone());
        if changed {
            self.announce(before, &view);
        }
    }

    fn act(&self, action: Action) {
        let Some(config) = self.config.clone() else {
            return;
        };
        let job = match action {
            Action::BuildPipeline { generation } => Job::Build { generation, config },
            Action::TearDown { generation } => Job::TearDown { generation },
            Action::ResetDevice => Job::ResetDevice {
                device: config.device,
            },
        };
        self.around.worker.order(job);
    }

    fn announce(&self, from: State, view: &View) {
        let (to, attempt) = (view.life.state, view.life.attempt);
        let device = view.config.as_ref().map_or("", |c| c.device.as_str());
        let (stream, from_name, to_name) = (&self.name, from.name(), to.name());
        let fault = view.fault().filter(|_| is_faulty(to));
        if let Some((fault, _)) = &fault {
            warn!(%stream, device, from = from_name, to = to_name, attempt, kind = ?fault.kind, %fault, "state changed");
        } else {
            info!(%stream, device, from = from_name, to = to_name, "state changed");
        }
        self.emit(EventKind::StateChanged {
            stream: self.name.clone(),
            from,
            to,
            fault,
        });
    }

    fn emit(&self, kind: EventKind) {
        // Fails only while nobody watches.
        let _ = self.around.events.send(Event::now(kind));
    }
}

/// Whether a fault is the reason for being in this state.
const fn is_faulty(state: State) -> bool {
    matches!(
        state,
        State::Backoff { .. }
            | State::Stalled
            | State::Unauthorized
            | State::Failed
            | State::Absent
    )
}

async fn sleep_until(deadline: Option<std::time::Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

/// An evenly distributed number for the back-off's jitter: std's hasher keys come from the system's random source.
fn random() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0)
}
