//! Keeps the wanted state: every change is on disk before anybody acts on it.

use std::sync::{Arc, PoisonError, RwLock};

use mos_camera_core::StreamName;
use tokio::sync::Mutex;

use crate::state::{SaveError, Store, Wanted, WantedState};

/// The wanted state and its file.
#[derive(Debug)]
pub(super) struct Keeper {
    store: Arc<Store>,
    state: Mutex<WantedState>,
    /// Why the last save failed; none if it did not.
    problem: RwLock<Option<String>>,
}

impl Keeper {
    /// Keeps `state` in `store`, where it came from.
    pub(super) fn new(store: Store, state: WantedState) -> Self {
        Self {
            store: Arc::new(store),
            state: Mutex::new(state),
            problem: RwLock::new(None),
        }
    }

    /// The state as it was last saved.
    pub(super) async fn state(&self) -> WantedState {
        self.state.lock().await.clone()
    }

    /// Changes what is wanted of a stream. If it can't be saved, nothing has changed.
    pub(super) async fn update(
        &self,
        name: &StreamName,
        change: impl FnOnce(&mut Wanted) + Send,
    ) -> Result<(), SaveError> {
        let with = |state: &WantedState| {
            let mut wanted = state.stream(name);
            change(&mut wanted);
            state.with(name, wanted)
        };
        self.replace(with).await
    }

    /// Replaces the state by what `change` makes of it. If it can't be saved, nothing has changed.
    pub(super) async fn replace(
        &self,
        change: impl FnOnce(&WantedState) -> WantedState + Send,
    ) -> Result<(), SaveError> {
        let mut state = self.state.lock().await;
        let next = change(&state);
        if next == *state {
            return Ok(());
        }
        let saved = self.save(next.clone()).await;
        self.remember(saved.as_ref().err());
        saved?;
        *state = next;
        Ok(())
    }

    async fn save(&self, state: WantedState) -> Result<(), SaveError> {
        let store = Arc::clone(&self.store);
        let task = tokio::task::spawn_blocking(move || store.save(&state));
        task.await.unwrap_or_else(|e| {
            Err(SaveError {
                path: self.store.path().to_owned(),
                source: e.into(),
            })
        })
    }

    fn remember(&self, error: Option<&SaveError>) {
        *self.problem.write().unwrap_or_else(PoisonError::into_inner) =
            error.map(ToString::to_string);
    }

    /// Why the last save failed; none if it did not.
    pub(super) fn problem(&self) -> Option<String> {
        self.problem
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
