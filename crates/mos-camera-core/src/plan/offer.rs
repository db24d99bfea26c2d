//! What a source offers, and what is wanted of it.

use std::fmt;

use crate::budget::FixedPool;
use crate::device::{Capability, Rates, Sizes};
use crate::stream::{Framerate, StreamConfig};

/// How a source hands its raw frames over. What caps say comes before what they leave open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Handover {
    /// dma-bufs under caps that say so: `video/x-raw(memory:DMABuf), format=DMA_DRM` (GStreamer 1.24 and later).
    Labelled,
    /// dma-bufs under `memory:GBM` caps (Qualcomm's camera service).
    Gbm,
    /// dma-bufs that the driver exports, under plain caps.
    Exported,
    /// The CPU draws them into whatever pool it is offered (generated cameras).
    Drawn,
    /// Process memory of its own.
    Process,
}

impl fmt::Display for Handover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Labelled => "dma-bufs, labelled",
            Self::Exported => "dma-bufs behind plain caps",
            Self::Gbm => "dma-bufs as GBM memory",
            Self::Drawn => "drawn by the CPU",
            Self::Process => "process memory",
        })
    }
}

/// Everything that a source offers.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Offer {
    /// Formats; one that can be handed over in several ways is there once for each.
    pub formats: Vec<Offered>,
    /// The buffers of the source, where it has a number of its own, whatever it is asked for.
    pub pool: Option<FixedPool>,
}

/// A format that a source offers.
#[derive(Debug, Clone, PartialEq)]
pub struct Offered {
    /// In the terms of [`Capability::format`].
    pub format: String,
    /// How its frames are handed over; of no meaning for compressed formats.
    pub handover: Handover,
    /// Sizes and rates; empty if only an open session tells, and then any wish may fit.
    pub modes: Vec<Mode>,
}

/// Sizes, and the rates that all of them come in.
#[derive(Debug, Clone, PartialEq)]
pub struct Mode {
    /// Frame sizes.
    pub sizes: Sizes,
    /// Frame rates.
    pub rates: Rates,
}

impl Offer {
    /// What a device offers, in the order of its capabilities; `handovers` names every way for a format.
    pub fn new(capabilities: &[Capability], handovers: impl Fn(&str) -> Vec<Handover>) -> Self {
        let mut offer = Self::default();
        for capability in capabilities {
            for handover in handovers(&capability.format) {
                offer.add(capability, handover);
            }
        }
        offer
    }

    /// A format of which only an open session tells sizes and rates.
    pub fn unknown(format: &str) -> Self {
        let offered = Offered {
            format: format.to_owned(),
            handover: Handover::Process,
            modes: Vec::new(),
        };
        Self {
            formats: vec![offered],
            pool: None,
        }
    }

    fn add(&mut self, capability: &Capability, handover: Handover) {
        let mode = Mode {
            sizes: capability.sizes.clone(),
            rates: capability.rates.clone(),
        };
        let same =
            |known: &&mut Offered| known.format == capability.format && known.handover == handover;
        match self.formats.iter_mut().find(same) {
            Some(known) => known.modes.push(mode),
            None => self.formats.push(Offered {
                format: capability.format.clone(),
                handover,
                modes: vec![mode],
            }),
        }
    }
}

/// Whether a format, in the terms of [`Capability::format`], is a bitstream rather than pixels.
pub fn is_compressed(format: &str) -> bool {
    format.contains('/')
}

/// What is asked for; `None` leaves the choice to the planner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wish {
    /// Width and height in pixels.
    pub size: Option<(u32, u32)>,
    /// Frames per second.
    pub rate: Option<Framerate>,
    /// So many that hold a frame each have to be served. None: as many as the source can serve without a copy.
    pub subscribers: Option<u32>,
}

impl From<&StreamConfig> for Wish {
    fn from(config: &StreamConfig) -> Self {
        Self {
            size: config.size,
            rate: config.framerate,
            subscribers: config.max_subscribers,
        }
    }
}
