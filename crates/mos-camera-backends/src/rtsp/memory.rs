//! What is known of a camera from its sessions: of all of them by what to carry its media, of the newest the rest.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mos_camera_core::carrier::{Carrier, Carriers, Shown};
use mos_camera_core::sdp::Media;
use mos_camera_core::{Fault, RtspSource, TlsProblem};

use super::url::is_tls;

/// Shared by the camera, the callbacks of its source, and whoever explains its faults.
#[derive(Debug, Clone)]
pub(super) struct Memory(Arc<Mutex<Known>>);

/// What is known.
#[derive(Debug)]
pub(super) struct Known {
    /// By what the next session's media comes.
    pub(super) carriers: Carriers,
    /// What the camera described last; empty before its first session.
    pub(super) offered: Vec<Media>,
    /// The newest session.
    pub(super) run: Run,
}

/// What a session has shown so far.
#[derive(Debug, Clone)]
pub(super) struct Run {
    /// Counts sessions.
    pub(super) number: u64,
    /// By what its media is to come.
    pub(super) carrier: Carrier,
    /// Whether a track was chosen and asked for.
    pub(super) asked: bool,
    /// Why none could be.
    pub(super) refusal: Option<Fault>,
    /// What it showed first about its carrier: what follows an error is its echo.
    pub(super) shown: Option<Shown>,
    /// Whether it was looked why there was no TLS.
    pub(super) diagnosed: bool,
    /// What was wrong with the peer's certificate, with details.
    pub(super) tls: Option<(TlsProblem, String)>,
}

impl Run {
    const fn new(number: u64, carrier: Carrier) -> Self {
        Self {
            number,
            carrier,
            asked: false,
            refusal: None,
            shown: None,
            diagnosed: false,
            tls: None,
        }
    }
}

impl Memory {
    pub(super) fn new(source: &RtspSource) -> Self {
        let carriers = Carriers::new(source.transport, is_tls(&source.url));
        let run = Run::new(0, carriers.next());
        Self(Arc::new(Mutex::new(Known {
            carriers,
            offered: Vec::new(),
            run,
        })))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// A new session begins.
    pub(super) fn begin(&mut self) {
        self.run = Run::new(self.run.number + 1, self.carriers.next());
    }

    /// The session showed something about its carrier; the first thing that it shows is all that is learnt from it.
    pub(super) fn show(&mut self, shown: Shown) {
        if self.run.shown.is_none() {
            self.run.shown = Some(shown);
            self.carriers.note(shown);
        }
    }
}
