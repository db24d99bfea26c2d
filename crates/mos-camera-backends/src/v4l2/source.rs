//! The elements of a capture node: `v4l2src ! capsfilter`, and a decoder or converter where it gives no NV12 itself.

use gst::prelude::*;
use mos_camera_core::plan::{Capture, Explanation, Handover, Offer, Wish, is_compressed, validate};
use mos_camera_core::{Capability, DeviceId, Fault, FaultKind, StreamConfig};

use super::controls;
use super::discovery::Target;
use super::probe::{Probe, probe};
use crate::backend::Source;
use crate::elements::{factory_name, make, make_steps, source_bin};
use crate::{capabilities, capture, intact, machine};

/// Explains how the node's pictures become NV12.
pub(super) fn explain(target: &Target, config: &StreamConfig) -> Result<Explanation, Fault> {
    let caps = open(target)?;
    Ok(explained(&caps, &capabilities::read(&caps), config))
}

/// Builds the source.
pub(super) fn build(target: &Target, config: &StreamConfig) -> Result<Source, Fault> {
    let caps = open(target)?;
    let capabilities = capabilities::read(&caps);
    validate(config, &capabilities).map_err(|error| {
        Fault::new(
            FaultKind::Unsupported,
            error.to_string(),
            "change the stream's configuration",
        )
    })?;
    let plan = explained(&caps, &capabilities, config).into_plan(&target.id)?;
    controls::set(&target.id, &target.path, &config.controls)?;
    let source = make("v4l2src")?;
    source.set_property("device", target.path.to_string_lossy().as_ref());
    source.set_property_from_str("io-mode", io_mode(&plan.capture));
    let filter = make("capsfilter")?;
    filter.set_property("caps", capture::caps(&plan.capture));
    let elements: Vec<_> = [source, filter]
        .into_iter()
        .chain(make_steps(&plan)?)
        .collect();
    let source = source_bin(&target.id, &elements, plan)?;
    drop_broken(&source, &elements[1..], &target.id);
    Ok(source)
}

/// Has broken pictures dropped behind the filter, and those counted that the decoder drops.
fn drop_broken(source: &Source, elements: &[gst::Element], device: &DeviceId) {
    let filter = elements.first().and_then(|filter| filter.static_pad("src"));
    if let Some(pad) = filter {
        intact::guard(&pad, device, &source.corrupt);
    }
    let is_jpegdec = |element: &&gst::Element| factory_name(element).as_deref() == Some("jpegdec");
    if let Some(decoder) = elements.iter().find(is_jpegdec) {
        intact::count_lost(decoder, device, &source.corrupt);
    }
}

fn explained(
    caps: &gst::CapsRef,
    capabilities: &[Capability],
    config: &StreamConfig,
) -> Explanation {
    let dma_drm = offers_dma_drm(caps);
    let offer = Offer::new(capabilities, |format| handovers(format, dma_drm));
    machine::explained(&offer, Wish::from(config))
}

/// Raw frames come as the driver's dma-bufs; a bitstream is read by a parser or decoder on the CPU.
fn handovers(format: &str, dma_drm: bool) -> Vec<Handover> {
    match format {
        "NV12" if dma_drm => vec![Handover::Labelled, Handover::Exported],
        _ if is_compressed(format) => vec![Handover::Process],
        _ => vec![Handover::Exported],
    }
}

fn io_mode(capture: &Capture) -> &'static str {
    if is_compressed(&capture.format) {
        "mmap"
    } else {
        "dmabuf"
    }
}

fn open(target: &Target) -> Result<gst::Caps, Fault> {
    match probe(&target.id, &target.path)? {
        Probe::Caps(caps) => Ok(caps),
        Probe::Fault(fault) => Err(fault),
        Probe::NoCapture => Err(Fault::new(
            FaultKind::Unsupported,
            format!(
                "{}: {} captures no pictures",
                target.id,
                target.path.display()
            ),
            "use the capture node of the camera; list the devices to see it",
        )),
    }
}

/// Whether the node gives linear NV12 dma-bufs in the form that GStreamer names so since 1.24.
fn offers_dma_drm(caps: &gst::CapsRef) -> bool {
    let wanted = gst::Caps::builder("video/x-raw")
        .features(["memory:DMABuf"])
        .field("format", "DMA_DRM")
        .field("drm-format", "NV12")
        .build();
    caps.can_intersect(&wanted)
}

#[cfg(test)]
mod tests {
    use mos_camera_core::{Framerate, Transport};

    use super::*;

    fn wish(size: Option<(u32, u32)>, rate: Option<u32>) -> StreamConfig {
        StreamConfig {
            size,
            framerate: rate.and_then(|rate| Framerate::new(rate, 1)),
            ..StreamConfig::new(DeviceId::new(Transport::V4l2, "cam"))
        }
    }

    fn planned(caps: &str, config: &StreamConfig) -> Explanation {
        gst::init().unwrap();
        let caps: gst::Caps = caps.parse().unwrap();
        explained(&caps, &capabilities::read(&caps), config)
    }

    const WEBCAM: &str = "video/x-raw,format=YUY2,width=640,height=480,framerate=30/1;\
        video/x-raw,format=YUY2,width=1280,height=720,framerate=10/1;\
        image/jpeg,width=1280,height=720,framerate=30/1";
    const LABELLED: &str = "video/x-raw(memory:DMABuf),format=DMA_DRM,drm-format=NV12,width=640,height=480,framerate=30/1";
    const PLAIN: &str = "video/x-raw,format=NV12,width=640,height=480,framerate=30/1";

    #[test]
    #[cfg(feature = "development")]
    fn a_webcam_is_asked_for_what_costs_least() {
        for (size, rate, caps, mode) in [
            (
                Some((640, 480)),
                None,
                "video/x-raw,format=YUY2,width=640,height=480",
                "dmabuf",
            ),
            (
                Some((1280, 720)),
                Some(30),
                "image/jpeg,width=1280,height=720,framerate=30/1",
                "mmap",
            ),
            (None, None, "image/jpeg,width=1280,height=720", "mmap"),
        ] {
            let plan = planned(WEBCAM, &wish(size, rate)).chosen.unwrap();
            assert_eq!(
                capture::caps(&plan.capture),
                caps.parse::<gst::Caps>().unwrap()
            );
            assert_eq!(io_mode(&plan.capture), mode, "{caps}");
        }
    }

    #[test]
    fn nv12_is_asked_for_with_its_label_where_that_is_offered() {
        let config = wish(None, Some(30));
        for (offered, expected) in [
            (format!("{PLAIN};{LABELLED}"), LABELLED),
            (PLAIN.to_owned(), PLAIN),
        ] {
            let plan = planned(&offered, &config).chosen.unwrap();
            assert_eq!(
                capture::caps(&plan.capture),
                expected.parse::<gst::Caps>().unwrap()
            );
            assert!(plan.steps.is_empty() && !plan.software && plan.memory.is_dmabuf());
        }
    }

    #[test]
    #[cfg(not(feature = "development"))]
    fn a_production_build_refuses_what_needs_the_cpu() {
        let config = wish(Some((640, 480)), None);
        let explanation = planned(WEBCAM, &config);
        let plan = explanation.into_plan(&config.device);
        // Unless this machine has a converter.
        assert!(
            plan.as_ref().is_ok_and(|plan| !plan.software)
                || plan.is_err_and(|e| e.reason() == "NEEDS_CPU")
        );
    }

    #[test]
    fn a_camera_without_a_usable_format_is_told_with_what_it_offers() {
        let config = wish(None, None);
        let explanation = planned("video/x-vp9,width=640,height=480,framerate=30/1", &config);
        let fault = Fault::from(explanation.into_plan(&config.device).unwrap_err());
        assert_eq!(fault.kind, FaultKind::Unsupported);
        assert!(fault.message.contains("video/x-vp9"), "{fault}");
    }
}
