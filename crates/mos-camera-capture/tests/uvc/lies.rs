//! Cameras whose descriptors lie.

use mos_camera_api::v1::State;
use mos_virtual_uvc::{Camera, CameraConfig, Fault, FormatKind, Lie};

use crate::rig::{Rig, camera};

/// What the kernel lets through of a lie, the service must bear: sizes of nothing, rates of nothing, pictures that never come.
pub(crate) async fn no_lie_in_a_camera_s_descriptors_disturbs_the_service_or_another_camera(
    rig: &Rig,
) {
    for (number, lie) in Lie::all().enumerate() {
        let serial = format!("LIE{number}");
        let liar = Camera::plug(&CameraConfig {
            faults: vec![Fault::Lie(lie)],
            ..camera(Some(&serial), FormatKind::Nv12)
        });
        // A good camera behind it: when that one is there, the kernel is done with the liar.
        let mark = rig.told.mark();
        let good = Camera::plug(&camera(Some("GOOD"), FormatKind::Nv12)).unwrap();
        let is_good = |kind: &mos_camera_api::v1::event::Kind| match kind {
            mos_camera_api::v1::event::Kind::DeviceAdded(device) => {
                device.id.ends_with(":GOOD").then_some(())
            }
            _ => None,
        };
        rig.told.after(mark, "good camera", is_good).await;
        let listed = rig.cameras().await;
        let seen = listed.iter().find(|device| device.id.ends_with(&serial));
        println!(
            "{lie:?}: {}",
            seen.map_or("no camera".to_owned(), |device| format!(
                "{:?} {:?}",
                device.health(),
                device.capabilities
            ))
        );
        for size in seen
            .iter()
            .flat_map(|d| &d.capabilities)
            .flat_map(|c| &c.sizes)
        {
            assert!(size.width > 0 && size.height > 0, "{lie:?}: {size:?}");
            assert!(
                size.width <= 16_384 && size.height <= 16_384,
                "{lie:?}: {size:?}"
            );
        }
        let gone = rig.told.mark();
        drop((liar, good));
        let is_gone = |kind: &mos_camera_api::v1::event::Kind| match kind {
            mos_camera_api::v1::event::Kind::DeviceRemoved(removed) => {
                removed.id.ends_with(":GOOD").then_some(())
            }
            _ => None,
        };
        rig.told.after(gone, "removal", is_gone).await;
    }
    assert_eq!(rig.service.status("other").await.state(), State::Streaming);
    rig.other_is_untouched().await;
}
