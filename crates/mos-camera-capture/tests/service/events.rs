//! What a watcher is told.

use mos_camera_api::v1::event::Kind;
use mos_camera_api::v1::{Event, State, WatchEventsRequest};
use tonic::{Code, Streaming};

use crate::harness::{PATIENCE, Service, TWO_CAMERAS, refused, start, stop};

async fn next(watch: &mut Streaming<Event>) -> Kind {
    let event = tokio::time::timeout(PATIENCE, watch.message())
        .await
        .expect("an event in time");
    let event = event.unwrap().expect("the watch goes on");
    assert!(event.at.is_some());
    event.kind.expect("a kind")
}

#[tokio::test]
async fn snapshots_come_first_and_then_every_change_in_order() {
    let service = Service::start(TWO_CAMERAS);
    service.wait_state("subject", State::Streaming).await;
    let request = WatchEventsRequest {
        streams: vec!["subject".to_owned()],
    };
    let mut watch = service
        .events()
        .await
        .watch_events(request)
        .await
        .unwrap()
        .into_inner();
    let Kind::Snapshot(snapshot) = next(&mut watch).await else {
        panic!("a snapshot")
    };
    assert_eq!(
        (snapshot.stream.as_str(), snapshot.state()),
        ("subject", State::Streaming)
    );
    let mut control = service.control().await;
    control.stop_capture(stop("subject")).await.unwrap();
    control.start_capture(start("subject")).await.unwrap();
    let mut states = Vec::new();
    while states.last() != Some(&State::Streaming) {
        if let Kind::StateChanged(change) = next(&mut watch).await {
            assert_eq!(change.stream, "subject", "the filter holds");
            states.push(change.to());
        }
    }
    assert_eq!(
        states,
        [
            State::Stopping,
            State::Configured,
            State::Starting,
            State::Streaming
        ]
    );
}

#[tokio::test]
async fn devices_that_come_and_go_are_told_to_those_who_want_everything() {
    let service = Service::start(TWO_CAMERAS);
    let mut watch = service
        .events()
        .await
        .watch_events(WatchEventsRequest::default())
        .await
        .unwrap()
        .into_inner();
    service
        .home
        .configure("[cameras.other.test]\n[cameras.extra.test]\n");
    service.signal(rustix::process::Signal::HUP);
    let (mut added, mut removed) = (None, None);
    while added.is_none() || removed.is_none() {
        match next(&mut watch).await {
            Kind::DeviceAdded(device) => added = Some(device.id),
            Kind::DeviceRemoved(gone) => removed = Some(gone.id),
            _ => {}
        }
    }
    assert_eq!(
        (added.as_deref(), removed.as_deref()),
        (Some("test:extra"), Some("test:subject"))
    );
}

#[tokio::test]
async fn a_subscriber_that_does_not_read_is_reported_and_nobody_else() {
    let service = Service::start(TWO_CAMERAS);
    service.wait_state("subject", State::Streaming).await;
    let sleeper = service.subscribe("subject", "sleeper");
    let mut watch = service
        .events()
        .await
        .watch_events(WatchEventsRequest::default())
        .await
        .unwrap()
        .into_inner();
    let mut reports = Vec::new();
    while reports.len() < 3 {
        if let Kind::Drops(drops) = next(&mut watch).await {
            assert_eq!(
                (drops.stream.as_str(), drops.name.as_str()),
                ("subject", "sleeper")
            );
            assert!(drops.recalled > 0, "{drops:?}");
            reports.push(std::time::Instant::now());
        }
    }
    // At most one a second; the watcher's own delays only ever shorten one gap, and lengthen the one before.
    assert!(
        reports[2] - reports[0] > std::time::Duration::from_millis(1500),
        "{reports:?}"
    );
    drop(sleeper);
}

#[tokio::test]
async fn a_malformed_filter_is_refused() {
    let service = Service::start(TWO_CAMERAS);
    let request = WatchEventsRequest {
        streams: vec!["a b".to_owned()],
    };
    let (_, detail) = refused(
        service.events().await.watch_events(request).await,
        Code::InvalidArgument,
        "INVALID_STREAM_NAME",
    );
    assert_eq!(detail.field, "streams");
}
