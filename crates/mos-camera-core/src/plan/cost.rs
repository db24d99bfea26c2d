//! What a plan costs, so that plans can be compared.

use std::fmt;

use super::offer::{Handover, is_compressed};
use super::rules::{Copies, RAW};
use crate::budget::FixedPool;

/// The cost of a plan. What stands first decides first; the last three only make the order total.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cost {
    /// The CPU touches pixels.
    pub(super) software: bool,
    /// No rate was asked for, and this one is below what looks like motion.
    pub(super) slow: bool,
    /// The camera's own buffers are too few.
    pub(super) limit: Option<PoolLimit>,
    pub(super) copies: Copies,
    pub(super) loss: Loss,
    /// Frames in no dma-buf.
    pub(super) no_dmabuf: bool,
    /// Place of the raw format among its like.
    pub(super) format: usize,
    /// Place of the rule.
    pub(super) rule: usize,
    pub(super) handover: Handover,
    /// Place of the format in what the source offers.
    pub(super) place: usize,
    /// Place among the elements of the same kind, one for each node.
    pub(super) variant: usize,
}

/// A source whose buffers are too few for the subscribers that are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PoolLimit {
    /// Its buffers.
    pub pool: FixedPool,
    /// The subscribers.
    pub wanted: u32,
}

impl fmt::Display for PoolLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (serves, wanted) = (self.pool.serves(), self.wanted);
        write!(
            f,
            "the camera has {} buffers of its own, which serve {serves} subscriber{} without a copy, and {wanted} {} wanted",
            self.pool.buffers,
            if serves == 1 { "" } else { "s" },
            if wanted == 1 { "is" } else { "are" },
        )
    }
}

/// What a format loses on its way to NV12.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Loss {
    /// Nothing: it is 4:2:0.
    Nothing,
    /// Colour at full width, which NV12 does not have.
    Chroma,
    /// What its compression left out.
    Compression,
    /// All colour.
    Colour,
}

impl Loss {
    pub(super) fn of(format: &str) -> Self {
        match format {
            "NV12" | "NV21" | "I420" | "YV12" => Self::Nothing,
            "GRAY8" => Self::Colour,
            _ if is_compressed(format) => Self::Compression,
            _ => Self::Chroma,
        }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "it loses nothing",
            Self::Chroma => "its colours lose resolution",
            Self::Compression => "the camera compresses it, which loses detail",
            Self::Colour => "it has no colour",
        })
    }
}

/// The place of a format among raw formats that lose the same.
pub(super) fn format_place(format: &str) -> usize {
    RAW.iter().position(|raw| *raw == format).unwrap_or(0)
}

/// What makes a plan cost more than the one that was chosen: the first of these in which they differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Costlier {
    /// The CPU touches pixels.
    Cpu,
    /// Few frames per second, where no rate was asked for.
    Slow,
    /// The camera's own buffers are too few.
    Pool(PoolLimit),
    /// So many more copies by the CPU.
    CpuCopies(u32),
    /// So many more copies by hardware.
    HardwareCopies(u32),
    /// More is lost.
    Loss(Loss),
    /// Its frames are in no dma-buf.
    NoDmaBuf,
    /// Nothing but a later place in the order of preference.
    Preference,
}

impl Cost {
    /// Why this cost is above another.
    pub(super) fn above(&self, other: &Self) -> Costlier {
        let (mine, others) = (self.copies, other.copies);
        if self.software != other.software {
            Costlier::Cpu
        } else if self.slow != other.slow {
            Costlier::Slow
        } else if let (Some(limit), None) = (self.limit, other.limit) {
            Costlier::Pool(limit)
        } else if mine.cpu != others.cpu {
            Costlier::CpuCopies(mine.cpu.saturating_sub(others.cpu))
        } else if mine.hardware != others.hardware {
            Costlier::HardwareCopies(mine.hardware.saturating_sub(others.hardware))
        } else if self.loss != other.loss {
            Costlier::Loss(self.loss)
        } else if self.no_dmabuf != other.no_dmabuf {
            Costlier::NoDmaBuf
        } else {
            Costlier::Preference
        }
    }
}

impl fmt::Display for Costlier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("the CPU would touch pixels, which the chosen plan avoids"),
            Self::Slow => f.write_str("it comes at fewer frames per second than look like motion"),
            Self::Pool(limit) => limit.fmt(f),
            Self::CpuCopies(n) => write!(f, "{} by the CPU", more(*n)),
            Self::HardwareCopies(n) => write!(f, "{} by hardware", more(*n)),
            Self::Loss(loss) => write!(f, "it costs as much as the chosen plan, but {loss}"),
            Self::NoDmaBuf => f.write_str("its frames would be in no dma-buf"),
            Self::Preference => {
                f.write_str("it would do as well, but comes later in the order of preference")
            }
        }
    }
}

fn more(copies: u32) -> String {
    format!(
        "each frame would be written {copies} time{} more",
        if copies == 1 { "" } else { "s" }
    )
}
