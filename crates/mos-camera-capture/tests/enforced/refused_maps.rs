//! An element that maps frames is refused and counted, attempt by attempt, and the stream goes on.

use mos_camera_api::v1::{State, ViolationKind::RefusedMap};

use crate::bad_element;
use crate::service::{PATIENCE, Service};

const ATTEMPTS: u64 = 23;

#[tokio::test(flavor = "multi_thread")]
async fn as_many_attempts_as_were_made_are_counted_and_the_stream_goes_on() {
    let Some(mut service) = Service::start("refused_maps").await else {
        return;
    };
    let mut subscriber = service.subscribe("subject");
    bad_element::map_next("subject", ATTEMPTS);
    let mut frames = 0;
    while bad_element::left("subject") > 0 || frames < ATTEMPTS {
        let frame = subscriber.next_timeout(PATIENCE).unwrap();
        assert!(frame.is_some(), "frames stopped while they were mapped");
        frames += 1;
    }
    assert_eq!(bad_element::succeeded(), 0, "frames could be mapped");
    let all_told = async |service: &mut Service| {
        let told = service.told("subject", RefusedMap);
        told.iter().map(|v| v.count).sum::<u64>() == ATTEMPTS
    };
    service.wait_for("events of all attempts", all_told).await;
    let told = service.told("subject", RefusedMap);
    assert!(
        told.iter().all(|v| v.detail.ends_with(": read")),
        "the thread and what it wanted: {told:?}"
    );
    // Nothing is counted any more, and nothing was counted that was not done.
    service.goes_on("subject", 20).await;
    let counted = service.violations("subject").await;
    assert_eq!(
        (
            counted.refused_frames,
            counted.refused_maps,
            counted.mapped_dmabufs
        ),
        (0, ATTEMPTS, 0)
    );
    let status = service.status("subject").await;
    assert_eq!((status.state(), status.restarts), (State::Streaming, 0));
    assert_eq!(service.violations("other").await.refused_maps, 0);
    assert_eq!(service.strays().await, 0);
    service.stop().await;
}
