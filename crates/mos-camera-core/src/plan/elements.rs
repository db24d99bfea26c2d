//! Which GStreamer elements decode and convert, by order of preference from what is on this machine.
//!
//! Hardware comes first. Elements that let the CPU touch pixels are for development builds only.

use std::fmt;

/// How a camera compresses its pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// H.264 (`video/x-h264`).
    H264,
    /// Motion JPEG (`image/jpeg`).
    Jpeg,
}

impl Codec {
    /// The codec of a GStreamer media type, if it is one.
    pub fn from_media_type(media_type: &str) -> Option<Self> {
        match media_type {
            "video/x-h264" => Some(Self::H264),
            "image/jpeg" => Some(Self::Jpeg),
            _ => None,
        }
    }

    const fn candidates(self) -> &'static [Candidate] {
        match self {
            Self::H264 => H264,
            Self::Jpeg => JPEG,
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::H264 => "H.264 decoder",
            Self::Jpeg => "JPEG decoder",
        })
    }
}

/// A way to do it: elements linked in this order.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    elements: &'static [&'static str],
    software: bool,
    /// The Debian package that has it, for advice.
    package: &'static str,
}

const fn hardware(elements: &'static [&'static str]) -> Candidate {
    Candidate {
        elements,
        software: false,
        package: "",
    }
}

const fn software(elements: &'static [&'static str], package: &'static str) -> Candidate {
    Candidate {
        elements,
        software: true,
        package,
    }
}

/// All give linear NV12. The stateful decoder of Qualcomm chips gives UBWC, which `qtivtransform` makes linear.
const H264: &[Candidate] = &[
    hardware(&["h264parse", "v4l2slh264dec"]),
    hardware(&["h264parse", "v4l2h264dec", "qtivtransform"]),
    hardware(&["h264parse", "v4l2h264dec"]),
    hardware(&["h264parse", "vpudec"]),
    hardware(&["h264parse", "vah264dec", "vapostproc"]),
    software(
        &["h264parse", "avdec_h264", "videoconvert"],
        "gstreamer1.0-libav",
    ),
    software(
        &["h264parse", "openh264dec", "videoconvert"],
        "gstreamer1.0-plugins-bad",
    ),
];

const JPEG: &[Candidate] = &[
    hardware(&["jpegparse", "v4l2jpegdec", "v4l2convert"]),
    hardware(&["jpegparse", "vajpegdec", "vapostproc"]),
    software(&["jpegdec", "videoconvert"], "gstreamer1.0-plugins-good"),
];

const CONVERT: &[Candidate] = &[
    hardware(&["v4l2convert"]),
    hardware(&["imxvideoconvert_ocl"]),
    hardware(&["qtivtransform"]),
    hardware(&["vapostproc"]),
    software(&["videoconvertscale"], "gstreamer1.0-plugins-base"),
];

/// Elements to link in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// Factory names.
    pub elements: Vec<&'static str>,
    /// Whether the CPU touches pixels.
    pub software: bool,
}

/// Nothing on this machine will do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no {purpose} to use on this machine: {}", advice(*refused, wanted))]
pub struct MissingElements {
    /// What they are for, such as `H.264 decoder`.
    pub purpose: String,
    /// Every chain that would do, in order of preference: element names joined by ` ! `, with the elements that are missing.
    pub wanted: Vec<Wanted>,
    /// A software chain is complete, but this is a production build.
    pub refused: Option<&'static str>,
}

/// A chain that would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Its elements.
    pub elements: Vec<&'static str>,
    /// Those that are not on this machine.
    pub missing: Vec<&'static str>,
    /// The Debian package that brings them; empty for those that come with a board's own system.
    pub package: &'static str,
}

fn advice(refused: Option<&str>, wanted: &[Wanted]) -> String {
    if let Some(element) = refused {
        return format!(
            "{element} decodes or converts on the CPU, which a production build refuses; use hardware that can, or a development build"
        );
    }
    let chains: Vec<String> = wanted.iter().map(Wanted::to_string).collect();
    format!("one of these is needed: {}", chains.join(", "))
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} (missing {}",
            self.elements.join(" ! "),
            self.missing.join(", ")
        )?;
        if self.package.is_empty() {
            f.write_str(")")
        } else {
            write!(f, "; apt install {})", self.package)
        }
    }
}

/// The chain from compressed video to NV12.
///
/// `present` tells whether an element is in GStreamer's registry; `development` allows the CPU to decode.
pub fn choose_decoder(
    codec: Codec,
    present: impl Fn(&str) -> bool,
    development: bool,
) -> Result<Chain, MissingElements> {
    choose(
        &codec.to_string(),
        codec.candidates(),
        &present,
        development,
    )
}

/// The chain from any raw format to NV12, scaling included; arguments as [`choose_decoder`].
pub fn choose_converter(
    present: impl Fn(&str) -> bool,
    development: bool,
) -> Result<Chain, MissingElements> {
    choose("converter to NV12", CONVERT, &present, development)
}

fn choose(
    purpose: &str,
    candidates: &[Candidate],
    present: &dyn Fn(&str) -> bool,
    development: bool,
) -> Result<Chain, MissingElements> {
    let complete = |c: &&Candidate| c.elements.iter().all(|e| present(e));
    let usable = |c: &&Candidate| development || !c.software;
    if let Some(found) = candidates.iter().filter(complete).find(usable) {
        return Ok(Chain {
            elements: found.elements.to_vec(),
            software: found.software,
        });
    }
    let refused = candidates
        .iter()
        .find(complete)
        .and_then(|c| c.elements.iter().copied().find(|e| !e.ends_with("parse")));
    let wanted = candidates
        .iter()
        .filter(usable)
        .map(|c| c.wanted(present))
        .collect();
    Err(MissingElements {
        purpose: purpose.to_owned(),
        wanted,
        refused,
    })
}

impl Candidate {
    fn wanted(&self, present: &dyn Fn(&str) -> bool) -> Wanted {
        let missing = self
            .elements
            .iter()
            .copied()
            .filter(|e| !present(e))
            .collect();
        Wanted {
            elements: self.elements.to_vec(),
            missing,
            package: self.package,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoder(
        codec: Codec,
        present: &str,
        development: bool,
    ) -> Result<(String, bool), MissingElements> {
        let present: Vec<&str> = present.split(' ').collect();
        choose_decoder(codec, |e| present.contains(&e), development)
            .map(|c| (c.elements.join(" "), c.software))
    }

    #[test]
    fn hardware_comes_first_and_software_only_in_development() {
        let everything = "h264parse v4l2slh264dec v4l2h264dec qtivtransform vpudec vah264dec vapostproc avdec_h264 \
                          openh264dec videoconvert jpegparse v4l2jpegdec v4l2convert vajpegdec jpegdec";
        for (codec, present, development, expected) in [
            (
                Codec::H264,
                everything,
                true,
                Some(("h264parse v4l2slh264dec", false)),
            ),
            (
                Codec::H264,
                "h264parse v4l2h264dec qtivtransform",
                false,
                Some(("h264parse v4l2h264dec qtivtransform", false)),
            ),
            (
                Codec::H264,
                "h264parse v4l2h264dec vah264dec vapostproc",
                false,
                Some(("h264parse v4l2h264dec", false)),
            ),
            (
                Codec::H264,
                "h264parse vpudec",
                false,
                Some(("h264parse vpudec", false)),
            ),
            (
                Codec::H264,
                "h264parse vah264dec vapostproc avdec_h264 videoconvert",
                true,
                Some(("h264parse vah264dec vapostproc", false)),
            ),
            (
                Codec::H264,
                "h264parse vah264dec avdec_h264 videoconvert",
                true,
                Some(("h264parse avdec_h264 videoconvert", true)),
            ),
            (
                Codec::H264,
                "h264parse openh264dec videoconvert",
                true,
                Some(("h264parse openh264dec videoconvert", true)),
            ),
            (
                Codec::H264,
                "h264parse avdec_h264 videoconvert",
                false,
                None,
            ),
            (Codec::H264, "v4l2slh264dec", true, None),
            (
                Codec::Jpeg,
                everything,
                true,
                Some(("jpegparse v4l2jpegdec v4l2convert", false)),
            ),
            (
                Codec::Jpeg,
                "jpegparse vajpegdec vapostproc jpegdec",
                false,
                Some(("jpegparse vajpegdec vapostproc", false)),
            ),
            (
                Codec::Jpeg,
                "jpegdec videoconvert",
                true,
                Some(("jpegdec videoconvert", true)),
            ),
            (Codec::Jpeg, "jpegdec videoconvert", false, None),
        ] {
            let got = decoder(codec, present, development).ok();
            assert_eq!(
                got,
                expected.map(|(e, s)| (e.to_owned(), s)),
                "{codec} from {present}"
            );
        }
    }

    #[test]
    fn a_converter_is_chosen_the_same_way() {
        let choose = |name: &str, development| {
            choose_converter(|e| e == name, development)
                .map(|c| c.software)
                .ok()
        };
        assert_eq!(choose("v4l2convert", false), Some(false));
        assert_eq!(choose("videoconvertscale", true), Some(true));
        assert_eq!(choose("videoconvertscale", false), None);
    }

    #[test]
    fn what_is_missing_is_named_with_its_package() {
        let missing = decoder(Codec::H264, "h264parse videoconvert", true).unwrap_err();
        assert_eq!(missing.wanted.len(), H264.len());
        let text = missing.to_string();
        for part in [
            "no H.264 decoder",
            "h264parse ! v4l2slh264dec (missing v4l2slh264dec)",
            "(missing avdec_h264; apt install gstreamer1.0-libav)",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn a_production_build_says_that_it_refuses_software() {
        let refused = decoder(Codec::H264, "h264parse avdec_h264 videoconvert", false).unwrap_err();
        assert_eq!(refused.refused, Some("avdec_h264"));
        assert!(
            refused.to_string().contains("a production build refuses"),
            "{refused}"
        );
        assert!(
            refused.wanted.iter().all(|w| w.package.is_empty()),
            "no software advised"
        );
    }

    #[test]
    fn media_types_name_codecs() {
        for (media_type, codec) in [
            ("video/x-h264", Some(Codec::H264)),
            ("image/jpeg", Some(Codec::Jpeg)),
            ("NV12", None),
        ] {
            assert_eq!(Codec::from_media_type(media_type), codec);
        }
    }
}
