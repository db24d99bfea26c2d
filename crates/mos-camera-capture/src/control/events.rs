//! `CaptureEventService`: what happens, as it happens.

use std::collections::VecDeque;
use std::pin::Pin;

use futures::Stream;
use mos_camera_api::v1;
use mos_camera_api::v1::capture_event_service_server::CaptureEventService;
use mos_camera_core::StreamName;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;
use tonic::{Request, Response, Status};

use super::convert;
use crate::engine::{Engine, Event};

/// The event service over an engine.
#[derive(Debug, Clone)]
pub struct Events {
    engine: Engine,
    stopping: watch::Receiver<bool>,
}

impl Events {
    /// Serves an engine's events until `stopping` turns true.
    pub const fn new(engine: Engine, stopping: watch::Receiver<bool>) -> Self {
        Self { engine, stopping }
    }
}

type EventStream = Pin<Box<dyn Stream<Item = Result<v1::Event, Status>> + Send>>;

#[tonic::async_trait]
impl CaptureEventService for Events {
    type WatchEventsStream = EventStream;

    async fn watch_events(
        &self,
        request: Request<v1::WatchEventsRequest>,
    ) -> Result<Response<EventStream>, Status> {
        let streams = convert::stream_names(&request.into_inner().streams)?;
        // Subscribed first, so that nothing falls between the snapshots and the events.
        let events = self.engine.events();
        let filter = Filter { streams };
        let all = self.engine.status(&[])?;
        let snapshots = all
            .iter()
            .filter(|s| filter.wants_stream(&s.name))
            .map(convert::snapshot)
            .collect();
        let watch = Watch {
            filter,
            snapshots,
            events,
            stopping: self.stopping.clone(),
        };
        let stream = futures::stream::unfold(watch, |mut watch| async move {
            let next = watch.next().await?;
            Some((next, watch))
        });
        Ok(Response::new(Box::pin(stream)))
    }
}

/// What a watcher wants to hear of.
#[derive(Debug, Clone)]
struct Filter {
    /// Empty: everything.
    streams: Vec<StreamName>,
}

impl Filter {
    fn wants_stream(&self, name: &StreamName) -> bool {
        self.streams.is_empty() || self.streams.contains(name)
    }

    /// Device events are about no stream: only those who want everything get them.
    fn wants(&self, event: &Event) -> bool {
        event
            .stream()
            .map_or(self.streams.is_empty(), |name| self.wants_stream(name))
    }
}

/// One call.
#[derive(Debug)]
struct Watch {
    filter: Filter,
    snapshots: VecDeque<v1::Event>,
    events: Receiver<Event>,
    stopping: watch::Receiver<bool>,
}

impl Watch {
    /// The next event; none when the service stops.
    async fn next(&mut self) -> Option<Result<v1::Event, Status>> {
        if let Some(snapshot) = self.snapshots.pop_front() {
            return Some(Ok(snapshot));
        }
        loop {
            let event = tokio::select! {
                event = self.events.recv() => event,
                _ = self.stopping.wait_for(|stopping| *stopping) => return None,
            };
            match event {
                Ok(event) if self.filter.wants(&event) => return Some(Ok(convert::event(&event))),
                Ok(_) => {}
                Err(RecvError::Lagged(lost)) => return Some(Ok(convert::lagged(lost))),
                Err(RecvError::Closed) => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use mos_camera_api::v1::event::Kind;
    use mos_camera_core::{DeviceId, Transport};
    use tokio::sync::broadcast;

    use super::*;
    use crate::engine::{EventKind, Lost};

    fn drops(stream: &str, subscriber: u64) -> Event {
        Event::now(EventKind::Drops {
            stream: stream.parse().unwrap(),
            subscriber,
            name: String::new(),
            lost: Lost::default(),
        })
    }

    fn watch(events: Receiver<Event>, streams: &[&str]) -> (Watch, watch::Sender<bool>) {
        let (stop, stopping) = watch::channel(false);
        let filter = Filter {
            streams: streams.iter().map(|s| s.parse().unwrap()).collect(),
        };
        let watch = Watch {
            filter,
            snapshots: VecDeque::new(),
            events,
            stopping,
        };
        (watch, stop)
    }

    async fn next(watch: &mut Watch) -> Kind {
        watch.next().await.unwrap().unwrap().kind.unwrap()
    }

    #[tokio::test]
    async fn a_slow_watcher_is_told_how_many_it_lost_and_then_the_newest() {
        let (sender, events) = broadcast::channel(2);
        for n in 0..5 {
            sender.send(drops("a", n)).unwrap();
        }
        let (mut slow, _stop) = watch(events, &[]);
        assert_eq!(next(&mut slow).await, Kind::Lagged(v1::Lagged { lost: 3 }));
        for n in [3, 4] {
            let Kind::Drops(drops) = next(&mut slow).await else {
                panic!("one of the newest")
            };
            assert_eq!(drops.subscriber, n);
        }
    }

    #[tokio::test]
    async fn a_filter_lets_only_its_streams_pass_and_a_stop_ends_the_watch() {
        let (sender, events) = broadcast::channel(8);
        let id = DeviceId::new(Transport::Test, "b");
        sender.send(drops("a", 1)).unwrap();
        sender
            .send(Event::now(EventKind::DeviceRemoved { id }))
            .unwrap();
        sender.send(drops("b", 2)).unwrap();
        let (mut filtered, stop) = watch(events, &["b"]);
        let Kind::Drops(drops) = next(&mut filtered).await else {
            panic!("an event of stream b")
        };
        assert_eq!((drops.stream.as_str(), drops.subscriber), ("b", 2));
        stop.send_replace(true);
        assert!(filtered.next().await.is_none());
    }
}
