//! What the service tells of its streams' states, as it comes: `mosctl watch --json`.

use std::collections::HashMap;
use std::process::{Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::error::Error;
use crate::exec::{Running, create, read_lines};
use crate::paths;
use crate::signals;

use super::ctl::{Ctl, Fault};

/// How often waiting looks up for Ctrl-C.
const TICK: Duration = Duration::from_millis(200);

/// A state that a stream entered.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// When it was told.
    pub(crate) at: Instant,
    /// Its name.
    pub(crate) state: String,
    /// What led to it.
    pub(crate) fault: Option<Fault>,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Event {
    Snapshot {
        stream: String,
        state: String,
        fault: Option<Fault>,
    },
    StateChanged {
        stream: String,
        to: String,
        fault: Option<Fault>,
    },
    Lagged {
        lost: u64,
    },
    #[serde(other)]
    Other,
}

#[derive(Debug, Default)]
struct Streams {
    entries: HashMap<String, Vec<Entry>>,
    /// Why it can't be relied on any more.
    broken: Option<String>,
}

impl Streams {
    fn take(&mut self, line: &str, at: Instant) {
        let (stream, state, fault) = match serde_json::from_str(line) {
            Ok(Event::Snapshot {
                stream,
                state,
                fault,
            }) => (stream, state, fault),
            Ok(Event::StateChanged { stream, to, fault }) => (stream, to, fault),
            Ok(Event::Lagged { lost }) => {
                self.broken = Some(format!("{lost} events were lost"));
                return;
            }
            Ok(Event::Other) => return,
            Err(error) => {
                self.broken = Some(format!("{error}: {line}"));
                return;
            }
        };
        let entry = Entry { at, state, fault };
        self.entries.entry(stream).or_default().push(entry);
    }
}

#[derive(Debug, Default)]
struct Shared {
    streams: Mutex<Streams>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Streams> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Follows all streams of a service. Dropping it ends that.
#[derive(Debug)]
pub(crate) struct Watch {
    shared: Arc<Shared>,
    _running: Running,
}

impl Watch {
    /// Begins to follow.
    pub(crate) fn start(ctl: &Ctl) -> Result<Self, Error> {
        let log = paths::artifacts().join("watch.log");
        let mut command: Command = ctl.command(&["watch", "--json"]);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(create(&log)?);
        let mut running = Running::spawn("mosctl watch", &mut command)?;
        let output = running.child_mut().stdout.take();
        let lines = read_lines(output.ok_or_else(|| Error::Unexpected {
            what: "mosctl watch".to_owned(),
            why: "no output".to_owned(),
        })?);
        let shared = Arc::new(Shared::default());
        let theirs = shared.clone();
        thread::spawn(move || {
            for line in lines {
                theirs.lock().take(&line, Instant::now());
                theirs.changed.notify_all();
            }
            theirs
                .lock()
                .broken
                .get_or_insert("the events ended".to_owned());
            theirs.changed.notify_all();
        });
        Ok(Self {
            shared,
            _running: running,
        })
    }

    /// All states of a stream so far.
    pub(crate) fn states(&self, stream: &str) -> Vec<Entry> {
        let streams = self.shared.lock();
        streams.entries.get(stream).cloned().unwrap_or_default()
    }

    /// Waits until `wanted` holds for a stream's states, at most until `deadline`; answers whether it does.
    pub(crate) fn wait(
        &self,
        stream: &str,
        deadline: Instant,
        mut wanted: impl FnMut(&[Entry]) -> bool,
    ) -> Result<bool, Error> {
        let mut streams = self.shared.lock();
        loop {
            signals::check()?;
            if let Some(why) = &streams.broken {
                return Err(Error::Unexpected {
                    what: "mosctl watch".to_owned(),
                    why: why.clone(),
                });
            }
            let none = Vec::new();
            if wanted(streams.entries.get(stream).unwrap_or(&none)) {
                return Ok(true);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            let waited = self.shared.changed.wait_timeout(streams, left.min(TICK));
            streams = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_become_states() {
        let mut streams = Streams::default();
        for line in [
            r#"{"at":"x","event":"snapshot","stream":"a","state":"configured","fault":null,"device":"d"}"#,
            r#"{"at":"x","event":"device_removed","id":"b"}"#,
            r#"{"at":"x","event":"state_changed","stream":"a","from":"configured","to":"starting","fault":{"message":"m","hint":"h","kind":"k"}}"#,
        ] {
            streams.take(line, Instant::now());
        }
        let states: Vec<_> = streams.entries["a"]
            .iter()
            .map(|entry| entry.state.as_str())
            .collect();
        assert_eq!(states, ["configured", "starting"]);
        assert!(streams.broken.is_none());
        streams.take(r#"{"event":"lagged","lost":3}"#, Instant::now());
        assert!(streams.broken.unwrap().contains('3'));
    }
}
