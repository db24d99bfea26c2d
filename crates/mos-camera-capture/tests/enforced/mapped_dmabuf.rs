//! What maps a frame's descriptor by itself, past GStreamer, is found.

use mos_camera_api::v1::{State, ViolationKind::MappedDmabuf};

use crate::service::{PATIENCE, Service};

#[tokio::test(flavor = "multi_thread")]
async fn a_mapping_in_the_services_process_is_counted_once_for_as_long_as_it_stays() {
    let Some(mut service) = Service::start("mapped_dmabuf").await else {
        return;
    };
    let mut subscriber = service.subscribe("subject");
    for nth in 1..=2 {
        let frame = subscriber.next_timeout(PATIENCE).unwrap().unwrap();
        let inode = mos_frame::memory::memory_id(frame.fd(0).unwrap())
            .unwrap()
            .inode();
        let mapped = frame.map().unwrap();
        let found =
            async |service: &mut Service| service.told("subject", MappedDmabuf).len() == nth;
        service.wait_for("event of the mapping", found).await;
        let told = service.told("subject", MappedDmabuf);
        let last = &told[nth - 1];
        assert_eq!(last.count, 1);
        assert!(last.detail.contains(&format!("inode {inode},")), "{last:?}");
        // Twenty frames at ten a second are several looks.
        service.goes_on("other", 20).await;
        assert_eq!(
            service.violations("subject").await.mapped_dmabufs,
            nth as u64
        );
        drop(mapped);
        drop(frame);
        // Looks that find nothing, so that the next mapping is a new one even at the same place.
        service.goes_on("other", 20).await;
    }
    let counted = service.violations("subject").await;
    assert_eq!((counted.refused_maps, counted.mapped_dmabufs), (0, 2));
    assert_eq!(service.violations("other").await.mapped_dmabufs, 0);
    assert_eq!(service.strays().await, 0);
    assert_eq!(service.status("subject").await.state(), State::Streaming);
    service.stop().await;
}
