//! Ways from what a source offers to NV12, as data.
//!
//! A rule says what it takes, which elements do it, and what that costs. The built-in ones are a table below; others can be
//! read from a file, since every part is an owned type that serde knows, and stand before or behind them.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A way to NV12.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its name in logs and files, such as `h264-v4l2-stateless`; no other rule has it.
    pub name: String,
    /// Formats that it takes, in the terms of [`Capability::format`](crate::Capability::format).
    pub input: Vec<String>,
    /// Elements to link in this order; none if the source's own frames are what is wanted.
    #[serde(default)]
    pub steps: Vec<Step>,
    /// Who works on the pixels.
    pub kind: Kind,
    /// What the NV12 frames live in.
    pub ends_in: EndsIn,
    /// What each frame costs.
    #[serde(default)]
    pub copies: Copies,
    /// Device nodes that it needs beside those that its elements name themselves; of each entry one node is enough.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<Vec<String>>,
    /// Elements whose presence tells that the machine is one on which this rule does not hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unless: Vec<String>,
    /// The Debian package that brings its elements, for advice; empty for what comes with a board's own system.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub package: String,
    /// Why the rule is there, and what is known to go wrong with it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
}

impl Rule {
    /// Whether it takes a format.
    pub fn takes(&self, format: &str) -> bool {
        self.input.iter().any(|input| input == format)
    }

    /// The first element that looks into the pictures: parsers only find where they begin.
    pub fn worker(&self) -> Option<&str> {
        let factories = self.steps.iter().map(|step| step.factory.as_str());
        factories
            .clone()
            .find(|f| !f.ends_with("parse"))
            .or_else(|| factories.clone().next())
    }
}

/// Who works on the pixels of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A decoder, converter or GPU.
    Hardware,
    /// The CPU: development builds only.
    Software,
}

/// What the last element's frames live in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndsIn {
    /// What the source handed over.
    Source,
    /// dma-bufs that the last element's driver exports.
    Driver,
    /// The pool that the gate offers: the CPU writes there.
    Pool,
    /// Process memory: the bus's sink copies each frame.
    Process,
}

/// How often the pixels of one frame are written again after the camera or the decoder wrote them first.
///
/// A conversion, a scaling and a plain copy each count once, for whoever does it. A decoder's own output is the first
/// writing and counts nothing, nor does what is read or written of a bitstream.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(default, deny_unknown_fields)]
pub struct Copies {
    /// By the CPU.
    pub cpu: u32,
    /// By a converter, a GPU or a DMA engine.
    pub hardware: u32,
}

/// An element with the properties that it is given, written `jpegdec max-errors=-1`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Step {
    /// Its factory's name.
    pub factory: String,
    /// Properties and their values; one that the installed version does not have is left out.
    pub properties: BTreeMap<String, String>,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.factory)?;
        self.properties
            .iter()
            .try_for_each(|(name, value)| write!(f, " {name}={value}"))
    }
}

impl FromStr for Step {
    type Err = InvalidStep;

    fn from_str(s: &str) -> Result<Self, InvalidStep> {
        let invalid = || InvalidStep(s.to_owned());
        let mut words = s.split_whitespace();
        let factory = words
            .next()
            .filter(|word| is_name(word))
            .ok_or_else(invalid)?;
        let property = |word: &str| {
            let (name, value) = word.split_once('=')?;
            (is_name(name) && !value.is_empty()).then(|| (name.to_owned(), value.to_owned()))
        };
        let properties = words
            .map(|word| property(word).ok_or_else(invalid))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            factory: factory.to_owned(),
            properties,
        })
    }
}

fn is_name(word: &str) -> bool {
    !word.is_empty()
        && word
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
}

impl TryFrom<String> for Step {
    type Error = InvalidStep;

    fn try_from(s: String) -> Result<Self, InvalidStep> {
        s.parse()
    }
}

impl From<Step> for String {
    fn from(step: Step) -> Self {
        step.to_string()
    }
}

/// The text is no element with properties.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not an element with its properties: expected for example `v4l2convert capture-io-mode=dmabuf`"
)]
pub struct InvalidStep(pub String);

/// Raw formats by what a conversion to NV12 loses: 4:2:0 first, then 4:2:2, then RGB, then no colour at all.
pub const RAW: [&str; 12] = [
    "NV21", "I420", "YV12", "NV16", "YUY2", "UYVY", "YVYU", "VYUY", "RGB", "BGR", "BGRx", "GRAY8",
];

const NV12: &[&str] = &["NV12"];
const H264: &[&str] = &["video/x-h264"];
const H265: &[&str] = &["video/x-h265"];
const VP8: &[&str] = &["video/x-vp8"];
const JPEG: &[&str] = &["image/jpeg"];

/// A row of the built-in table.
struct Row {
    name: &'static str,
    input: &'static [&'static str],
    steps: &'static [&'static str],
    kind: Kind,
    ends_in: EndsIn,
    copies: u32,
    devices: &'static [&'static [&'static str]],
    unless: &'static [&'static str],
    package: &'static str,
    why: &'static str,
}

/// A row whose frames a driver exports; `copies` are the hardware's.
const fn hardware(
    name: &'static str,
    input: &'static [&'static str],
    steps: &'static [&'static str],
    copies: u32,
    why: &'static str,
) -> Row {
    let (kind, ends_in) = (Kind::Hardware, EndsIn::Driver);
    Row {
        name,
        input,
        steps,
        kind,
        ends_in,
        copies,
        devices: &[],
        unless: &[],
        package: "",
        why,
    }
}

/// A row whose last element writes what comes out into the gate's pool: one copy by the CPU.
const fn software(
    name: &'static str,
    input: &'static [&'static str],
    steps: &'static [&'static str],
    package: &'static str,
    why: &'static str,
) -> Row {
    let (kind, ends_in) = (Kind::Software, EndsIn::Pool);
    Row {
        name,
        input,
        steps,
        kind,
        ends_in,
        copies: 1,
        devices: &[],
        unless: &[],
        package,
        why,
    }
}

const STATEFUL: &str = "Stateful V4L2 decoder. It exports dma-bufs only when asked to";
const UBWC: &str =
    "Decoders of Qualcomm chips give UBWC, a compressed layout, which qtivtransform makes linear";
/// Threads that each decode a frame of their own would add a frame of delay each; what lost its reference is not shown.
const AVDEC_H264: &str = "avdec_h264 max-threads=1 output-corrupt=false";
const AVDEC_H265: &str = "avdec_h265 max-threads=1 output-corrupt=false";
const VPU: &[&[&str]] = &[&["/dev/mxc_hantro", "/dev/mxc_vpu"]];

/// By preference among what costs the same.
const TABLE: &[Row] = &[
    Row {
        name: "as-is",
        input: NV12,
        steps: &[],
        kind: Kind::Hardware,
        ends_in: EndsIn::Source,
        copies: 0,
        devices: &[],
        unless: &[],
        package: "",
        why: "The source gives NV12 itself: nothing to do",
    },
    hardware(
        "h264-v4l2-stateless",
        H264,
        &["h264parse", "v4l2slh264dec"],
        0,
        "Mainline decoders (Hantro, Rockchip). They choose their own layout: the gate refuses tiled frames",
    ),
    hardware(
        "h264-v4l2-qualcomm",
        H264,
        &[
            "h264parse",
            "v4l2h264dec capture-io-mode=dmabuf",
            "qtivtransform",
        ],
        1,
        UBWC,
    ),
    Row {
        unless: &["qtivtransform"],
        ..hardware(
            "h264-v4l2",
            H264,
            &["h264parse", "v4l2h264dec capture-io-mode=dmabuf"],
            0,
            STATEFUL,
        )
    },
    Row {
        devices: VPU,
        ..hardware(
            "h264-imx-vpu",
            H264,
            &["h264parse", "vpudec"],
            0,
            "NXP's BSP; no DMABuf caps, but dma-bufs",
        )
    },
    hardware(
        "h264-va",
        H264,
        &["h264parse", "vah264dec", "vapostproc"],
        1,
        "Desktop GPUs: decoded surfaces may be tiled, which vapostproc makes linear",
    ),
    software(
        "h264-libav",
        H264,
        &["h264parse", AVDEC_H264, "videoconvert"],
        "gstreamer1.0-libav",
        "The CPU decodes to I420; the converter rearranges it",
    ),
    software(
        "h264-openh264",
        H264,
        &["h264parse", "openh264dec", "videoconvert"],
        "gstreamer1.0-plugins-bad",
        "Constrained baseline and simple main streams only",
    ),
    hardware(
        "h265-v4l2-stateless",
        H265,
        &["h265parse", "v4l2slh265dec"],
        0,
        "As h264-v4l2-stateless",
    ),
    hardware(
        "h265-v4l2-qualcomm",
        H265,
        &[
            "h265parse",
            "v4l2h265dec capture-io-mode=dmabuf",
            "qtivtransform",
        ],
        1,
        UBWC,
    ),
    Row {
        unless: &["qtivtransform"],
        ..hardware(
            "h265-v4l2",
            H265,
            &["h265parse", "v4l2h265dec capture-io-mode=dmabuf"],
            0,
            STATEFUL,
        )
    },
    Row {
        devices: VPU,
        ..hardware(
            "h265-imx-vpu",
            H265,
            &["h265parse", "vpudec"],
            0,
            "As h264-imx-vpu",
        )
    },
    hardware(
        "h265-va",
        H265,
        &["h265parse", "vah265dec", "vapostproc"],
        1,
        "As h264-va",
    ),
    software(
        "h265-libav",
        H265,
        &["h265parse", AVDEC_H265, "videoconvert"],
        "gstreamer1.0-libav",
        "As h264-libav",
    ),
    hardware(
        "vp8-v4l2-stateless",
        VP8,
        &["v4l2slvp8dec"],
        0,
        "As h264-v4l2-stateless",
    ),
    hardware(
        "vp8-v4l2-qualcomm",
        VP8,
        &["v4l2vp8dec capture-io-mode=dmabuf", "qtivtransform"],
        1,
        UBWC,
    ),
    Row {
        unless: &["qtivtransform"],
        ..hardware(
            "vp8-v4l2",
            VP8,
            &["v4l2vp8dec capture-io-mode=dmabuf"],
            0,
            STATEFUL,
        )
    },
    Row {
        devices: VPU,
        ..hardware("vp8-imx-vpu", VP8, &["vpudec"], 0, "As h264-imx-vpu")
    },
    hardware("vp8-va", VP8, &["vavp8dec", "vapostproc"], 1, "As h264-va"),
    software(
        "vp8-libvpx",
        VP8,
        &["vp8dec", "videoconvert"],
        "gstreamer1.0-plugins-good",
        "As h264-libav",
    ),
    hardware(
        "jpeg-v4l2",
        JPEG,
        &[
            "jpegparse",
            "v4l2jpegdec capture-io-mode=dmabuf",
            "v4l2convert output-io-mode=dmabuf-import capture-io-mode=dmabuf",
        ],
        1,
        "JPEG units give what the picture was coded in, mostly 4:2:2: a converter is always needed",
    ),
    hardware(
        "jpeg-va",
        JPEG,
        &["jpegparse", "vajpegdec", "vapostproc"],
        1,
        "As jpeg-v4l2, by a desktop GPU",
    ),
    software(
        "jpeg-libjpeg",
        JPEG,
        &["jpegdec max-errors=-1", "videoconvert"],
        "gstreamer1.0-plugins-good",
        "A picture that was cut short is filled with grey and passes as good: it has to be checked before",
    ),
    hardware(
        "convert-v4l2",
        &RAW,
        &["v4l2convert output-io-mode=dmabuf-import capture-io-mode=dmabuf"],
        1,
        "Only where the kernel has a scaler or converter node. Left to itself it would have frames copied to it",
    ),
    Row {
        devices: &[&["/dev/galcore"]],
        ..hardware(
            "convert-imx-gpu",
            &RAW,
            &["imxvideoconvert_ocl"],
            1,
            "The G2D variant can't write NV12 on i.MX8M Plus",
        )
    },
    hardware(
        "convert-qualcomm",
        &RAW,
        &["qtivtransform"],
        1,
        "Qualcomm's GPU or C2D",
    ),
    hardware("convert-va", &RAW, &["vapostproc"], 1, "Desktop GPUs"),
    software(
        "convert-cpu",
        &RAW,
        &["videoconvertscale"],
        "gstreamer1.0-plugins-base",
        "The CPU converts",
    ),
];

/// The rules that come with the service, by preference among what costs the same.
pub fn built_in() -> Vec<Rule> {
    TABLE.iter().map(Row::rule).collect()
}

impl Row {
    fn rule(&self) -> Rule {
        let copies = match self.kind {
            Kind::Hardware => Copies {
                cpu: 0,
                hardware: self.copies,
            },
            Kind::Software => Copies {
                cpu: self.copies,
                hardware: 0,
            },
        };
        Rule {
            name: self.name.to_owned(),
            input: owned(self.input),
            // The table's own texts are checked by a test.
            steps: self
                .steps
                .iter()
                .filter_map(|step| step.parse().ok())
                .collect(),
            kind: self.kind,
            ends_in: self.ends_in,
            copies,
            devices: self.devices.iter().map(|any| owned(any)).collect(),
            unless: owned(self.unless),
            package: self.package.to_owned(),
            why: self.why.to_owned(),
        }
    }
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_table_is_sound() {
        let rules = built_in();
        let names: BTreeSet<_> = rules.iter().map(|rule| &rule.name).collect();
        assert_eq!(names.len(), rules.len(), "names are unique");
        for (row, rule) in TABLE.iter().zip(&rules) {
            assert_eq!(
                rule.steps.len(),
                row.steps.len(),
                "{}: every step parses",
                rule.name
            );
            assert_eq!(
                rule.kind == Kind::Software,
                rule.copies.cpu > 0,
                "{}",
                rule.name
            );
            assert_eq!(
                rule.kind == Kind::Software,
                rule.ends_in == EndsIn::Pool,
                "{}",
                rule.name
            );
            assert!(
                !rule.why.is_empty() && !rule.input.is_empty(),
                "{}",
                rule.name
            );
            assert_eq!(
                rule.kind == Kind::Software,
                !rule.package.is_empty(),
                "{}",
                rule.name
            );
        }
    }

    #[test]
    fn steps_are_written_as_they_are_read() {
        for (text, valid) in [
            ("jpegdec", true),
            (
                "v4l2convert capture-io-mode=dmabuf output-io-mode=dmabuf-import",
                true,
            ),
            ("", false),
            ("jpegdec !", false),
            ("jpegdec max-errors", false),
            ("jpegdec max-errors=", false),
            ("a/b", false),
        ] {
            let step = text.parse::<Step>();
            assert_eq!(
                step.as_ref().map(Step::to_string).ok().as_deref(),
                valid.then_some(text),
                "{text}"
            );
        }
    }

    #[test]
    fn the_worker_is_who_looks_into_the_pictures() {
        let rules = built_in();
        let worker = |name| {
            rules
                .iter()
                .find(|rule| rule.name == name)
                .and_then(Rule::worker)
        };
        assert_eq!(worker("h264-libav"), Some("avdec_h264"));
        assert_eq!(worker("convert-cpu"), Some("videoconvertscale"));
        assert_eq!(worker("as-is"), None);
    }
}
