//! A machine's elements as text: recorded on boards, read by tests.
//!
//! ```text
//! # Anything behind a # is for people.
//! gstreamer 1.22.0
//! element v4l2convert
//!   takes NV12 YUY2
//!   gives any
//!   device /dev/video5
//!   property capture-io-mode one of auto dmabuf mmap
//!   property disable-passthrough switch
//! node /dev/galcore
//! pool udmabuf
//! ```
//!
//! `takes` and `gives` without a format mean that the element has no such pad.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use super::machine::{ElementFacts, Formats, Machine, PoolMemory, Property};

/// A machine, as far as plans depend on it, and whose GStreamer it has.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Registry {
    /// GStreamer's version.
    pub gstreamer: String,
    /// What is there.
    pub machine: Machine,
}

/// A line that is none of a registry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: `{text}`: {message}")]
pub struct InvalidRegistry {
    /// From 1.
    pub line: usize,
    /// The line.
    pub text: String,
    /// What is wrong with it.
    pub message: String,
}

impl fmt::Display for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "gstreamer {}", self.gstreamer)?;
        for (name, facts) in &self.machine.elements {
            writeln!(f, "element {name}")?;
            formats(f, "takes", &facts.takes)?;
            formats(f, "gives", &facts.gives)?;
            if let Some(device) = &facts.device {
                writeln!(f, "  device {device}")?;
            }
            for (name, property) in facts.properties.iter().flatten() {
                writeln!(f, "  property {name} {property}")?;
            }
        }
        for node in &self.machine.devices {
            writeln!(f, "node {node}")?;
        }
        for pool in &self.machine.pools {
            writeln!(f, "pool {}", pool_word(*pool))?;
        }
        Ok(())
    }
}

fn formats(f: &mut fmt::Formatter<'_>, what: &str, formats: &Formats) -> fmt::Result {
    write!(f, "  {what}")?;
    match formats {
        Formats::Any => f.write_str(" any")?,
        Formats::Only(all) => all.iter().try_for_each(|format| write!(f, " {format}"))?,
    }
    writeln!(f)
}

const fn pool_word(pool: PoolMemory) -> &'static str {
    match pool {
        PoolMemory::DmaHeap => "dma-heap",
        PoolMemory::Udmabuf => "udmabuf",
        PoolMemory::Memfd => "memfd",
    }
}

impl fmt::Display for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Switch => f.write_str("switch"),
            Self::Number => f.write_str("number"),
            Self::Other => f.write_str("other"),
            Self::OneOf(values) => {
                f.write_str("one of")?;
                values.iter().try_for_each(|value| write!(f, " {value}"))
            }
        }
    }
}

impl FromStr for Registry {
    type Err = InvalidRegistry;

    fn from_str(text: &str) -> Result<Self, InvalidRegistry> {
        let mut registry = Self::default();
        let mut element: Option<String> = None;
        for (at, line) in text.lines().enumerate() {
            let invalid = |message: &str| InvalidRegistry {
                line: at + 1,
                text: line.to_owned(),
                message: message.to_owned(),
            };
            let said = line.split('#').next().unwrap_or_default();
            let words: Vec<&str> = said.split_whitespace().collect();
            let machine = &mut registry.machine;
            match words[..] {
                [] => {}
                ["gstreamer", version] => version.clone_into(&mut registry.gstreamer),
                ["node", node] => {
                    machine.devices.insert(node.to_owned());
                }
                ["pool", word] => {
                    let pool =
                        pool(word).ok_or_else(|| invalid("expected dma-heap, udmabuf or memfd"))?;
                    machine.pools.insert(pool);
                }
                ["element", name] => {
                    // What is not said of it is not there.
                    let facts = ElementFacts {
                        takes: Formats::Only(BTreeSet::new()),
                        gives: Formats::Only(BTreeSet::new()),
                        device: None,
                        properties: Some([].into()),
                    };
                    if machine.elements.insert(name.to_owned(), facts).is_some() {
                        return Err(invalid("the element is there twice"));
                    }
                    element = Some(name.to_owned());
                }
                [key, ref rest @ ..] => {
                    let facts = element
                        .as_ref()
                        .and_then(|name| machine.elements.get_mut(name))
                        .ok_or_else(|| invalid("expected a line `element NAME` before it"))?;
                    fact(facts, key, rest).map_err(invalid)?;
                }
            }
        }
        Ok(registry)
    }
}

fn fact(facts: &mut ElementFacts, key: &str, words: &[&str]) -> Result<(), &'static str> {
    match (key, words) {
        ("takes", words) => facts.takes = formats_of(words),
        ("gives", words) => facts.gives = formats_of(words),
        ("device", [node]) => facts.device = Some((*node).to_owned()),
        ("property", [name, kind @ ..]) => {
            let property = match kind {
                ["switch"] => Property::Switch,
                ["number"] => Property::Number,
                ["other"] => Property::Other,
                ["one", "of", values @ ..] => {
                    Property::OneOf(values.iter().map(|&value| value.to_owned()).collect())
                }
                _ => return Err("expected `switch`, `number`, `other` or `one of VALUE ...`"),
            };
            facts
                .properties
                .get_or_insert_default()
                .insert((*name).to_owned(), property);
        }
        _ => {
            return Err(
                "expected gstreamer, element, takes, gives, device, property, node or pool",
            );
        }
    }
    Ok(())
}

fn formats_of(words: &[&str]) -> Formats {
    match words {
        ["any"] => Formats::Any,
        words => Formats::Only(words.iter().map(|&word| word.to_owned()).collect()),
    }
}

fn pool(word: &str) -> Option<PoolMemory> {
    [PoolMemory::DmaHeap, PoolMemory::Udmabuf, PoolMemory::Memfd]
        .into_iter()
        .find(|pool| pool_word(*pool) == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
gstreamer 1.22.0
element v4l2convert
  takes NV12 YUY2
  gives any
  device /dev/video5
  property capture-io-mode one of auto dmabuf mmap
  property disable-passthrough switch
element videotestsrc
  takes
  gives NV12
  property location other
  property num-buffers number
node /dev/galcore
pool udmabuf
";

    #[test]
    fn what_is_written_is_what_is_read() {
        let registry: Registry = TEXT.parse().unwrap();
        assert_eq!(registry.to_string(), TEXT);
        let facts = &registry.machine.elements["v4l2convert"];
        assert!(facts.takes.contains("NV12") && !facts.takes.contains("RGB"));
        assert!(facts.gives.contains("anything"));
        let commented = format!(
            "# Said by: nobody\n\n{}",
            TEXT.replace("YUY2", "YUY2 # twice")
        );
        assert_eq!(commented.parse(), Ok(registry));
    }

    #[test]
    fn a_line_that_says_nothing_is_told() {
        for (text, line, says) in [
            ("takes NV12", 1, "element NAME"),
            ("element a\n  likes NV12", 2, "expected gstreamer"),
            ("element a\n  property b", 2, "one of VALUE"),
            ("element a\nelement a", 2, "twice"),
            ("pool malloc", 1, "memfd"),
        ] {
            let error = text.parse::<Registry>().unwrap_err();
            assert_eq!(error.line, line, "{error}");
            assert!(error.to_string().contains(says), "{error}");
        }
    }
}
