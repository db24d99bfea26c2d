//! The elements of a capture node: `v4l2src ! capsfilter`, and a decoder or converter where it gives no NV12 itself.

use gst::prelude::*;
use mos_camera_core::plan::{Chain, Codec, choose_converter, choose_decoder, validate};
use mos_camera_core::{Capability, DeviceId, Fault, FaultKind, Range, Sizes, StreamConfig};

use super::capabilities;
use super::controls;
use super::discovery::Target;
use super::probe::{Probe, probe};
use crate::backend::Source;
use crate::elements::{DEVELOPMENT, make, make_chain, no_plan, present, source_bin};

/// What the node shall capture.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Capture {
    /// NV12, in caps that say that it is a dma-buf (`v4l2src` since 1.26).
    DmaDrm,
    /// NV12 in plain caps.
    Nv12,
    /// Another raw format, to convert.
    Raw(String),
    /// Motion JPEG, to decode.
    Jpeg,
}

impl Capture {
    /// Its name among the capabilities.
    fn format(&self) -> &str {
        match self {
            Self::DmaDrm | Self::Nv12 => "NV12",
            Self::Raw(format) => format,
            Self::Jpeg => "image/jpeg",
        }
    }
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
    let (capture, chain) = choose(&target.id, &capabilities, offers_dma_drm(&caps), config)?;
    controls::set(&target.id, &target.path, &config.controls)?;
    let source = make("v4l2src")?;
    source.set_property("device", target.path.to_string_lossy().as_ref());
    source.set_property_from_str("io-mode", "dmabuf");
    let filter = make("capsfilter")?;
    filter.set_property(
        "caps",
        capture_caps(&capture, &with_size(config, &capture, &capabilities)),
    );
    let elements: Vec<_> = [source, filter]
        .into_iter()
        .chain(make_chain(&chain)?)
        .collect();
    source_bin(&target.id, &elements, chain.software)
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

/// The format that costs least among those that come in the size and rate asked for, and how to get NV12 of it.
fn choose(
    device: &DeviceId,
    capabilities: &[Capability],
    dma_drm: bool,
    config: &StreamConfig,
) -> Result<(Capture, Chain), Fault> {
    let fitting: Vec<&str> = capabilities
        .iter()
        .filter(|c| fits(c, config))
        .map(|c| c.format.as_str())
        .collect();
    if fitting.contains(&"NV12") {
        let capture = if dma_drm {
            Capture::DmaDrm
        } else {
            Capture::Nv12
        };
        return Ok((
            capture,
            Chain {
                elements: Vec::new(),
                software: false,
            },
        ));
    }
    if let Some(raw) = best_raw(&fitting) {
        let chain = choose_converter(present, DEVELOPMENT).map_err(|e| no_plan(&e))?;
        return Ok((Capture::Raw(raw.to_owned()), chain));
    }
    if fitting.contains(&"image/jpeg") {
        let chain = choose_decoder(Codec::Jpeg, present, DEVELOPMENT).map_err(|e| no_plan(&e))?;
        return Ok((Capture::Jpeg, chain));
    }
    let offered: Vec<String> = capabilities.iter().map(Capability::to_string).collect();
    Err(Fault::new(
        FaultKind::Unsupported,
        format!(
            "{device} gives no format that can be turned into NV12; it offers {}",
            offered.join("; ")
        ),
        "use a camera that gives NV12, YUY2 or Motion JPEG",
    ))
}

fn fits(capability: &Capability, config: &StreamConfig) -> bool {
    config
        .size
        .is_none_or(|(width, height)| capability.sizes.contains(width, height))
        && config
            .framerate
            .is_none_or(|rate| capability.rates.contains(rate))
}

/// What to aim for where no size is asked for; `v4l2src` by itself would take the size nearest to 320x200.
const AIM: (u32, u32) = (1280, 720);

/// The configuration with a size: that asked for, else the one of the format that is nearest to [`AIM`].
fn with_size(
    config: &StreamConfig,
    capture: &Capture,
    capabilities: &[Capability],
) -> StreamConfig {
    let of_format = capabilities
        .iter()
        .filter(|c| c.format == capture.format() && fits(c, config));
    let nearest = of_format
        .filter_map(|c| nearest(&c.sizes))
        .min_by_key(|size| distance(*size));
    StreamConfig {
        size: config.size.or(nearest),
        ..config.clone()
    }
}

fn nearest(sizes: &Sizes) -> Option<(u32, u32)> {
    match sizes {
        Sizes::Discrete(sizes) => sizes.iter().copied().min_by_key(|size| distance(*size)),
        Sizes::Stepwise { width, height } => {
            Some((step_to(*width, AIM.0), step_to(*height, AIM.1)))
        }
    }
}

/// The range's largest value up to `aim`, or its smallest.
fn step_to(range: Range, aim: u32) -> u32 {
    let value = aim.clamp(range.min, range.max);
    value - (value - range.min) % range.step.max(1)
}

fn distance(size: (u32, u32)) -> u32 {
    size.0.abs_diff(AIM.0) + size.1.abs_diff(AIM.1)
}

/// Raw formats by what a conversion to NV12 costs and loses.
const RAW: [&str; 12] = [
    "NV21", "NV16", "I420", "YV12", "YUY2", "UYVY", "YVYU", "VYUY", "RGB", "BGR", "BGRx", "GRAY8",
];

fn best_raw<'a>(fitting: &[&'a str]) -> Option<&'a str> {
    RAW.iter()
        .find_map(|raw| fitting.iter().find(|format| *format == raw).copied())
}

fn capture_caps(capture: &Capture, config: &StreamConfig) -> gst::Caps {
    let mut caps = match capture {
        Capture::DmaDrm => gst::Caps::builder("video/x-raw")
            .features(["memory:DMABuf"])
            .field("format", "DMA_DRM")
            .field("drm-format", "NV12")
            .build(),
        Capture::Nv12 => gst::Caps::builder("video/x-raw")
            .field("format", "NV12")
            .build(),
        Capture::Raw(format) => gst::Caps::builder("video/x-raw")
            .field("format", format)
            .build(),
        Capture::Jpeg => gst::Caps::new_empty_simple("image/jpeg"),
    };
    if let Some(structure) = caps.make_mut().structure_mut(0) {
        if let Some((width, height)) = config.size {
            structure.set("width", width as i32);
            structure.set("height", height as i32);
        }
        if let Some(rate) = config.framerate {
            structure.set(
                "framerate",
                gst::Fraction::new(rate.num() as i32, rate.den() as i32),
            );
        }
    }
    caps
}

#[cfg(test)]
mod tests {
    use mos_camera_core::{Framerate, Rates, Transport};

    use super::*;

    fn offered(format: &str, size: (u32, u32), fps: u32) -> Capability {
        Capability {
            format: format.to_owned(),
            sizes: Sizes::Discrete(vec![size]),
            rates: Rates::Discrete(vec![Framerate::new(fps, 1).unwrap()]),
        }
    }

    fn wish(size: Option<(u32, u32)>) -> StreamConfig {
        StreamConfig {
            size,
            ..StreamConfig::new(DeviceId::new(Transport::V4l2, "cam"))
        }
    }

    #[test]
    #[cfg(feature = "development")]
    fn the_cheapest_format_in_the_size_asked_for_is_captured() {
        gst::init().unwrap();
        let webcam = [
            offered("YUY2", (640, 480), 30),
            offered("image/jpeg", (640, 480), 30),
            offered("image/jpeg", (1280, 720), 30),
        ];
        let scaler = [
            offered("YUY2", (640, 480), 30),
            offered("NV12", (640, 480), 30),
            offered("NV12", (1280, 720), 30),
        ];
        for (capabilities, dma_drm, size, expected) in [
            (
                &webcam,
                false,
                Some((640, 480)),
                Capture::Raw("YUY2".to_owned()),
            ),
            (&webcam, false, Some((1280, 720)), Capture::Jpeg),
            (&scaler, false, Some((640, 480)), Capture::Nv12),
            (&scaler, true, None, Capture::DmaDrm),
        ] {
            let config = wish(size);
            let (capture, chain) = choose(&config.device, capabilities, dma_drm, &config).unwrap();
            assert_eq!(
                chain.elements.is_empty(),
                matches!(expected, Capture::Nv12 | Capture::DmaDrm)
            );
            assert_eq!(capture, expected);
        }
    }

    #[test]
    fn a_camera_without_a_usable_format_is_told_with_what_it_offers() {
        let config = wish(None);
        let fault = choose(
            &config.device,
            &[offered("video/x-h264", (640, 480), 30)],
            false,
            &config,
        )
        .unwrap_err();
        assert_eq!(fault.kind, FaultKind::Unsupported);
        assert!(fault.message.contains("video/x-h264"), "{fault}");
    }

    #[test]
    fn caps_hold_what_was_asked_for() {
        gst::init().unwrap();
        let config = StreamConfig {
            framerate: Framerate::new(30, 1),
            ..wish(Some((640, 480)))
        };
        let caps = capture_caps(&Capture::DmaDrm, &config);
        let text = "video/x-raw(memory:DMABuf),format=DMA_DRM,drm-format=NV12,width=640,height=480,framerate=30/1";
        assert_eq!(caps, text.parse::<gst::Caps>().unwrap());
        assert_eq!(
            capture_caps(&Capture::Jpeg, &wish(None)),
            "image/jpeg".parse::<gst::Caps>().unwrap()
        );
    }

    #[test]
    fn without_a_wish_the_size_nearest_to_720p_is_captured() {
        let side = |min, max, step| Range { min, max, step };
        let stepwise = |width, height| Sizes::Stepwise { width, height };
        for (sizes, expected) in [
            (
                Sizes::Discrete(vec![(320, 180), (1920, 1080), (1024, 768)]),
                (1024, 768),
            ),
            (stepwise(side(16, 4096, 2), side(16, 2160, 2)), (1280, 720)),
            (stepwise(side(16, 640, 16), side(16, 480, 16)), (640, 480)),
            (
                stepwise(side(2592, 2592, 1), side(1944, 1944, 1)),
                (2592, 1944),
            ),
        ] {
            let offer = Capability {
                sizes,
                ..offered("NV12", (0, 0), 30)
            };
            let config = with_size(
                &wish(None),
                &Capture::Nv12,
                &[offered("YUY2", (1280, 720), 30), offer],
            );
            assert_eq!(config.size, Some(expected));
        }
        let asked = wish(Some((640, 480)));
        assert_eq!(
            with_size(&asked, &Capture::Nv12, &[]).size,
            Some((640, 480))
        );
    }
}
