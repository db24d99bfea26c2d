//! The wanted state: what was asked for over the control service, kept over restarts.
//!
//! The configuration file says which cameras there are and gives each stream its defaults; this says what was changed at
//! run time, and wins. A change is saved before it is applied, so that what runs is never ahead of what is kept.

mod store;

use std::collections::BTreeMap;

use mos_camera_core::{StreamConfig, StreamName};
use serde::{Deserialize, Serialize};

pub use store::{Loaded, SaveError, Store};

/// Version of the file's shape that this build writes and reads.
pub const VERSION: u32 = 1;

/// What was asked for at run time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WantedState {
    version: u32,
    /// By stream; a stream that is not here is as the configuration file has it.
    #[serde(default)]
    streams: BTreeMap<StreamName, Wanted>,
}

/// What was asked of one stream at run time.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// The last `ConfigureStream`; none: as in the configuration file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<StreamConfig>,
    /// The last `StartCapture` (true) or `StopCapture` (false); none: as in the configuration file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<bool>,
}

impl Default for WantedState {
    fn default() -> Self {
        Self {
            version: VERSION,
            streams: BTreeMap::new(),
        }
    }
}

impl WantedState {
    /// What was asked of a stream.
    pub fn stream(&self, name: &StreamName) -> Wanted {
        self.streams.get(name).cloned().unwrap_or_default()
    }

    /// Every stream of which something was asked.
    pub fn streams(&self) -> impl Iterator<Item = (&StreamName, &Wanted)> {
        self.streams.iter()
    }

    /// The same state with one stream's wishes replaced; wishes that say nothing are forgotten.
    #[must_use]
    pub fn with(&self, name: &StreamName, wanted: Wanted) -> Self {
        let mut next = self.clone();
        if wanted == Wanted::default() {
            next.streams.remove(name);
        } else {
            next.streams.insert(name.clone(), wanted);
        }
        next
    }
}

#[cfg(test)]
mod tests;
