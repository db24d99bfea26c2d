//! How a frame's format is described in caps.

use std::sync::LazyLock;

use gst_allocators::CAPS_FEATURE_MEMORY_DMABUF;
use mos_frame::{Format, FourCc, MemoryKind};

use crate::build::Build;

/// Everything that the source may send.
pub(crate) static SRC: LazyLock<gst::Caps> = LazyLock::new(|| {
    let mut caps = gst::Caps::new_empty();
    let all = caps.make_mut();
    let structure = || {
        gst::Structure::builder("video/x-raw")
            .field("width", gst::IntRange::new(1, i32::MAX))
            .field("height", gst::IntRange::new(1, i32::MAX))
            .field(
                "framerate",
                gst::FractionRange::new(gst::Fraction::new(0, 1), gst::Fraction::new(i32::MAX, 1)),
            )
    };
    all.append_structure_full(structure().field("format", "NV12").build(), Some(dmabuf()));
    let drm = structure()
        .field("format", "DMA_DRM")
        .field("drm-format", "NV12")
        .build();
    all.append_structure_full(drm, Some(dmabuf()));
    all.append_structure(structure().field("format", "NV12").build());
    caps
});

fn dmabuf() -> gst::CapsFeatures {
    gst::CapsFeatures::new([CAPS_FEATURE_MEMORY_DMABUF])
}

/// A format that the element can't describe to GStreamer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unsupported {
    #[error("the stream's pixel format is {0} with modifier {1:#x}, not linear NV12")]
    Format(FourCc, u64),
    #[error(
        "the stream's frames are memfds of a development build; a production build takes dma-bufs only"
    )]
    Memfd,
}

/// The caps that describe a format, best first.
///
/// A dma-buf is offered under the contract's caps, where the running GStreamer knows them (1.24) as `DMA_DRM`, and in a
/// development build, for elements that map frames, as plain NV12. A memfd is plain NV12 and nothing else.
pub(crate) fn candidates(
    format: &Format,
    knows_dma_drm: bool,
    build: Build,
) -> Result<Vec<gst::Caps>, Unsupported> {
    if format.fourcc != FourCc::NV12 || format.modifier != 0 {
        return Err(Unsupported::Format(format.fourcc, format.modifier));
    }
    let contract = || caps(format, "NV12", Some(dmabuf()));
    let plain = || caps(format, "NV12", None);
    let drm = || {
        let mut caps = caps(format, "DMA_DRM", Some(dmabuf()));
        caps.make_mut().set("drm-format", "NV12");
        caps
    };
    match (format.memory, build) {
        (MemoryKind::Memfd, Build::Production) => Err(Unsupported::Memfd),
        (MemoryKind::Memfd, Build::Development) => Ok(vec![plain()]),
        (MemoryKind::DmaBuf, build) => {
            let drm = knows_dma_drm.then(drm);
            let plain = (build == Build::Development).then(plain);
            Ok([Some(contract()), drm, plain]
                .into_iter()
                .flatten()
                .collect())
        }
    }
}

fn caps(format: &Format, name: &str, features: Option<gst::CapsFeatures>) -> gst::Caps {
    let (numer, denom) = format.framerate;
    let mut structure = gst::Structure::builder("video/x-raw")
        .field("format", name)
        .field("width", format.width as i32)
        .field("height", format.height as i32)
        .field(
            "framerate",
            gst::Fraction::new(numer as i32, denom.max(1) as i32),
        )
        .field("pixel-aspect-ratio", gst::Fraction::new(1, 1))
        .field("interlace-mode", "progressive")
        .build();
    if !format.colorimetry.is_empty() {
        structure.set("colorimetry", &format.colorimetry);
    }
    let mut caps = gst::Caps::new_empty();
    caps.make_mut().append_structure_full(structure, features);
    caps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(
        format: &Format,
        knows_dma_drm: bool,
        build: Build,
    ) -> Result<Vec<String>, Unsupported> {
        gst::init().unwrap();
        let short = |caps: &gst::Caps| {
            assert!(SRC.can_intersect(caps), "{caps}");
            let name = if caps
                .features(0)
                .is_some_and(|f| f.contains("memory:DMABuf"))
            {
                "dmabuf"
            } else {
                "plain"
            };
            format!(
                "{name} {}",
                caps.structure(0).unwrap().get::<String>("format").unwrap()
            )
        };
        candidates(format, knows_dma_drm, build).map(|all| all.iter().map(short).collect())
    }

    #[test]
    fn candidates_table() {
        use Build::{Development, Production};
        let memfd = Format {
            colorimetry: "bt709".into(),
            ..Format::nv12_memfd(640, 480, (30, 1))
        };
        let dmabuf = Format {
            memory: MemoryKind::DmaBuf,
            ..memfd.clone()
        };
        let cases: [(&Format, bool, Build, &[&str]); 5] = [
            (&memfd, true, Development, &["plain NV12"]),
            (&dmabuf, false, Production, &["dmabuf NV12"]),
            (
                &dmabuf,
                true,
                Production,
                &["dmabuf NV12", "dmabuf DMA_DRM"],
            ),
            (&dmabuf, false, Development, &["dmabuf NV12", "plain NV12"]),
            (
                &dmabuf,
                true,
                Development,
                &["dmabuf NV12", "dmabuf DMA_DRM", "plain NV12"],
            ),
        ];
        for (format, knows, build, expected) in cases {
            assert_eq!(
                texts(format, knows, build).unwrap(),
                expected,
                "{:?} {knows} {build:?}",
                format.memory
            );
        }
        assert_eq!(texts(&memfd, true, Production), Err(Unsupported::Memfd));
        let tiled = Format {
            modifier: 0x0100_0000_0000_0002,
            ..dmabuf
        };
        assert!(matches!(
            texts(&tiled, true, Development),
            Err(Unsupported::Format(..))
        ));
    }

    #[test]
    fn caps_say_all_that_the_format_says() {
        gst::init().unwrap();
        let format = Format {
            colorimetry: "bt709".into(),
            ..Format::nv12_memfd(642, 480, (30000, 1001))
        };
        let caps = candidates(&format, false, Build::Development)
            .unwrap()
            .remove(0);
        let info = gst_video::VideoInfo::from_caps(&caps).unwrap();
        assert_eq!(
            (info.width(), info.height(), info.fps()),
            (642, 480, gst::Fraction::new(30000, 1001))
        );
        assert_eq!(info.colorimetry().to_string(), "bt709");
    }
}
