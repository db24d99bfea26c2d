//! `mosctl watch`.

use std::collections::BTreeMap;

use mos_camera_api::client;
use mos_camera_api::v1::event::Kind;
use mos_camera_api::v1::{Event, Violation, WatchEventsRequest};
use mos_camera_core::StreamName;
use tonic::Streaming;

use super::status::fault_text;
use super::{answer, names, within};
use crate::cli::Global;
use crate::exit::{Exit, Failure, Result};
use crate::output::Out;
use crate::signals::Stop;
use crate::{text, view};

pub(super) async fn run(global: &Global, streams: &[StreamName], out: &Out) -> Result<()> {
    let mut stop = Stop::new()?;
    let socket = global.socket();
    let mut client = within("connecting", client::connect_events(&socket)).await??;
    let request = WatchEventsRequest {
        streams: names(streams),
    };
    let mut events = answer(client.watch_events(request)).await?;
    let mut seen = Seen::default();
    while let Some(event) = next(&mut events, &mut stop).await? {
        seen.count(&event);
        out.result(&view::Event::from(&event), |_| render(&event))?;
    }
    out.say(&seen.render())
}

/// The next event; `None` once the user has had enough.
async fn next(events: &mut Streaming<Event>, stop: &mut Stop) -> Result<Option<Event>> {
    tokio::select! {
        event = events.message() => event?.map(Some).ok_or_else(|| {
            Failure::new(Exit::Unavailable, "the service ended the events", "it is stopping; watch again when it is back")
        }),
        () = stop.asked() => Ok(None),
    }
}

/// How much was seen, for the summary.
#[derive(Debug, Default)]
struct Seen {
    changes: u64,
    devices: u64,
    drops: BTreeMap<String, u64>,
    violations: u64,
    lost: u64,
}

impl Seen {
    fn count(&mut self, event: &Event) {
        match &event.kind {
            Some(Kind::StateChanged(_)) => self.changes += 1,
            Some(Kind::DeviceAdded(_) | Kind::DeviceRemoved(_)) => self.devices += 1,
            Some(Kind::Drops(d)) => {
                *self.drops.entry(d.stream.clone()).or_default() += d.recalled + d.skipped;
            }
            Some(Kind::Violation(v)) => self.violations += v.count,
            Some(Kind::Lagged(l)) => self.lost += l.lost,
            Some(Kind::Snapshot(_)) | None => {}
        }
    }

    fn render(&self) -> String {
        let mut parts = vec![
            text::count(self.changes, "state change"),
            text::count(self.devices, "device event"),
        ];
        parts.extend(
            self.drops
                .iter()
                .map(|(stream, n)| format!("{} of {stream}", text::count(*n, "drop"))),
        );
        if self.violations > 0 {
            parts.push(text::count(self.violations, "violation"));
        }
        if self.lost > 0 {
            parts.push(format!("{} missed", text::count(self.lost, "event")));
        }
        format!("Seen: {}\n", parts.join(", "))
    }
}

fn render(event: &Event) -> String {
    let at = event
        .at
        .map_or_else(|| text::NONE.to_owned(), |t| time_of_day(&t));
    let what = match &event.kind {
        None => "an event that this mosctl does not know".to_owned(),
        Some(Kind::Snapshot(s)) => {
            let fault = s
                .fault
                .as_ref()
                .map_or_else(String::new, |f| format!(": {}", fault_text(f)));
            format!("{} is {}{fault}", s.stream, text::state(s.state))
        }
        Some(Kind::StateChanged(c)) => {
            let fault = c
                .fault
                .as_ref()
                .map_or_else(String::new, |f| format!(": {}", fault_text(f)));
            format!(
                "{} {} -> {}{fault}",
                c.stream,
                text::state(c.from),
                text::state(c.to)
            )
        }
        Some(Kind::DeviceAdded(d)) => {
            format!("device {} is there: {} at {}", d.id, d.model, d.location)
        }
        Some(Kind::DeviceRemoved(d)) => format!("device {} is gone", d.id),
        Some(Kind::Drops(d)) => {
            format!(
                "{}: subscriber {} lost {}",
                d.stream,
                d.name,
                text::count(d.recalled + d.skipped, "frame")
            )
        }
        Some(Kind::Violation(v)) => violation(v),
        Some(Kind::Lagged(l)) => format!(
            "{} lost: this watcher was too slow",
            text::count(l.lost, "event")
        ),
    };
    format!("{at}  {what}\n")
}

fn violation(violation: &Violation) -> String {
    let kind = text::enum_name(violation.kind().as_str_name(), "VIOLATION_KIND_").replace('_', " ");
    let whose = match violation.stream.as_str() {
        "" => "the service",
        stream => stream,
    };
    let last = match violation.detail.as_str() {
        "" => String::new(),
        detail => format!("; the last: {detail}"),
    };
    let times = text::count(violation.count, "time");
    format!("{whose}: the contract was broken {times} ({kind}){last}")
}

/// `12:03:04.567`, in UTC, out of `2026-01-02T12:03:04.567Z`.
fn time_of_day(time: &prost_types::Timestamp) -> String {
    let seconds = time.seconds.rem_euclid(86_400);
    format!(
        "{:02}:{:02}:{:02}.{:03}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60,
        time.nanos / 1_000_000
    )
}

#[cfg(test)]
mod tests {
    use mos_camera_api::v1::{
        DeviceRemoved, Drops, Fault, Lagged, State, StateChanged, ViolationKind,
    };

    use super::*;

    fn event(kind: Kind) -> Event {
        let at = prost_types::Timestamp {
            seconds: 86_400 + 3 * 3600 + 4 * 60 + 5,
            nanos: 67_000_000,
        };
        Event {
            at: Some(at),
            kind: Some(kind),
        }
    }

    fn change() -> Event {
        let fault = Some(Fault {
            message: "no frame for 5s".into(),
            hint: "look".into(),
            ..Fault::default()
        });
        let (from, to) = (State::Streaming.into(), State::Stalled.into());
        event(Kind::StateChanged(StateChanged {
            stream: "front".into(),
            from,
            to,
            fault,
        }))
    }

    fn drops(recalled: u64) -> Event {
        event(Kind::Drops(Drops {
            stream: "front".into(),
            name: "slow".into(),
            recalled,
            ..Drops::default()
        }))
    }

    fn violations(stream: &str, count: u64) -> Event {
        event(Kind::Violation(Violation {
            stream: stream.into(),
            kind: ViolationKind::RefusedMap.into(),
            count,
            detail: "queue0:src: read".into(),
        }))
    }

    #[test]
    fn an_event_is_one_line_with_its_reason() {
        assert_eq!(
            render(&change()),
            "03:04:05.067  front streaming -> stalled: no frame for 5s (look)\n"
        );
        assert_eq!(
            render(&drops(1)),
            "03:04:05.067  front: subscriber slow lost 1 frame\n"
        );
        assert_eq!(
            render(&violations("front", 3)),
            "03:04:05.067  front: the contract was broken 3 times (refused map); the last: queue0:src: read\n"
        );
        assert!(
            render(&violations("", 1)).contains("the service: the contract was broken 1 time ")
        );
        assert_eq!(
            render(&Event::default()),
            "-  an event that this mosctl does not know\n"
        );
    }

    #[test]
    fn the_summary_adds_up() {
        let mut seen = Seen::default();
        let removed = event(Kind::DeviceRemoved(DeviceRemoved {
            id: "test:x".into(),
        }));
        let lagged = event(Kind::Lagged(Lagged { lost: 2 }));
        for event in [change(), drops(3), drops(4), removed, lagged] {
            seen.count(&event);
        }
        assert_eq!(
            seen.render(),
            "Seen: 1 state change, 1 device event, 7 drops of front, 2 events missed\n"
        );
    }

    #[test]
    fn json_tags_each_event() {
        let json = serde_json::to_value(view::Event::from(&change())).unwrap();
        assert_eq!(
            (json["event"].as_str(), json["to"].as_str()),
            (Some("state_changed"), Some("stalled"))
        );
        assert_eq!(json["at"].as_str(), Some("1970-01-02T03:04:05.067Z"));
    }
}
