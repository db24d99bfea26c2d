//! What the planner decided, and why not otherwise.

use std::fmt;

use super::cost::{Costlier, PoolLimit};
use super::machine::PoolMemory;
use super::offer::Handover;
use super::rules::{Copies, Step};
use crate::device::{DeviceId, Rates, Sizes};
use crate::fault::{Fault, FaultKind};
use crate::stream::Framerate;

/// The plan for a stream, and what was not chosen.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// The cheapest plan; none if nothing will do.
    pub chosen: Option<Plan>,
    /// Everything else that was considered, in the order of the source's formats and of the rules.
    pub rejected: Vec<Rejected>,
}

/// What to capture, and how it becomes NV12 on the bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Name of its rule.
    pub rule: String,
    /// Why there is such a rule.
    pub why: String,
    /// The profile that the rule comes from.
    pub origin: String,
    /// What is known to go wrong with its elements.
    pub traps: Vec<String>,
    /// What the source is asked for.
    pub capture: Capture,
    /// Elements behind the source, in order.
    pub steps: Vec<Step>,
    /// What the frames live in.
    pub memory: FrameMemory,
    /// What each frame costs; [`Copies`] says what counts.
    pub copies: Copies,
    /// Whether the CPU touches pixels (development builds only).
    pub software: bool,
    /// The source's own buffers are fewer than the subscribers that are wanted need, and nothing here copies them.
    pub limit: Option<PoolLimit>,
}

/// What a source is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Capture {
    /// In the terms of [`Capability::format`](crate::Capability::format).
    pub format: String,
    /// Width and height in pixels; none if only an open session tells and none was asked for.
    pub size: Option<(u32, u32)>,
    /// The rate that was asked for.
    pub rate: Option<Framerate>,
    /// The highest rate on offer in this size, where that is known.
    pub best_rate: Option<Framerate>,
    /// How frames are handed over, which decides the caps to ask with.
    pub handover: Handover,
}

/// What frames live in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FrameMemory {
    /// dma-bufs that a camera's or decoder's driver exports.
    Driver,
    /// The pool that the gate offers, which the CPU writes.
    Pool(PoolMemory),
}

impl FrameMemory {
    /// Whether it is a dma-buf.
    pub const fn is_dmabuf(self) -> bool {
        match self {
            Self::Driver => true,
            Self::Pool(pool) => pool.is_dmabuf(),
        }
    }
}

/// Something that was considered and not chosen.
#[derive(Debug, Clone, PartialEq)]
pub struct Rejected {
    /// What would have been captured; in the size asked for, also if the format does not come in it.
    pub capture: Capture,
    /// Name of the rule; empty if the format itself is out.
    pub rule: String,
    /// Its elements.
    pub steps: Vec<Step>,
    /// Why not.
    pub reason: Reason,
}

/// Why something was not chosen.
#[derive(Debug, Clone, PartialEq)]
pub enum Reason {
    /// The format does not come in the size asked for.
    NotInSize {
        /// The size asked for.
        size: (u32, u32),
        /// Those that it comes in.
        offered: Vec<Sizes>,
    },
    /// The format does not come at the rate asked for.
    NotAtRate {
        /// The rate asked for.
        rate: Framerate,
        /// The size asked for with it.
        size: Option<(u32, u32)>,
        /// The rates that it comes at, in that size.
        offered: Vec<Rates>,
    },
    /// All of the format's sizes are odd, and NV12 needs even ones.
    OddSizes,
    /// No rule takes the format.
    NoRule,
    /// Elements are not on this machine.
    ElementMissing {
        /// Those elements.
        elements: Vec<String>,
        /// The Debian package that brings them; empty for what comes with a board's own system.
        package: String,
    },
    /// An element is here, but its driver does not take or give a format.
    ElementUnfit {
        /// The element.
        element: String,
        /// What it does not take or give.
        format: String,
        /// Whether it is what it would have to take.
        takes: bool,
    },
    /// An element is here, but can't be set as the rule wants it.
    PropertyUnfit {
        /// The element.
        element: String,
        /// The property that it lacks, or that does not take the value.
        property: String,
        /// The value.
        value: String,
    },
    /// A profile says that an element is not to be used.
    Forbidden {
        /// The element.
        element: String,
        /// Why, in the profile's words.
        reason: String,
        /// The profile.
        origin: String,
    },
    /// A device node is not there.
    DeviceMissing {
        /// The element or rule that needs it.
        element: String,
        /// Nodes, one of which it needs.
        devices: Vec<String>,
    },
    /// The rule is not for machines that have an element.
    OtherMachine {
        /// The element.
        element: String,
    },
    /// The CPU would touch pixels, which a production build refuses.
    SoftwareRefused {
        /// The element that would do it; empty if it is the source or the sink.
        element: String,
    },
    /// The frames would be in memory that the bus can't take in this build, or there is none.
    NotDmaBuf,
    /// It would work, and costs more than what was chosen.
    Costlier(Costlier),
}

impl Explanation {
    /// The plan, or why there is none.
    pub fn into_plan(self, device: &DeviceId) -> Result<Plan, NoPlan> {
        match self.chosen {
            Some(plan) => Ok(plan),
            None => Err(NoPlan {
                device: device.clone(),
                rejected: self.rejected,
            }),
        }
    }
}

/// Nothing turns what the source offers into NV12 here.
#[derive(Debug, Clone, PartialEq)]
pub struct NoPlan {
    /// The device.
    pub device: DeviceId,
    /// What was considered.
    pub rejected: Vec<Rejected>,
}

/// What stands between a device and a plan, the nearest obstacle first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    /// Only the CPU could do it here, and this is a production build.
    NeedsCpu,
    /// An element, a device node or usable memory is missing.
    Missing,
    /// Nothing knows the formats that fit the wish.
    NoRule,
    /// No format fits the wish.
    NotOffered,
}

impl NoPlan {
    /// What stands in the way.
    pub fn obstacle(&self) -> Obstacle {
        let any = |wanted: fn(&Reason) -> bool| self.rejected.iter().any(|r| wanted(&r.reason));
        if any(|r| matches!(r, Reason::SoftwareRefused { .. })) {
            Obstacle::NeedsCpu
        } else if any(Reason::is_about_machine) {
            Obstacle::Missing
        } else if any(|r| matches!(r, Reason::NoRule)) {
            Obstacle::NoRule
        } else {
            Obstacle::NotOffered
        }
    }

    /// A stable word for programs.
    pub fn reason(&self) -> &'static str {
        match self.obstacle() {
            Obstacle::NeedsCpu => "NEEDS_CPU",
            _ => "NO_PLAN",
        }
    }

    /// Whether the device gives NV12, only not in the size or at the rate asked for.
    fn gives_nv12_otherwise(&self) -> bool {
        let not_as_asked =
            |r: &Reason| matches!(r, Reason::NotInSize { .. } | Reason::NotAtRate { .. });
        self.rejected
            .iter()
            .any(|r| r.capture.format == "NV12" && not_as_asked(&r.reason))
    }

    /// What to do.
    pub fn hint(&self) -> &'static str {
        match self.obstacle() {
            Obstacle::NeedsCpu | Obstacle::Missing if self.gives_nv12_otherwise() => {
                "ask for a size and a rate in which the device gives NV12; listing it shows them"
            }
            Obstacle::NeedsCpu => {
                "use hardware that decodes or converts, with its GStreamer element, a camera that gives NV12, or a development build"
            }
            Obstacle::Missing => "install one of the chains named, with its driver",
            Obstacle::NoRule => {
                "use a camera that gives NV12, a raw format such as YUY2, Motion JPEG, H.264 or H.265"
            }
            Obstacle::NotOffered => "ask for a size and a rate that the camera offers",
        }
    }

    /// For messages: what the device gives otherwise does not help.
    fn as_asked(&self) -> &'static str {
        if self.gives_nv12_otherwise() {
            " in that size and at that rate"
        } else {
            ""
        }
    }

    /// The alternatives that fail only for what this machine has, each once.
    fn wanted(&self) -> Vec<String> {
        let mut texts: Vec<String> = Vec::new();
        for rejected in self.rejected.iter().filter(|r| r.reason.is_about_machine()) {
            let text = match &rejected.reason {
                reason @ Reason::NotDmaBuf => format!("{} ({reason})", rejected.capture.format),
                reason => format!("{} ({reason})", chain(&rejected.steps)),
            };
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
        texts
    }

    /// Formats that were rejected for a reason, each once.
    fn formats(&self, wanted: impl Fn(&Reason) -> bool) -> String {
        let mut formats: Vec<&str> = Vec::new();
        for rejected in self.rejected.iter().filter(|r| wanted(&r.reason)) {
            if !formats.contains(&rejected.capture.format.as_str()) {
                formats.push(&rejected.capture.format);
            }
        }
        formats.join(", ")
    }

    /// Elements that would work on the CPU, each once.
    fn workers(&self) -> String {
        let mut workers: Vec<&str> = Vec::new();
        for rejected in &self.rejected {
            if let Reason::SoftwareRefused { element } = &rejected.reason
                && !workers.contains(&element.as_str())
            {
                workers.push(element);
            }
        }
        workers.join(", ")
    }
}

impl std::error::Error for NoPlan {}

impl fmt::Display for NoPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let device = &self.device;
        let wanted = self.wanted().join(", ");
        match self.obstacle() {
            Obstacle::NeedsCpu => {
                write!(
                    f,
                    "{device}: only the CPU could make NV12 of what it gives{}",
                    self.as_asked()
                )?;
                match self.workers() {
                    none if none.is_empty() => {}
                    workers => write!(f, " ({workers})")?,
                }
                f.write_str(", which a production build refuses")?;
                if wanted.is_empty() {
                    Ok(())
                } else {
                    write!(f, "; one of these is needed: {wanted}")
                }
            }
            Obstacle::Missing => {
                write!(
                    f,
                    "{device}: nothing on this machine makes NV12 of what it gives{}; one of these is needed: {wanted}",
                    self.as_asked()
                )
            }
            Obstacle::NoRule => {
                let formats = self.formats(|reason| matches!(reason, Reason::NoRule));
                write!(
                    f,
                    "{device} gives no format that can be turned into NV12; it offers {formats}"
                )
            }
            Obstacle::NotOffered => {
                let reasons: Vec<_> = self
                    .rejected
                    .iter()
                    .map(|r| format!("{}: {}", r.capture.format, r.reason))
                    .collect();
                if reasons.is_empty() {
                    write!(f, "{device} offers no format")
                } else {
                    write!(
                        f,
                        "{device} does not offer what is asked for: {}",
                        reasons.join("; ")
                    )
                }
            }
        }
    }
}

impl From<NoPlan> for Fault {
    fn from(error: NoPlan) -> Self {
        let kind = match error.obstacle() {
            Obstacle::NeedsCpu | Obstacle::Missing => FaultKind::Missing,
            Obstacle::NoRule | Obstacle::NotOffered => FaultKind::Unsupported,
        };
        Self::new(kind, error.to_string(), error.hint())
    }
}

impl Reason {
    /// A stable word for programs.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::NotInSize { .. } => "NOT_IN_SIZE",
            Self::NotAtRate { .. } => "NOT_AT_RATE",
            Self::OddSizes => "ODD_SIZES",
            Self::NoRule => "NO_RULE",
            Self::ElementMissing { .. } => "ELEMENT_MISSING",
            Self::ElementUnfit { .. } => "ELEMENT_UNFIT",
            Self::PropertyUnfit { .. } => "PROPERTY_UNFIT",
            Self::Forbidden { .. } => "FORBIDDEN",
            Self::DeviceMissing { .. } => "DEVICE_MISSING",
            Self::OtherMachine { .. } => "OTHER_MACHINE",
            Self::SoftwareRefused { .. } => "SOFTWARE_REFUSED",
            Self::NotDmaBuf => "NOT_DMABUF",
            Self::Costlier(_) => "COSTLIER",
        }
    }

    /// Whether another machine, or this one with more installed, would do.
    const fn is_about_machine(&self) -> bool {
        matches!(
            self,
            Self::ElementMissing { .. }
                | Self::ElementUnfit { .. }
                | Self::PropertyUnfit { .. }
                | Self::Forbidden { .. }
                | Self::DeviceMissing { .. }
                | Self::NotDmaBuf
        )
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotInSize { size: (width, height), offered } => {
                write!(f, "the camera does not give it in {width}x{height}, only in {}", list(offered))
            }
            Self::NotAtRate { rate, size, offered } => {
                write!(f, "the camera does not give it at {rate} fps")?;
                if let Some((width, height)) = size {
                    write!(f, " in {width}x{height}")?;
                }
                write!(f, ", only at {} fps", list(offered))
            }
            Self::OddSizes => f.write_str("all of its sizes are odd, and NV12 needs an even width and height"),
            Self::NoRule => f.write_str("nothing is known that turns it into NV12"),
            Self::ElementMissing { elements, package } => {
                let (are, names) = (if elements.len() == 1 { "is" } else { "are" }, elements.join(", "));
                write!(f, "{names} {are} not on this machine")?;
                if package.is_empty() { Ok(()) } else { write!(f, "; apt install {package}") }
            }
            Self::ElementUnfit { element, format, takes } => {
                let verb = if *takes { "take" } else { "give" };
                write!(f, "{element} of this machine does not {verb} {format}")
            }
            Self::PropertyUnfit { element, property, value } => {
                write!(f, "{element} of this machine can't be set to {property}={value}")
            }
            Self::Forbidden { element, reason, origin } => {
                write!(f, "{element} is forbidden by {origin}: {reason}")
            }
            Self::DeviceMissing { element, devices } => {
                write!(f, "{element} needs {}, which is not there", devices.join(" or "))
            }
            Self::OtherMachine { element } => write!(f, "not on a machine that has {element}"),
            Self::SoftwareRefused { element } if element.is_empty() => {
                f.write_str("the CPU would touch pixels, which a production build refuses")
            }
            Self::SoftwareRefused { element } => {
                write!(f, "{element} works on the CPU, which a production build refuses")
            }
            Self::NotDmaBuf => f.write_str("its frames would be in memory that can't be handed to other processes in this build"),
            Self::Costlier(by) => by.fmt(f),
        }
    }
}

fn list<T: fmt::Display>(items: &[T]) -> String {
    items
        .iter()
        .map(T::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

/// Elements as a pipeline description shows them, without their properties.
pub(super) fn chain(steps: &[Step]) -> String {
    steps
        .iter()
        .map(|step| step.factory.as_str())
        .collect::<Vec<_>>()
        .join(" ! ")
}

impl fmt::Display for FrameMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Driver => f.write_str("the driver's dma-bufs"),
            Self::Pool(pool) => pool.fmt(f),
        }
    }
}

impl fmt::Display for Capture {
    /// As `image/jpeg 1280x720 at 30 fps`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.format)?;
        if let Some((width, height)) = self.size {
            write!(f, " {width}x{height}")?;
        }
        match (self.rate, self.best_rate) {
            (Some(rate), _) => write!(f, " at {rate} fps"),
            (None, Some(best)) => write!(f, " at up to {best} fps"),
            (None, None) => Ok(()),
        }
    }
}

impl fmt::Display for Plan {
    /// As `image/jpeg 1280x720 at 30 fps -> jpegdec ! videoconvert -> NV12 in memfds`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> ", self.capture)?;
        if !self.steps.is_empty() {
            write!(f, "{} -> ", chain(&self.steps))?;
        }
        write!(f, "NV12 in {}", self.memory)
    }
}
