//! The elements of a camera: `libcamerasrc ! capsfilter`, and a converter where it gives no NV12 itself.

use gst::prelude::*;
use mos_camera_core::plan::{Explanation, Handover, Offer, Wish, is_compressed, validate};
use mos_camera_core::{Fault, FaultKind, FixedPool, StreamConfig};

use super::discovery::Camera;
use super::{Registry, controls};
use crate::backend::Source;
use crate::elements::{make, make_steps, source_bin};
use crate::{capture, machine};

/// Explains how the camera's pictures become NV12.
pub(super) fn explain(camera: &Camera, config: &StreamConfig) -> Explanation {
    let offer = Offer {
        pool: Some(POOL),
        ..Offer::new(&camera.capabilities, handovers)
    };
    machine::explained(&offer, Wish::from(config))
}

/// Builds the source.
pub(super) fn build(
    registry: &Registry,
    camera: &Camera,
    config: &StreamConfig,
) -> Result<Source, Fault> {
    validate(config, &camera.capabilities).map_err(|error| {
        Fault::new(
            FaultKind::Unsupported,
            error.to_string(),
            "change the stream's configuration",
        )
    })?;
    let plan = explain(camera, config).into_plan(&camera.id)?;
    // Asked before the stream has the camera, so that they are known while it runs.
    let offered = registry.controls(camera);
    let source = registry.element(camera)?;
    if !config.controls.is_empty() {
        controls::check(&camera.id, &config.controls, &offered?)?;
        controls::fit(&camera.id, &source, &config.controls)?;
    }
    registry.remember(&camera.id, &source, &config.controls);
    let keep = registry.kept(camera, &source)?;
    let filter = make("capsfilter")?;
    filter.set_property("caps", capture::caps(&plan.capture));
    let elements: Vec<_> = [source, filter]
        .into_iter()
        .chain(make_steps(&plan)?)
        .collect();
    let source = source_bin(&camera.id, &elements, plan)?;
    Ok(Source {
        // A converter has a pool of its own.
        pool: (elements.len() == 2).then_some(POOL),
        keep: Some(keep),
        ..source
    })
}

/// libcamera allocates for a stream as many buffers as its handler of the chip says, and lets nobody ask for more: four with those of
/// the i.MX 8M Plus (`kRkISP1MinBufferCount` in `rkisp1.cpp`, `bufferCount` in `imx8-isi.cpp`; libcamera 0.4 to 0.7).
/// One has to be free for the camera to go on: its handlers let a frame go if none is.
const POOL: FixedPool = FixedPool {
    buffers: 4,
    in_flight: 1,
};

/// Pixels are in dma-bufs of libcamera's allocator behind plain caps; a bitstream is read by the CPU.
fn handovers(format: &str) -> Vec<Handover> {
    vec![if is_compressed(format) {
        Handover::Process
    } else {
        Handover::Exported
    }]
}

#[cfg(test)]
mod tests {
    use mos_camera_core::{DeviceId, Framerate, Transport};

    use super::*;
    use crate::capabilities;

    /// What libcamera's handler of the i.MX 8M Plus's ISI offers, shortened: YUYV first, ranges beside fixed sizes, and no rates.
    const ISI: &str = "video/x-raw,format=YUY2,width=[16,2592,2],height=[16,1944,2];\
        video/x-raw,format=NV12,width=640,height=480;\
        video/x-raw,format=NV12,width=1920,height=1080;\
        video/x-bayer,format=bggr,width=2592,height=1944";

    fn camera(caps: &str) -> Camera {
        gst::init().unwrap();
        Camera {
            id: DeviceId::new(Transport::MipiCsi, "cam"),
            name: "cam".to_owned(),
            model: "ov5640".to_owned(),
            facing: None,
            rotation: None,
            capabilities: capabilities::read(&caps.parse::<gst::Caps>().unwrap()),
            nodes: Vec::new(),
            single: Vec::new(),
        }
    }

    #[test]
    fn nv12_is_named_and_taken_without_a_copy() {
        let camera = camera(ISI);
        for (size, rate, caps) in [
            (None, None, "video/x-raw,format=NV12,width=640,height=480"),
            (
                Some((640, 480)),
                Some(15),
                "video/x-raw,format=NV12,width=640,height=480,framerate=15/1",
            ),
        ] {
            let config = StreamConfig {
                size,
                framerate: rate.and_then(|rate| Framerate::new(rate, 1)),
                ..StreamConfig::new(camera.id.clone())
            };
            let plan = explain(&camera, &config).chosen.unwrap();
            assert_eq!(
                capture::caps(&plan.capture),
                caps.parse::<gst::Caps>().unwrap()
            );
            assert!(plan.steps.is_empty() && !plan.software && plan.memory.is_dmabuf());
        }
    }

    #[test]
    fn more_subscribers_than_its_buffers_serve_get_a_copy_by_hardware_or_are_told() {
        let camera = camera(ISI);
        let plan = |max_subscribers| {
            let config = StreamConfig {
                max_subscribers,
                ..StreamConfig::new(camera.id.clone())
            };
            explain(&camera, &config).chosen.unwrap()
        };
        for few in [None, Some(POOL.serves())] {
            assert_eq!((plan(few).limit, plan(few).steps.len()), (None, 0));
        }
        // Which of the two is this machine's to say.
        let many = plan(Some(POOL.serves() + 1));
        assert_eq!(many.limit.is_none(), many.copies.hardware == 1, "{many:?}");
        assert!(!many.software);
    }

    #[test]
    fn a_size_that_the_sensor_lacks_is_refused_with_those_it_has() {
        let camera = camera("video/x-raw,format=NV12,width=1920,height=1080");
        let config = StreamConfig {
            size: Some((1918, 1080)),
            ..StreamConfig::new(camera.id.clone())
        };
        let fault = build(&Registry::default(), &camera, &config).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Unsupported);
        assert!(fault.message.contains("1920x1080"), "{fault}");
    }
}
