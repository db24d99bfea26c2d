//! What a source finds out about its session while it runs, and how many frames it gave up.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use mos_camera_core::SessionFacts;

/// The session of one source. Clones are the same session; a new source has a new one.
#[derive(Debug, Clone, Default)]
pub struct Session(Arc<Mutex<SessionFacts>>);

impl Session {
    /// A session of which this is known already.
    pub fn new(facts: SessionFacts) -> Self {
        Self(Arc::new(Mutex::new(facts)))
    }

    /// Notes what was found out; `change` has to return soon.
    pub fn update(&self, change: impl FnOnce(&mut SessionFacts)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// What is known now; none of a camera that is no network camera.
    pub fn facts(&self) -> Option<SessionFacts> {
        let facts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (!facts.is_empty()).then(|| facts.clone())
    }
}

/// Frames that were dropped because they came too late or faster than they could be decoded. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct Late(Arc<AtomicU64>);

impl Late {
    /// Counts some.
    pub fn add(&self, frames: u64) {
        self.0.fetch_add(frames, Ordering::Relaxed);
    }

    /// Counts one. True for the first, and for every 30th after it: often enough to ask the camera for help.
    pub(crate) fn count_one(&self) -> bool {
        self.0.fetch_add(1, Ordering::Relaxed).is_multiple_of(30)
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_are_one_session_and_nothing_is_told_of_none() {
        let session = Session::default();
        assert_eq!(session.facts(), None);
        session
            .clone()
            .update(|facts| facts.protocol = "RTSP".to_owned());
        assert_eq!(session.facts().unwrap().protocol, "RTSP");
    }
}
