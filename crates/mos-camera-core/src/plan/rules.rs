//! Ways from what a source offers to NV12, as data.
//!
//! A rule says what it takes, which elements do it, and what that costs. Rules come from profiles: files, those of this build
//! among them ([`super::Profiles`]).

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Everything that is known of ways to NV12 on a machine.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rules {
    /// The ways, by preference among what costs the same.
    pub ways: Vec<Rule>,
    /// Elements that are not used whatever the ways say.
    pub forbidden: Vec<Forbidden>,
    /// What is known to go wrong.
    pub traps: Vec<Trap>,
}

impl Rules {
    /// Why an element is not used, if it is not.
    pub fn forbids(&self, element: &str) -> Option<&Forbidden> {
        let element = canonical(element);
        self.forbidden
            .iter()
            .find(|forbidden| forbidden.element == element)
    }

    /// What is known to go wrong with some elements.
    pub fn traps(&self, steps: &[Step]) -> Vec<String> {
        let concerns = |trap: &&Trap| {
            steps
                .iter()
                .any(|step| canonical(&step.factory) == trap.element)
        };
        let traps = self.traps.iter().filter(concerns);
        traps
            .map(|trap| format!("{}: {}", trap.element, trap.text))
            .collect()
    }
}

/// An element that is not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forbidden {
    /// The element.
    pub element: String,
    /// Why, in the words of who said so.
    pub reason: String,
    /// The profile that says so.
    pub origin: String,
}

/// Something that is known to go wrong with an element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trap {
    /// The element.
    pub element: String,
    /// What, for people.
    pub text: String,
}

/// A way to NV12.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its name in logs and files, such as `h264-v4l2-stateless`; no other rule has it.
    pub name: String,
    /// Formats that it takes, in the terms of [`Capability::format`](crate::Capability::format).
    pub input: Vec<String>,
    /// Elements to link in this order; none if the source's own frames are what is wanted.
    pub steps: Vec<Step>,
    /// Who works on the pixels.
    pub kind: Kind,
    /// What the NV12 frames live in.
    pub ends_in: EndsIn,
    /// What each frame costs.
    pub copies: Copies,
    /// Device nodes that it needs beside those that its elements name themselves; of each entry one node is enough.
    pub devices: Vec<Vec<String>>,
    /// Elements whose presence tells that the machine is one on which this rule does not hold.
    pub unless: Vec<String>,
    /// The Debian package that brings its elements, for advice; empty for what comes with a board's own system.
    pub package: String,
    /// Why the rule is there, and what is known to go wrong with it.
    pub why: String,
    /// The profile that it comes from.
    pub origin: String,
}

impl Rule {
    /// Whether it takes a format.
    pub fn takes(&self, format: &str) -> bool {
        self.input.iter().any(|input| input == format)
    }

    /// Whether it does nothing to a format but write it anew.
    pub fn copies_only(&self, format: &str) -> bool {
        format == "NV12" && !self.steps.is_empty()
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
///
/// With `==` instead of `=` the element is of no use without the property.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Step {
    /// Its factory's name.
    pub factory: String,
    /// Properties and their values; one that the installed version does not have is left out, unless it is required.
    pub properties: BTreeMap<String, Setting>,
}

/// A property's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// As GStreamer writes values of the property's type.
    pub value: String,
    /// Whether the element is of no use without the property.
    pub required: bool,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.factory)?;
        self.properties.iter().try_for_each(|(name, setting)| {
            let sign = if setting.required { "==" } else { "=" };
            write!(f, " {name}{sign}{}", setting.value)
        })
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
            let (name, rest) = word.split_once('=')?;
            let (value, required) = match rest.strip_prefix('=') {
                Some(value) => (value, true),
                None => (rest, false),
            };
            let value = value.to_owned();
            (is_name(name) && is_value(&value))
                .then(|| (name.to_owned(), Setting { value, required }))
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

/// Numbers, words and flags; nothing that GStreamer would read as more than one value.
fn is_value(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '+' | '/' | ':'))
}

pub(super) fn is_name(word: &str) -> bool {
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

/// Whether an element is one of those that a rule means by a name: the element itself, or the same for another node.
pub fn is_kind_of(element: &str, name: &str) -> bool {
    element == name || canonical(element) == name
}

/// An element's name without the node in it: of several nodes of one kind, GStreamer calls the second one's element
/// `v4l2video5convert` where the first one's is `v4l2convert`.
pub(super) fn canonical(factory: &str) -> String {
    for prefix in ["v4l2sl", "v4l2"] {
        let node = factory
            .strip_prefix(prefix)
            .and_then(|rest| rest.strip_prefix("video"));
        if let Some(node) = node {
            let kind = node.trim_start_matches(|c: char| c.is_ascii_digit());
            if kind.len() < node.len() && !kind.is_empty() {
                return format!("{prefix}{kind}");
            }
        }
    }
    factory.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_written_as_they_are_read() {
        for (text, valid) in [
            ("jpegdec", true),
            (
                "v4l2convert capture-io-mode=dmabuf output-io-mode=dmabuf-import",
                true,
            ),
            ("v4l2convert disable-passthrough==true", true),
            ("", false),
            ("jpegdec !", false),
            ("jpegdec max-errors", false),
            ("jpegdec max-errors=", false),
            ("jpegdec max-errors==", false),
            ("jpegdec a===b", false),
            ("filesink location=\"a\"", false),
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
    fn the_second_node_of_a_kind_has_an_element_of_its_own() {
        for (factory, expected) in [
            ("v4l2convert", "v4l2convert"),
            ("v4l2video5convert", "v4l2convert"),
            ("v4l2slvideo12h264dec", "v4l2slh264dec"),
            ("v4l2video0h264dec", "v4l2h264dec"),
            ("v4l2videodec", "v4l2videodec"),
            ("v4l2video3", "v4l2video3"),
            ("videoconvert", "videoconvert"),
        ] {
            assert_eq!(canonical(factory), expected);
        }
    }
}
