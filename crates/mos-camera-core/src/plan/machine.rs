//! What a machine can do, as far as plans depend on it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::rules::Setting;

/// What is there. The backends look; the planner only reads.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Machine {
    /// Elements that can be made, by factory name.
    pub elements: BTreeMap<String, ElementFacts>,
    /// Device nodes that exist, of those that rules and elements name.
    pub devices: BTreeSet<String>,
    /// What frames that the CPU writes can live in.
    pub pools: BTreeSet<PoolMemory>,
}

/// What an element is like on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ElementFacts {
    /// Formats that it takes, in the terms of [`Capability::format`](crate::Capability::format).
    pub takes: Formats,
    /// Formats that it gives.
    pub gives: Formats,
    /// The device node that it works with, if it names one.
    pub device: Option<String>,
    /// Its properties, of those that rules name; none if nobody looked, and then any may be there.
    pub properties: Option<BTreeMap<String, Property>>,
}

impl ElementFacts {
    /// Whether the element can be given a property, or can do without it.
    pub fn accepts(&self, name: &str, setting: &Setting) -> bool {
        match &self.properties {
            None => true,
            Some(properties) => match properties.get(name) {
                None => !setting.required,
                Some(property) => property.accepts(&setting.value),
            },
        }
    }
}

/// What a property can be set to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Property {
    /// `true` or `false`.
    Switch,
    /// A number.
    Number,
    /// One of these words.
    OneOf(BTreeSet<String>),
    /// Anything else.
    Other,
}

impl Property {
    fn accepts(&self, value: &str) -> bool {
        match self {
            Self::Switch => matches!(value, "true" | "false"),
            Self::Number => value.parse::<f64>().is_ok(),
            Self::OneOf(values) => values.contains(value),
            Self::Other => true,
        }
    }
}

/// Formats of a pad.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Formats {
    /// Not said: any may do.
    #[default]
    Any,
    /// These.
    Only(BTreeSet<String>),
}

impl Formats {
    /// Whether a format may be among them.
    pub fn contains(&self, format: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Only(formats) => formats.contains(format),
        }
    }
}

/// What frames that the CPU writes can live in, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PoolMemory {
    /// dma-bufs of a kernel's heap (`/dev/dma_heap`).
    DmaHeap,
    /// dma-bufs made of a memfd (`/dev/udmabuf`).
    Udmabuf,
    /// A memfd: no dma-buf, development builds only.
    Memfd,
}

impl PoolMemory {
    /// Whether it is a dma-buf.
    pub const fn is_dmabuf(self) -> bool {
        !matches!(self, Self::Memfd)
    }
}

impl fmt::Display for PoolMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DmaHeap => "dma-heap dma-bufs",
            Self::Udmabuf => "udmabuf dma-bufs",
            Self::Memfd => "memfds",
        })
    }
}

/// Which build plans are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Build {
    /// The CPU may touch pixels, and memfds will do.
    Development,
    /// Neither.
    Production,
}
