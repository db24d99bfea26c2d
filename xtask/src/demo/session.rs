//! The running demo: streams and their subscribers.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::cameras::StreamSource;
use super::consumers::Consumers;
use super::result::{Measured, Outcome, StreamResult};
use super::view::{Row, SubscriberRow};
use crate::error::Error;
use crate::exec::{Running, create, describe};
use crate::paths;
use crate::rig::ctl::{Ctl, Stream};
use crate::rig::service::Service;
use crate::rig::subscriber::Subscriber;
use crate::signals;
use crate::ui::say;

/// A network camera's first frame can take long; one that never comes must not hold the demo up for ever.
const FIRST_FRAMES: Duration = Duration::from_secs(45);
const LOOK: Duration = Duration::from_millis(250);
const SNAPSHOT: Duration = Duration::from_mins(1);
const WIND_DOWN: Duration = Duration::from_secs(20);

/// All streams with their subscribers.
#[derive(Debug)]
pub(crate) struct Session {
    ctl: Ctl,
    consumers: Consumers,
    sources: Vec<StreamSource>,
    subscribers: Vec<Subscriber>,
    started: Instant,
}

impl Session {
    /// Nothing is subscribed yet.
    pub(crate) fn new(ctl: Ctl, consumers: Consumers, sources: Vec<StreamSource>) -> Self {
        Self {
            ctl,
            consumers,
            sources,
            subscribers: Vec::new(),
            started: Instant::now(),
        }
    }

    /// Subscribes to each stream as soon as it streams; goes on without those that don't in time.
    pub(crate) fn wait_for_frames(&mut self, service: &mut Service) -> Result<(), Error> {
        let deadline = Instant::now() + FIRST_FRAMES;
        loop {
            service.check()?;
            let status = self.ctl.status()?;
            self.subscribe(&status)?;
            let missing = self.missing();
            if missing.is_empty() || Instant::now() > deadline || signals::pause(LOOK) {
                for stream in missing {
                    say(format!(
                        "no frames of {stream}: {}",
                        reason(&status, &stream)
                    ));
                }
                self.started = Instant::now();
                return Ok(());
            }
        }
    }

    fn subscribe(&mut self, status: &[Stream]) -> Result<(), Error> {
        let missing = self.missing();
        for stream in status
            .iter()
            .filter(|stream| stream.streams() && missing.contains(&stream.name))
        {
            let started = self.consumers.start(&self.ctl, &stream.name)?;
            self.subscribers.extend(started);
        }
        Ok(())
    }

    /// Streams without subscribers.
    fn missing(&self) -> Vec<String> {
        let served = |stream: &str| {
            self.subscribers
                .iter()
                .any(|subscriber| subscriber.stream == stream)
        };
        self.sources
            .iter()
            .filter(|source| !served(&source.stream))
            .map(|source| source.stream.clone())
            .collect()
    }

    /// What the table shows now.
    pub(crate) fn rows(&mut self) -> Result<Vec<Row>, Error> {
        let status = self.ctl.status()?;
        self.subscribe(&status)?;
        let mut rows = Vec::new();
        for source in &self.sources {
            let stream = status.iter().find(|stream| stream.name == source.stream);
            let mut subscribers = Vec::new();
            for subscriber in self
                .subscribers
                .iter_mut()
                .filter(|subscriber| subscriber.stream == source.stream)
            {
                subscribers.push(SubscriberRow {
                    name: subscriber.name.clone(),
                    figures: subscriber.latest()?,
                });
            }
            rows.push(Row {
                source: source.clone(),
                state: stream.map_or("unknown".to_owned(), |stream| stream.state.clone()),
                fps: stream
                    .and_then(|stream| stream.frames.as_ref())
                    .map(|frames| frames.fps),
                subscribers,
            });
        }
        Ok(rows)
    }

    /// Writes a picture of all streams. A failure is told, not fatal: the figures are still wanted.
    pub(crate) fn snapshot(&self, file: &Path) -> Result<bool, Error> {
        let target = file.to_string_lossy();
        let streams = self.sources.iter().map(|source| source.stream.as_str());
        let args: Vec<_> = ["snapshot", "--sheet"]
            .into_iter()
            .chain(streams)
            .chain([&*target])
            .collect();
        let log = paths::artifacts().join("demo/snapshot.log");
        let mut command = self.ctl.command(&args);
        let output = create(&log)?;
        command
            .stdout(output.try_clone().map_err(Error::path("write", &log))?)
            .stderr(output);
        let status = Running::spawn("mosctl snapshot", &mut command)?.wait_timeout(SNAPSHOT)?;
        if status.is_some_and(|status| status.success()) {
            return Ok(true);
        }
        let how = status.map_or("it took too long".to_owned(), describe);
        say(format!(
            "no picture: mosctl snapshot ended with {how}; see {}",
            log.display()
        ));
        Ok(false)
    }

    /// Ends the subscribers and adds everything up.
    pub(crate) fn finish(mut self, sheet: Option<PathBuf>) -> Result<Outcome, Error> {
        let seconds = self.started.elapsed().as_secs_f64();
        let status = self.ctl.status()?;
        for subscriber in &mut self.subscribers {
            subscriber.interrupt()?;
        }
        let mut measured = Vec::new();
        for subscriber in self.subscribers {
            let (stream, name) = (subscriber.stream.clone(), subscriber.name.clone());
            measured.push((
                stream,
                Measured {
                    name,
                    figures: subscriber.finish(WIND_DOWN)?,
                },
            ));
        }
        let streams = self.sources.into_iter().map(|source| {
            let of_it = measured
                .iter()
                .filter(|(stream, _)| *stream == source.stream);
            let subscribers = of_it.map(|(_, measured)| measured.clone()).collect();
            let found = status.iter().find(|stream| stream.name == source.stream);
            StreamResult::new(source, found, subscribers)
        });
        Ok(Outcome {
            seconds,
            streams: streams.collect(),
            sheet,
        })
    }
}

fn reason(status: &[Stream], name: &str) -> String {
    status
        .iter()
        .find(|stream| stream.name == name)
        .map_or("the service does not know it".to_owned(), Stream::reason)
}
