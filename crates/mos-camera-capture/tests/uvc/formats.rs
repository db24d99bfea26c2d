//! Every format of a USB camera ends as NV12, and the status says by which way.

use mos_camera_api::v1::Memory;
use mos_frame::{Subscriber, SubscriberOptions};
use mos_virtual_uvc::{Camera, FormatKind};

use crate::harness::PATIENCE;
use crate::rig::{Rig, camera};

pub(crate) async fn nv12_yuyv_and_mjpeg_reach_the_bus_as_nv12_in_dma_bufs(rig: &Rig) {
    for (kind, serial, captured, software) in [
        (FormatKind::Nv12, "N1", "NV12", false),
        (FormatKind::Yuyv, "Y1", "YUY2", true),
        (FormatKind::Mjpeg, "J1", "image/jpeg", true),
    ] {
        let mark = rig.told.mark();
        let camera = Camera::plug(&camera(Some(serial), kind)).unwrap();
        let (_, device) = rig.told.added(mark).await;
        assert_eq!(device.capabilities[0].format, captured);
        rig.stream(serial, &device.id).await;
        let options = SubscriberOptions {
            timeout: PATIENCE,
            ..SubscriberOptions::default()
        };
        let mut frames =
            Subscriber::connect(&rig.service.home.bus_socket(serial), options).unwrap();
        let frame = frames.next_timeout(PATIENCE).unwrap().expect("a frame");
        assert_eq!((frame.format().width, frame.format().height), (320, 240));
        assert_eq!(
            frame.format().memory,
            mos_frame::MemoryKind::DmaBuf,
            "{kind:?}"
        );
        let status = rig.service.status(serial).await;
        println!("{captured}: {:?}", status.plan);
        assert_eq!(status.software, software, "{status:?}");
        assert_eq!(status.format.as_ref().unwrap().memory(), Memory::Dmabuf);
        assert_eq!(status.frames.unwrap().copied, 0);
        let plan = status.plan.unwrap();
        assert_eq!(plan.capture.as_ref().unwrap().format, captured);
        assert_eq!(plan.elements.is_empty(), !software, "{plan:?}");
        assert_eq!(
            (plan.software, plan.hardware_copies),
            (software, 0),
            "{plan:?}"
        );
        // A converter or the one behind the decoder writes each frame once again.
        assert_eq!(plan.cpu_copies, u32::from(software), "{plan:?}");
        drop((frame, camera));
    }
    rig.other_is_untouched().await;
}
