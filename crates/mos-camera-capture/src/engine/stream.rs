//! The handle of one stream: how the engine talks to its actor.

use std::sync::Arc;

use mos_camera_core::lifecycle::State;
use mos_camera_core::{StreamConfig, StreamName};
use tokio::sync::{mpsc, oneshot, watch};

use super::actor::{Actor, Command, Message, Surroundings, View};
use super::error::EngineError;
use super::monitor::Monitor;

/// One stream, as the engine holds it.
#[derive(Debug)]
pub(super) struct Stream {
    name: StreamName,
    inbox: mpsc::UnboundedSender<Message>,
    view: watch::Receiver<View>,
    monitor: Arc<Monitor>,
}

impl Stream {
    /// Starts the actor of a stream that is not configured yet.
    pub(super) fn spawn(
        name: StreamName,
        around: Surroundings,
        inbox: (
            mpsc::UnboundedSender<Message>,
            mpsc::UnboundedReceiver<Message>,
        ),
    ) -> Self {
        let monitor = Arc::clone(&around.monitor);
        let view = Actor::spawn(name.clone(), around, inbox.1);
        Self {
            name,
            inbox: inbox.0,
            view,
            monitor,
        }
    }

    /// Gives a command and returns once the actor has taken it in.
    pub(super) async fn command(&self, command: Command) -> Result<(), EngineError> {
        let (taken, answer) = oneshot::channel();
        // If the actor is gone the answer's other end is too, and says so.
        let _ = self.inbox.send(Message::Command(command, taken));
        answer.await.map_err(|_| EngineError::Internal {
            what: format!("stream {} has ended", self.name),
        })
    }

    /// Says whether the device is there.
    pub(super) fn tell_presence(&self, present: bool) {
        // An actor that has ended needs no telling.
        let _ = self.inbox.send(Message::Present(present));
    }

    /// Says that what kept the device from being used is gone.
    pub(super) fn tell_usable(&self) {
        // An actor that has ended needs no telling.
        let _ = self.inbox.send(Message::Usable);
    }

    /// Returns once the actor has answered, or is gone.
    pub(super) async fn ping(&self) {
        let (taken, answer) = oneshot::channel();
        let _ = self.inbox.send(Message::Ping(taken));
        let _ = answer.await;
    }

    /// Returns once no pipeline is alive; false if it was given up.
    pub(super) async fn down(&self) -> bool {
        let mut view = self.view.clone();
        let settled = |v: &View| v.life.generation.is_none() || v.life.state == State::Failed;
        match view.wait_for(settled).await {
            Ok(view) => view.life.generation.is_none(),
            // The actor ended, which it does only when its pipeline is down or given up.
            Err(_) => self.view.borrow().life.generation.is_none(),
        }
    }

    /// Its life as it is now.
    pub(super) fn view(&self) -> View {
        self.view.borrow().clone()
    }

    /// What it is asked to be.
    pub(super) fn config(&self) -> Option<StreamConfig> {
        self.view.borrow().config.clone()
    }

    /// Its counters.
    pub(super) fn monitor(&self) -> &Monitor {
        &self.monitor
    }
}
