//! What a plan asks of a camera, as caps for the filter behind its element.

use mos_camera_core::plan::{Capture, Handover, is_compressed};

/// Caps to ask for what was planned. The format is always named, for a source's own default may be another one; nothing is said of
/// a size or a rate that the plan leaves to the source.
pub(crate) fn caps(capture: &Capture) -> gst::Caps {
    let mut structure = match (capture.handover, capture.format.as_str()) {
        (_, media_type) if is_compressed(media_type) => gst::Structure::new_empty(media_type),
        (Handover::Labelled, format) => gst::Structure::builder("video/x-raw")
            .field("format", "DMA_DRM")
            .field("drm-format", format)
            .build(),
        (_, format) => gst::Structure::builder("video/x-raw")
            .field("format", format)
            .build(),
    };
    if let Some((width, height)) = capture.size {
        structure.set("width", width as i32);
        structure.set("height", height as i32);
    }
    if let Some(rate) = capture.rate {
        let rate = gst::Fraction::new(rate.num() as i32, rate.den() as i32);
        structure.set("framerate", rate);
    }
    let memory = feature(capture).map(|feature| gst::CapsFeatures::new([feature]));
    let mut caps = gst::Caps::new_empty();
    caps.make_mut().append_structure_full(structure, memory);
    caps
}

/// The caps feature that names the memory of raw frames, where the source does.
fn feature(capture: &Capture) -> Option<&'static str> {
    match capture.handover {
        _ if is_compressed(&capture.format) => None,
        Handover::Labelled => Some("memory:DMABuf"),
        Handover::Gbm => Some("memory:GBM"),
        Handover::Exported | Handover::Drawn | Handover::Process => None,
    }
}

#[cfg(test)]
mod tests {
    use mos_camera_core::Framerate;

    use super::*;

    #[test]
    fn memory_format_size_and_rate_are_as_planned() {
        gst::init().unwrap();
        let size = Some((640, 480));
        let rate = Framerate::new(30, 1);
        for (format, handover, size, rate, expected) in [
            (
                "NV12",
                Handover::Exported,
                None,
                None,
                "video/x-raw,format=NV12",
            ),
            (
                "YUY2",
                Handover::Exported,
                size,
                rate,
                "video/x-raw,format=YUY2,width=640,height=480,framerate=30/1",
            ),
            (
                "NV12",
                Handover::Labelled,
                size,
                None,
                "video/x-raw(memory:DMABuf),format=DMA_DRM,drm-format=NV12,width=640,height=480",
            ),
            (
                "NV12",
                Handover::Gbm,
                size,
                None,
                "video/x-raw(memory:GBM),format=NV12,width=640,height=480",
            ),
            (
                "image/jpeg",
                Handover::Process,
                None,
                rate,
                "image/jpeg,framerate=30/1",
            ),
            ("image/jpeg", Handover::Labelled, None, None, "image/jpeg"),
        ] {
            let capture = Capture {
                format: format.to_owned(),
                size,
                rate,
                handover,
                best_rate: None,
            };
            assert_eq!(caps(&capture), expected.parse::<gst::Caps>().unwrap());
        }
    }
}
