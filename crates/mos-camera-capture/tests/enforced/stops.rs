//! Where it is configured so, a violation ends its stream, and no other.

use mos_camera_api::v1::{FaultKind, OnViolation, State};

use crate::bad_element;
use crate::service::{PATIENCE, Service};

/// The stream failed for a violation of this kind, and says so.
async fn failed_for(service: &mut Service, kind: &str) {
    let failed = service.wait_state("subject", State::Failed).await;
    let fault = failed.fault.unwrap();
    assert_eq!(fault.kind(), FaultKind::Contract, "{fault:?}");
    assert!(fault.message.contains(kind), "{fault:?}");
    assert!(fault.hint.contains("reset or start"), "{fault:?}");
    assert!(failed.wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_to_stop_fails_and_the_other_goes_on() {
    let Some(mut service) = Service::start("stops").await else {
        return;
    };
    let device = service.status("subject").await.config.unwrap().device;
    service
        .configure("subject", &device, OnViolation::Stop)
        .await;
    let running = service.status("subject").await;
    assert_eq!(
        (running.state(), running.restarts),
        (State::Streaming, 0),
        "what to do on a violation is taken over without a rebuild"
    );

    let mut subscriber = service.subscribe("subject");
    let frame = subscriber.next_timeout(PATIENCE).unwrap().unwrap();
    let mapped = frame.map().unwrap();
    failed_for(&mut service, "mapped-dma-buf").await;
    service.goes_on("other", 10).await;

    // The mapping was counted, and the new pipeline has nothing to do with it.
    service.reset("subject").await;
    service.wait_state("subject", State::Streaming).await;
    service.goes_on("subject", 20).await;
    assert_eq!(service.violations("subject").await.mapped_dmabufs, 1);
    drop(mapped);

    bad_element::map_next("subject", 1);
    failed_for(&mut service, "refused-map").await;
    service.goes_on("other", 10).await;
    let counted = service.violations("subject").await;
    assert_eq!((counted.refused_maps, counted.mapped_dmabufs), (1, 1));
    let other = service.status("other").await;
    assert_eq!((other.state(), other.restarts), (State::Streaming, 0));
    service.stop().await;
}
