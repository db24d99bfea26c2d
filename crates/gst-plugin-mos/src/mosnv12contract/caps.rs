//! Caps on both sides of the gate, and the way from one to the other.

use std::sync::LazyLock;

use gst_allocators::CAPS_FEATURE_MEMORY_DMABUF;

use super::decide::{Description, Form, Refusal, Verdict, form};

/// Caps feature of Qualcomm's GBM buffers.
const MEMORY_GBM: &str = "memory:GBM";

/// Everything the gate accepts.
pub(crate) static SINK: LazyLock<gst::Caps> = LazyLock::new(|| {
    let mut caps = SRC.clone();
    let all = caps.make_mut();
    all.append_structure_full(nv12(), Some(gst::CapsFeatures::new([MEMORY_GBM])));
    let drm = gst::Structure::builder("video/x-raw")
        .field("format", "DMA_DRM")
        .field(
            "drm-format",
            gst::List::new(["NV12", "NV12:0x0000000000000000"]),
        )
        .field("width", gst::IntRange::new(1, i32::MAX))
        .field("height", gst::IntRange::new(1, i32::MAX))
        .field("framerate", framerates())
        .build();
    all.append_structure_full(drm, Some(dmabuf()));
    caps
});

/// Everything that leaves it: the contract, or plain NV12 in a development build.
pub(crate) static SRC: LazyLock<gst::Caps> = LazyLock::new(|| {
    let mut caps = gst::Caps::new_empty();
    let all = caps.make_mut();
    all.append_structure_full(nv12(), Some(dmabuf()));
    all.append_structure(nv12());
    caps
});

fn dmabuf() -> gst::CapsFeatures {
    gst::CapsFeatures::new([CAPS_FEATURE_MEMORY_DMABUF])
}

fn framerates() -> gst::FractionRange {
    gst::FractionRange::new(gst::Fraction::new(0, 1), gst::Fraction::new(i32::MAX, 1))
}

fn nv12() -> gst::Structure {
    gst::Structure::builder("video/x-raw")
        .field("format", "NV12")
        .field("width", gst::IntRange::new(1, i32::MAX))
        .field("height", gst::IntRange::new(1, i32::MAX))
        .field("framerate", framerates())
        .build()
}

/// The form of fixed caps, or why the gate refuses them.
pub(crate) fn classify(caps: &gst::CapsRef) -> Result<Form, Refusal> {
    let Some(structure) = caps.structure(0) else {
        return Err(Refusal::MediaType(caps.to_string()));
    };
    let features: Vec<_> = caps
        .features(0)
        .map(|f| f.iter().map(ToString::to_string).collect())
        .unwrap_or_default();
    let features: Vec<&str> = features.iter().map(String::as_str).collect();
    form(&Description {
        media_type: structure.name(),
        features: &features,
        format: structure.get("format").ok(),
        drm_format: structure.get("drm-format").ok(),
        compression: structure.get("compression").ok(),
    })
}

/// The caps that leave the gate for frames that came in with `caps`.
pub(crate) fn outgoing(caps: &gst::CapsRef, verdict: Verdict) -> gst::Caps {
    let features = (verdict == Verdict::DmaBuf).then(dmabuf);
    relabel(caps, "NV12", None, features.as_ref())
}

/// What upstream may send so that one of `downstream` can leave.
///
/// Whatever the form upstream: the memory decides the label, so either label downstream may come from any of them.
pub(crate) fn upstream_of(downstream: &gst::CapsRef) -> gst::Caps {
    let forms: [(&str, Option<&str>, Option<gst::CapsFeatures>); 5] = [
        ("DMA_DRM", Some("NV12"), Some(dmabuf())),
        ("DMA_DRM", Some("NV12:0x0000000000000000"), Some(dmabuf())),
        ("NV12", None, Some(dmabuf())),
        ("NV12", None, Some(gst::CapsFeatures::new([MEMORY_GBM]))),
        ("NV12", None, None),
    ];
    merged(
        forms
            .into_iter()
            .map(|(format, drm, features)| relabel(downstream, format, drm, features.as_ref())),
    )
}

/// What may leave for what upstream can send.
pub(crate) fn downstream_of(upstream: &gst::CapsRef) -> gst::Caps {
    merged(
        [
            relabel(upstream, "NV12", None, Some(&dmabuf())),
            relabel(upstream, "NV12", None, None),
        ]
        .into_iter(),
    )
}

fn merged(all: impl Iterator<Item = gst::Caps>) -> gst::Caps {
    all.fold(gst::Caps::new_empty(), |mut sum, caps| {
        sum.merge(caps);
        sum
    })
}

/// `caps` with every structure in another pixel format and memory; all other fields stay.
fn relabel(
    caps: &gst::CapsRef,
    format: &str,
    drm_format: Option<&str>,
    features: Option<&gst::CapsFeatures>,
) -> gst::Caps {
    let mut relabelled = gst::Caps::new_empty();
    let all = relabelled.make_mut();
    for structure in caps.iter() {
        let mut structure = structure.to_owned();
        structure.set("format", format);
        structure.remove_field("drm-format");
        if let Some(drm_format) = drm_format {
            structure.set("drm-format", drm_format);
        }
        all.append_structure_full(structure, features.cloned());
    }
    relabelled
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use super::*;

    fn caps(text: &str) -> gst::Caps {
        gst::init().unwrap();
        gst::Caps::from_str(text).unwrap()
    }

    /// A decoder that would rather give tiles, as most do, is left with lines by what it asks downstream before it chooses.
    #[test]
    fn of_tiled_and_linear_frames_a_source_gives_linear_ones() {
        let rest = "width=640,height=480,framerate=30/1";
        let drm = |formats: &str| {
            format!("video/x-raw(memory:DMABuf),format=DMA_DRM,drm-format={formats},{rest}")
        };
        let tiled = "NV12:0x0800000000000002";
        for (offered, chosen) in [
            (drm(&format!("{{{tiled},NV12}}")), Some(drm("NV12"))),
            (
                drm(&format!("{{{tiled},NV12:0x0000000000000000}}")),
                Some(drm("NV12:0x0000000000000000")),
            ),
            (drm(tiled), None),
            (
                format!("video/x-raw,format={{NV12_4L4,NV12}},{rest}"),
                Some(format!("video/x-raw,format=NV12,{rest}")),
            ),
            (format!("video/x-raw,format=NV12_4L4,{rest}"), None),
        ] {
            let mut left = caps(&offered).intersect(&upstream_of(&SRC));
            let chosen = chosen.map(|text| caps(&text));
            assert_eq!(left.is_empty(), chosen.is_none(), "{offered}");
            if let Some(chosen) = chosen {
                left.fixate();
                assert_eq!(left, chosen, "{offered}");
            }
        }
    }

    #[test]
    fn fixed_caps_are_classified_by_their_text() {
        let size = "width=640,height=480,framerate=30/1";
        let cases = [
            (format!("video/x-raw,format=NV12,{size}"), Ok(Form::Plain)),
            (
                format!("video/x-raw(memory:DMABuf),format=DMA_DRM,drm-format=NV12,{size}"),
                Ok(Form::DrmLinear),
            ),
            (
                format!("video/x-raw(memory:DMABuf),format=NV12,{size}"),
                Ok(Form::DmaBuf),
            ),
            (
                format!("video/x-raw(memory:GBM),format=NV12,{size}"),
                Ok(Form::Gbm),
            ),
            (
                format!("video/x-raw(memory:GBM),format=NV12_Q08C,{size}"),
                Err("layout"),
            ),
            (
                format!(
                    "video/x-raw(memory:DMABuf),format=DMA_DRM,drm-format=NV12:0x0100000000000002,{size}"
                ),
                Err("layout"),
            ),
            (format!("video/x-raw,format=YUY2,{size}"), Err("format")),
            ("image/jpeg".to_owned(), Err("media-type")),
            ("EMPTY".to_owned(), Err("media-type")),
        ];
        for (text, expected) in cases {
            let caps = caps(&text);
            assert_eq!(
                classify(&caps).map_err(|refusal| refusal.code()),
                expected,
                "{text}"
            );
            // What is classified and what the pad template says must be the same.
            assert_eq!(SINK.can_intersect(&caps), expected.is_ok(), "{text}");
        }
    }

    #[test]
    fn only_the_label_changes_on_the_way_out() {
        let rest = "width=640,height=480,framerate=30/1,colorimetry=bt709,pixel-aspect-ratio=1/1";
        let sent = caps(&format!(
            "video/x-raw(memory:DMABuf),format=DMA_DRM,drm-format=NV12,{rest}"
        ));
        let contract = caps(&format!("video/x-raw(memory:DMABuf),format=NV12,{rest}"));
        let plain = caps(&format!("video/x-raw,format=NV12,{rest}"));
        assert_eq!(outgoing(&sent, Verdict::DmaBuf), contract);
        assert_eq!(outgoing(&sent, Verdict::Memfd), plain);
        assert_eq!(outgoing(&plain, Verdict::DmaBuf), contract);
        assert_eq!(outgoing(&plain, Verdict::System), plain);
    }

    #[test]
    fn a_size_that_downstream_wants_reaches_upstream_in_every_form() {
        let up = upstream_of(&caps("video/x-raw,format=NV12,width=640,height=480"));
        for text in [
            "video/x-raw,format=NV12",
            "video/x-raw(memory:DMABuf),format=NV12",
            "video/x-raw(memory:GBM),format=NV12",
            "video/x-raw(memory:DMABuf),format=DMA_DRM,drm-format=NV12",
        ] {
            assert!(
                up.can_intersect(&caps(&format!("{text},width=640,height=480"))),
                "{text}"
            );
            assert!(
                !up.can_intersect(&caps(&format!("{text},width=320,height=240"))),
                "{text}"
            );
        }
        assert!(!up.can_intersect(&caps("video/x-raw,format=I420,width=640,height=480")));
    }

    #[test]
    fn downstream_sees_contract_and_plain_caps() {
        let down = downstream_of(&caps(
            "video/x-raw(memory:GBM),format=NV12,width=640,height=480",
        ));
        assert!(down.can_intersect(&caps(
            "video/x-raw(memory:DMABuf),format=NV12,width=640,height=480"
        )));
        assert!(down.can_intersect(&caps("video/x-raw,format=NV12,width=640,height=480")));
        assert!(!down.can_intersect(&caps("video/x-raw,format=NV12,width=320,height=240")));
    }
}
