//! What every backend has to do, whatever its transport. `suite!` makes a test of each rule.

#![allow(
    dead_code,
    unused_imports,
    reason = "not every test binary uses all of it"
)]

mod rules;
mod running;

use std::sync::Arc;
use std::time::Duration;

use mos_camera_backends::Backend;
use mos_camera_core::{DeviceId, StreamConfig};

pub(crate) use rules::*;
pub(crate) use running::{Running, next};

/// Longest wait for what happens in milliseconds on an idle machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// A camera to hold to the rules.
pub(crate) struct Subject {
    /// Its backend.
    pub(crate) backend: Arc<dyn Backend>,
    /// Its id.
    pub(crate) device: DeviceId,
    /// An id of the same transport that is not there.
    pub(crate) absent: DeviceId,
    /// A size that it can give.
    pub(crate) size: (u32, u32),
    /// A size that it can't give.
    pub(crate) unsupported: (u32, u32),
    /// What keeps the camera alive.
    pub(crate) keep: Box<dyn std::any::Any>,
}

impl Subject {
    /// The configuration of its good size.
    pub(crate) fn config(&self) -> StreamConfig {
        StreamConfig {
            size: Some(self.size),
            ..StreamConfig::new(self.device.clone())
        }
    }
}

/// One `#[test]` per rule, each for all that `$subjects()` gives.
#[macro_export]
macro_rules! suite {
    ($subjects:path; $($rule:ident),+ $(,)?) => {
        $(
            #[test]
            fn $rule() {
                mos_camera_backends::init().unwrap();
                for subject in $subjects() {
                    $crate::conformance::$rule(&subject);
                }
            }
        )+
    };
    ($subjects:path) => {
        $crate::suite!(
            $subjects;
            discovery_lists_the_device_with_a_stable_id,
            the_source_names_its_elements,
            the_plan_is_what_is_built,
            frames_of_the_size_asked_for_reach_the_bus_uncopied,
            stopping_is_clean,
            after_a_restart_subscribers_go_on,
            an_unknown_device_is_a_fault,
            an_unsupported_size_is_a_fault_that_lists_what_is_supported,
        );
    };
}
