//! The gate's decisions, without pads and buffers: which caps it accepts, and what a buffer's memory makes of them.

use std::fmt;

use crate::build::Build;
use crate::memory::Kind;

/// The four shapes in which upstream elements describe linear NV12.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// `video/x-raw(memory:DMABuf), format=DMA_DRM, drm-format=NV12` (GStreamer 1.24 and later).
    DrmLinear,
    /// `video/x-raw, format=NV12`: the memory decides.
    Plain,
    /// `video/x-raw(memory:DMABuf), format=NV12`.
    DmaBuf,
    /// `video/x-raw(memory:GBM), format=NV12` (Qualcomm).
    Gbm,
}

/// What the memory of the frames turned out to be, and so what they are called downstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Dma-bufs: the contract's caps.
    DmaBuf,
    /// Memfds (development): plain caps, since a memfd is no dma-buf.
    Memfd,
    /// Memory without a descriptor (development): plain caps; the sink will copy.
    System,
}

impl Verdict {
    /// Value of the property `memory`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::DmaBuf => "dmabuf",
            Self::Memfd => "memfd",
            Self::System => "system",
        }
    }
}

/// What caps say, as far as the gate cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Description<'a> {
    /// Media type.
    pub(crate) media_type: &'a str,
    /// Caps features; none is system memory.
    pub(crate) features: &'a [&'a str],
    /// Field `format`.
    pub(crate) format: Option<&'a str>,
    /// Field `drm-format`.
    pub(crate) drm_format: Option<&'a str>,
    /// Field `compression`: GStreamer 1.20 of Qualcomm Linux 1.x calls UBWC `NV12` with `ubwc` here.
    pub(crate) compression: Option<&'a str>,
}

/// Why frames don't pass the gate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("`{0}` is not raw video")]
    MediaType(String),
    #[error("the pixel format is {0}, not NV12")]
    Format(String),
    #[error("the frames are tiled or compressed ({0}); the contract is linear NV12")]
    Layout(String),
    #[error("memory of type `{0}` can't be shared as a dma-buf")]
    Feature(String),
    #[error("the frames have no pixels: a buffer without memory")]
    Empty,
    #[error("the frame's blocks of memory are of different kinds: {0}")]
    Mixed(Kinds),
    #[error("the caps promise dma-bufs, but the memory is {0}")]
    Mislabelled(Kinds),
    #[error("the memory is {0}; a production build takes dma-bufs only")]
    NotDmaBuf(Kinds),
    #[error("the frame's planes don't fit its memory: {0}")]
    Planes(String),
}

impl Refusal {
    /// Stable code of the reason.
    pub(crate) const fn code(&self) -> &'static str {
        match self {
            Self::MediaType(_) => "media-type",
            Self::Format(_) => "format",
            Self::Layout(_) => "layout",
            Self::Feature(_) => "memory-feature",
            Self::Empty => "empty",
            Self::Mixed(_) => "mixed-memory",
            Self::Mislabelled(_) => "mislabelled",
            Self::NotDmaBuf(_) => "not-dmabuf",
            Self::Planes(_) => "planes",
        }
    }

    /// What to do about it.
    pub(crate) const fn advice(&self) -> &'static str {
        match self {
            Self::MediaType(_) => "decode the stream before the gate",
            Self::Format(_) => {
                "convert to NV12 before the gate, in production with the board's 2D engine or GPU"
            }
            Self::Layout(_) => {
                "ask the source or decoder for linear NV12 (drm-format=NV12; on Qualcomm without UBWC), or put the board's converter before the gate"
            }
            Self::Feature(_) => {
                "make the element before the gate export dma-bufs (memory:DMABuf or memory:GBM caps, or io-mode=dmabuf)"
            }
            Self::Empty => {
                "the element before the gate pushed an empty buffer; remove it or report it to its maintainers"
            }
            Self::Mixed(_) => "let one allocator make all planes of a frame",
            Self::Mislabelled(_) => {
                "the element before the gate labels its caps wrongly; report it to its maintainers, or drop the label with capssetter"
            }
            Self::NotDmaBuf(_) => {
                "make the source or decoder export dma-bufs (v4l2: io-mode=dmabuf), or use a development build"
            }
            Self::Planes(_) => {
                "the element before the gate must attach a GstVideoMeta that describes its real layout"
            }
        }
    }
}

/// Kinds of memory, for messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kinds(pub(crate) Vec<Kind>);

impl fmt::Display for Kinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, kind) in self.0.iter().enumerate() {
            let name = match kind {
                Kind::DmaBuf => "a dma-buf",
                Kind::Memfd => "a memfd",
                Kind::OtherFd => "a descriptor that is no dma-buf",
                Kind::System => "system memory",
            };
            write!(f, "{}{name}", if i == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

/// In which form caps describe linear NV12, or why they don't.
pub(crate) fn form(caps: &Description<'_>) -> Result<Form, Refusal> {
    if caps.media_type != "video/x-raw" {
        return Err(Refusal::MediaType(caps.media_type.to_owned()));
    }
    if let Some(compression) = caps
        .compression
        .filter(|word| !matches!(*word, "" | "none"))
    {
        return Err(Refusal::Layout(format!("compression={compression}")));
    }
    let form = match caps.features {
        [] | ["memory:SystemMemory"] => Form::Plain,
        ["memory:DMABuf"] if caps.format == Some("DMA_DRM") => {
            return drm_linear(caps.drm_format.unwrap_or("no drm-format"))
                .map(|()| Form::DrmLinear);
        }
        ["memory:DMABuf"] => Form::DmaBuf,
        ["memory:GBM"] => Form::Gbm,
        features => return Err(Refusal::Feature(features.join(", "))),
    };
    nv12(caps.format.unwrap_or("unknown")).map(|()| form)
}

/// `NV12` with no modifier or with modifier 0 is linear (`DRM_FORMAT_MOD_LINEAR`, `drm_fourcc.h`).
fn drm_linear(drm_format: &str) -> Result<(), Refusal> {
    let (fourcc, modifier) = drm_format.split_once(':').unwrap_or((drm_format, "0x0"));
    if fourcc != "NV12" {
        return Err(Refusal::Format(drm_format.to_owned()));
    }
    let linear = modifier
        .strip_prefix("0x")
        .is_some_and(|hex| u64::from_str_radix(hex, 16) == Ok(0));
    if linear {
        Ok(())
    } else {
        Err(Refusal::Layout(drm_format.to_owned()))
    }
}

/// GStreamer names tiled and compressed NV12 `NV12_64Z32`, `NV12_4L4`, `NV12_Q08C` (UBWC) and so on.
fn nv12(format: &str) -> Result<(), Refusal> {
    match format {
        "NV12" => Ok(()),
        tiled if tiled.starts_with("NV12_") => Err(Refusal::Layout(tiled.to_owned())),
        other => Err(Refusal::Format(other.to_owned())),
    }
}

/// What frames in this form, with memory of these kinds, are in this build.
///
/// In a development build caps that promise dma-bufs are taken back where the memory is a memfd: the frames are useful,
/// and their caps become true. Memory without a descriptor under such caps is refused: nobody downstream could tell.
pub(crate) fn verdict(form: Form, kinds: &[Kind], build: Build) -> Result<Verdict, Refusal> {
    let Some(first) = kinds.first() else {
        return Err(Refusal::Empty);
    };
    if kinds.iter().any(|kind| kind != first) {
        return Err(Refusal::Mixed(Kinds(kinds.to_vec())));
    }
    let kinds = || Kinds(vec![*first]);
    match (first, build) {
        (Kind::DmaBuf, _) => Ok(Verdict::DmaBuf),
        (Kind::Memfd, Build::Development) => Ok(Verdict::Memfd),
        (_, Build::Production) if form == Form::Plain => Err(Refusal::NotDmaBuf(kinds())),
        (Kind::System, Build::Development) if form == Form::Plain => Ok(Verdict::System),
        (Kind::OtherFd, Build::Development) if form == Form::Plain => {
            Err(Refusal::NotDmaBuf(kinds()))
        }
        _ => Err(Refusal::Mislabelled(kinds())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DMABUF: &[&str] = &["memory:DMABuf"];

    fn caps<'a>(
        features: &'a [&'a str],
        format: &'a str,
        drm_format: Option<&'a str>,
    ) -> Description<'a> {
        Description {
            media_type: "video/x-raw",
            features,
            format: Some(format),
            drm_format,
            compression: None,
        }
    }

    #[test]
    fn caps_table() {
        let cases = [
            (caps(&[], "NV12", None), Ok(Form::Plain)),
            (
                caps(&["memory:SystemMemory"], "NV12", None),
                Ok(Form::Plain),
            ),
            (caps(DMABUF, "NV12", None), Ok(Form::DmaBuf)),
            (caps(&["memory:GBM"], "NV12", None), Ok(Form::Gbm)),
            (caps(DMABUF, "DMA_DRM", Some("NV12")), Ok(Form::DrmLinear)),
            (
                caps(DMABUF, "DMA_DRM", Some("NV12:0x0000000000000000")),
                Ok(Form::DrmLinear),
            ),
            (
                caps(DMABUF, "DMA_DRM", Some("NV12:0x0100000000000002")),
                Err("layout"),
            ),
            (caps(DMABUF, "DMA_DRM", Some("NV12:junk")), Err("layout")),
            (caps(DMABUF, "DMA_DRM", Some("YUYV")), Err("format")),
            (caps(DMABUF, "DMA_DRM", None), Err("format")),
            (caps(&[], "NV12_Q08C", None), Err("layout")),
            (caps(&["memory:GBM"], "NV12_Q08C", None), Err("layout")),
            (caps(DMABUF, "NV12_4L4", None), Err("layout")),
            (caps(&[], "I420", None), Err("format")),
            (
                caps(&["memory:GLMemory"], "NV12", None),
                Err("memory-feature"),
            ),
            (
                caps(&["memory:DMABuf", "meta:x"], "NV12", None),
                Err("memory-feature"),
            ),
            (
                Description {
                    media_type: "video/x-h264",
                    ..caps(&[], "NV12", None)
                },
                Err("media-type"),
            ),
            (
                Description {
                    compression: Some("ubwc"),
                    ..caps(&["memory:GBM"], "NV12", None)
                },
                Err("layout"),
            ),
            (
                Description {
                    compression: Some("none"),
                    ..caps(&[], "NV12", None)
                },
                Ok(Form::Plain),
            ),
            (
                Description {
                    format: None,
                    ..caps(&[], "", None)
                },
                Err("format"),
            ),
        ];
        for (caps, expected) in cases {
            assert_eq!(
                form(&caps).map_err(|refusal| refusal.code()),
                expected,
                "{caps:?}"
            );
        }
    }

    #[test]
    fn memory_table() {
        use Build::{Development, Production};
        type Case<'a> = (Form, &'a [Kind], Build, Result<Verdict, &'a str>);
        let cases: &[Case<'_>] = &[
            (
                Form::Plain,
                &[Kind::DmaBuf],
                Production,
                Ok(Verdict::DmaBuf),
            ),
            (
                Form::Plain,
                &[Kind::DmaBuf, Kind::DmaBuf],
                Production,
                Ok(Verdict::DmaBuf),
            ),
            (
                Form::DrmLinear,
                &[Kind::DmaBuf],
                Production,
                Ok(Verdict::DmaBuf),
            ),
            (Form::Gbm, &[Kind::DmaBuf], Development, Ok(Verdict::DmaBuf)),
            (Form::Plain, &[Kind::Memfd], Production, Err("not-dmabuf")),
            (Form::Plain, &[Kind::System], Production, Err("not-dmabuf")),
            (Form::Plain, &[Kind::OtherFd], Production, Err("not-dmabuf")),
            (Form::DmaBuf, &[Kind::Memfd], Production, Err("mislabelled")),
            (
                Form::DmaBuf,
                &[Kind::System],
                Production,
                Err("mislabelled"),
            ),
            (Form::Plain, &[Kind::Memfd], Development, Ok(Verdict::Memfd)),
            (
                Form::DmaBuf,
                &[Kind::Memfd],
                Development,
                Ok(Verdict::Memfd),
            ),
            (
                Form::Plain,
                &[Kind::System],
                Development,
                Ok(Verdict::System),
            ),
            (
                Form::DmaBuf,
                &[Kind::System],
                Development,
                Err("mislabelled"),
            ),
            (
                Form::DrmLinear,
                &[Kind::OtherFd],
                Development,
                Err("mislabelled"),
            ),
            (
                Form::Plain,
                &[Kind::OtherFd],
                Development,
                Err("not-dmabuf"),
            ),
            (
                Form::Plain,
                &[Kind::DmaBuf, Kind::System],
                Development,
                Err("mixed-memory"),
            ),
            (
                Form::Plain,
                &[Kind::Memfd, Kind::DmaBuf],
                Production,
                Err("mixed-memory"),
            ),
            (Form::Plain, &[], Development, Err("empty")),
        ];
        for (form, kinds, build, expected) in cases {
            let got = verdict(*form, kinds, *build).map_err(|refusal| refusal.code());
            assert_eq!(got, *expected, "{form:?} {kinds:?} {build:?}");
        }
    }

    #[test]
    fn a_refusal_says_what_was_found() {
        let refusal = verdict(
            Form::Plain,
            &[Kind::Memfd, Kind::System],
            Build::Development,
        )
        .unwrap_err();
        assert!(
            refusal.to_string().ends_with("a memfd, system memory"),
            "{refusal}"
        );
    }
}
