//! What a machine can do, as far as plans depend on it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

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
