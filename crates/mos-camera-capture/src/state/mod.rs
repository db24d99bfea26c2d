//! The wanted state: what was asked for over the control service, kept over restarts.
//!
//! The configuration file says which cameras there are and gives each stream its defaults; this says what was changed at
//! run time, and wins. A change is saved before it is applied, so that what runs is never ahead of what is kept.

mod store;

use std::collections::BTreeMap;

use mos_camera_core::{DeviceId, StreamConfig, StreamName};
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
    /// Cameras that were added at run time: their tables as in the configuration file, which hold no secret.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    cameras: BTreeMap<StreamName, String>,
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
            cameras: BTreeMap::new(),
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

    /// The cameras that were added at run time, with their tables.
    pub fn cameras(&self) -> impl Iterator<Item = (&StreamName, &str)> {
        self.cameras
            .iter()
            .map(|(name, table)| (name, table.as_str()))
    }

    /// The table of a camera that was added at run time.
    pub fn camera(&self, name: &StreamName) -> Option<&str> {
        self.cameras.get(name).map(String::as_str)
    }

    /// The same state with a camera added, or another table for it.
    #[must_use]
    pub fn with_camera(&self, name: &StreamName, table: &str) -> Self {
        let mut next = self.clone();
        next.cameras.insert(name.clone(), table.to_owned());
        next
    }

    /// The same state without an added camera, and without what was asked of the stream that the camera brought along:
    /// one of its name, unless that was given another device.
    #[must_use]
    pub fn without_camera(&self, name: &StreamName, device: Option<&DeviceId>) -> Self {
        let mut next = self.clone();
        next.cameras.remove(name);
        let of_another = |wanted: &Wanted| {
            wanted
                .config
                .as_ref()
                .is_some_and(|config| Some(&config.device) != device)
        };
        if !next.streams.get(name).is_some_and(of_another) {
            next.streams.remove(name);
        }
        next
    }
}

#[cfg(test)]
mod tests;
