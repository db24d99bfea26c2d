//! Which streams there are to be: the configuration file's, with what was asked for at run time laid over them.

use std::collections::BTreeMap;

use mos_camera_core::{DeviceId, StreamConfig, StreamName};

use crate::config::Config;
use crate::state::WantedState;

/// One stream that is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Desired {
    /// Its configuration.
    pub config: StreamConfig,
    /// Whether it is wanted to run.
    pub started: bool,
}

/// Two streams want one device; the second is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Conflict {
    /// The device.
    pub device: DeviceId,
    /// The stream that has it.
    pub kept: StreamName,
    /// The stream that is left out.
    pub left_out: StreamName,
}

/// The streams that are to be, and those that can't be.
///
/// A stream that was configured at run time keeps its device against one that only the file knows.
pub(super) fn desired(
    config: &Config,
    state: &WantedState,
) -> (BTreeMap<StreamName, Desired>, Vec<Conflict>) {
    let mut streams = BTreeMap::new();
    let mut owners: BTreeMap<DeviceId, StreamName> = BTreeMap::new();
    let mut conflicts = Vec::new();
    for (name, stream) in candidates(config, state) {
        let device = &stream.config.device;
        if let Some(kept) = owners.get(device) {
            conflicts.push(Conflict {
                device: device.clone(),
                kept: kept.clone(),
                left_out: name,
            });
            continue;
        }
        owners.insert(device.clone(), name.clone());
        streams.insert(name, stream);
    }
    (streams, conflicts)
}

/// Every stream that anybody asked for, those of the control service first.
fn candidates(config: &Config, state: &WantedState) -> Vec<(StreamName, Desired)> {
    let mut all = Vec::new();
    for (name, wanted) in state.streams() {
        if let Some(stream) = &wanted.config {
            let started = wanted.started.unwrap_or_else(|| file_start(config, name));
            all.push((
                name.clone(),
                Desired {
                    config: stream.clone(),
                    started,
                },
            ));
        }
    }
    for (name, camera) in &config.cameras {
        let wanted = state.stream(name);
        if let (Some(stream), None) = (&camera.stream, wanted.config) {
            let started = wanted.started.unwrap_or(stream.start);
            all.push((
                name.clone(),
                Desired {
                    config: stream.config.clone(),
                    started,
                },
            ));
        }
    }
    all
}

fn file_start(config: &Config, name: &StreamName) -> bool {
    config
        .cameras
        .get(name)
        .and_then(|camera| camera.stream.as_ref())
        .is_some_and(|stream| stream.start)
}

/// Whether going from one configuration to the other needs another pipeline; watchdogs and what to do on a violation do not,
/// and controls are set on the running camera.
pub(super) fn needs_rebuild(old: &StreamConfig, new: &StreamConfig) -> bool {
    let built = |c: &StreamConfig| StreamConfig {
        first_frame_timeout: new.first_frame_timeout,
        steady_timeout: new.steady_timeout,
        controls: new.controls.clone(),
        on_violation: new.on_violation,
        ..c.clone()
    };
    built(old) != *new
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mos_camera_core::{OnViolation, SourceConfig, TestSource, Transport};

    use super::*;
    use crate::config::{Camera, FileStream};
    use crate::state::Wanted;

    fn name(text: &str) -> StreamName {
        text.parse().unwrap()
    }

    fn on(device: &str, width: u32) -> StreamConfig {
        let device = DeviceId::new(Transport::Test, device);
        StreamConfig {
            size: Some((width, 480)),
            ..StreamConfig::new(device)
        }
    }

    fn camera(device: &str, start: bool) -> Camera {
        let stream = Some(FileStream {
            config: on(device, 640),
            start,
        });
        Camera {
            device: DeviceId::new(Transport::Test, device),
            source: SourceConfig::Test(TestSource::default()),
            stream,
        }
    }

    fn config(cameras: &[(&str, bool)]) -> Config {
        let cameras = cameras
            .iter()
            .map(|&(n, start)| (name(n), camera(n, start)))
            .collect();
        Config {
            cameras,
            ..Config::default()
        }
    }

    #[test]
    fn the_file_is_the_default_and_the_control_service_wins() {
        let config = config(&[("a", true), ("b", false), ("c", true)]);
        let state = WantedState::default()
            .with(
                &name("a"),
                Wanted {
                    config: None,
                    started: Some(false),
                },
            )
            .with(
                &name("b"),
                Wanted {
                    config: Some(on("b", 1280)),
                    started: None,
                },
            )
            .with(
                &name("d"),
                Wanted {
                    config: Some(on("d", 320)),
                    started: Some(true),
                },
            )
            .with(
                &name("gone"),
                Wanted {
                    config: None,
                    started: Some(true),
                },
            );
        let (streams, conflicts) = desired(&config, &state);
        let expected = [
            ("a", on("a", 640), false),
            ("b", on("b", 1280), false),
            ("c", on("c", 640), true),
            ("d", on("d", 320), true),
        ];
        let expected: BTreeMap<_, _> = expected
            .into_iter()
            .map(|(n, config, started)| (name(n), Desired { config, started }))
            .collect();
        assert_eq!((streams, conflicts), (expected, Vec::new()));
    }

    #[test]
    fn a_camera_without_a_stream_makes_none() {
        let mut config = config(&[("a", true)]);
        config.cameras.get_mut(&name("a")).unwrap().stream = None;
        assert!(desired(&config, &WantedState::default()).0.is_empty());
    }

    #[test]
    fn a_device_goes_to_the_stream_that_was_configured_at_run_time() {
        let state = WantedState::default().with(
            &name("z"),
            Wanted {
                config: Some(on("a", 320)),
                started: Some(true),
            },
        );
        let (streams, conflicts) = desired(&config(&[("a", true)]), &state);
        assert_eq!(streams.keys().collect::<Vec<_>>(), [&name("z")]);
        let expected = Conflict {
            device: DeviceId::new(Transport::Test, "a"),
            kept: name("z"),
            left_out: name("a"),
        };
        assert_eq!(conflicts, [expected]);
    }

    #[test]
    fn watchdogs_and_what_to_do_on_a_violation_change_without_a_rebuild() {
        let old = on("a", 640);
        let watchdogs = StreamConfig {
            steady_timeout: Duration::from_secs(1),
            first_frame_timeout: Duration::from_secs(9),
            ..old.clone()
        };
        assert!(!needs_rebuild(&old, &watchdogs));
        let stops = StreamConfig {
            on_violation: OnViolation::Stop,
            ..old.clone()
        };
        assert!(!needs_rebuild(&old, &stops) && !needs_rebuild(&stops, &old));
        assert!(needs_rebuild(&old, &on("b", 640)));
        assert!(needs_rebuild(&old, &on("a", 320)));
        assert!(needs_rebuild(
            &old,
            &StreamConfig {
                max_subscribers: Some(3),
                ..old.clone()
            }
        ));
    }
}
