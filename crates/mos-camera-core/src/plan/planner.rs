//! Picks the cheapest way from what a source offers to NV12.

use super::cost::{Cost, Loss, format_place};
use super::explanation::{Capture, Explanation, FrameMemory, Plan, Reason, Rejected};
use super::machine::{Build, ElementFacts, Machine};
use super::offer::{Handover, Offer, Offered, Wish, is_compressed};
use super::rules::{Copies, EndsIn, Kind, Rule};
use super::size::{Picked, pick};
use crate::stream::Framerate;

/// Everything that a plan depends on.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// What the source offers.
    pub offer: &'a Offer,
    /// What is asked for.
    pub wish: Wish,
    /// What the machine has.
    pub machine: &'a Machine,
    /// Which build this is.
    pub build: Build,
    /// The ways that are known, by preference among what costs the same.
    pub rules: &'a [Rule],
}

/// Below this a plan counts as slow where no rate was asked for: cameras give their largest raw sizes at 5 or 10 fps.
const SLOW: u32 = 15;

/// Considers every format with every rule that takes it, and chooses what costs least.
///
/// In this order: no pixel touched by the CPU; at least 15 fps, unless a rate is asked for; fewest copies by the CPU, then
/// by hardware; least loss; dma-bufs; the order of [`RAW`](super::RAW) and of the rules.
pub fn explain(request: &Request<'_>) -> Explanation {
    let all: Vec<Considered> = request
        .offer
        .formats
        .iter()
        .enumerate()
        .flat_map(|(place, offered)| consider(request, place, offered))
        .collect();
    let cheapest = all.iter().filter_map(Considered::cost).min();
    let mut explanation = Explanation {
        chosen: None,
        rejected: Vec::new(),
    };
    for considered in all {
        match considered {
            Considered::Rejected(rejected) => explanation.rejected.push(rejected),
            Considered::Possible(plan, cost) => match cheapest.filter(|cheapest| *cheapest != cost)
            {
                Some(cheapest) => explanation.rejected.push(costlier(plan, cost, cheapest)),
                None => explanation.chosen = Some(plan),
            },
        }
    }
    explanation
}

/// What became of an alternative by itself.
enum Considered {
    Possible(Plan, Cost),
    Rejected(Rejected),
}

impl Considered {
    const fn cost(&self) -> Option<Cost> {
        match self {
            Self::Possible(_, cost) => Some(*cost),
            Self::Rejected(_) => None,
        }
    }
}

fn costlier(plan: Plan, cost: Cost, cheapest: Cost) -> Rejected {
    Rejected {
        capture: plan.capture,
        rule: plan.rule,
        steps: plan.steps,
        reason: Reason::Costlier(cost.above(&cheapest)),
    }
}

fn consider(request: &Request<'_>, place: usize, offered: &Offered) -> Vec<Considered> {
    let picked = match pick(offered, request.wish) {
        Ok(picked) => picked,
        Err(reason) => return vec![unusable(request, offered, reason)],
    };
    let rules = request
        .rules
        .iter()
        .enumerate()
        .filter(|(_, rule)| rule.takes(&offered.format));
    let all: Vec<_> = rules
        .map(|(index, rule)| {
            Candidate {
                request,
                place,
                offered,
                picked,
                index,
                rule,
            }
            .judge()
        })
        .collect();
    if all.is_empty() {
        vec![unusable(request, offered, Reason::NoRule)]
    } else {
        all
    }
}

/// A format that is out whatever the rules say.
fn unusable(request: &Request<'_>, offered: &Offered, reason: Reason) -> Considered {
    let capture = Capture {
        format: offered.format.clone(),
        size: request.wish.size,
        rate: request.wish.rate,
        best_rate: None,
        handover: offered.handover,
    };
    Considered::Rejected(Rejected {
        capture,
        rule: String::new(),
        steps: Vec::new(),
        reason,
    })
}

/// A format with a rule that takes it.
struct Candidate<'a> {
    request: &'a Request<'a>,
    place: usize,
    offered: &'a Offered,
    picked: Picked,
    index: usize,
    rule: &'a Rule,
}

impl Candidate<'_> {
    fn judge(self) -> Considered {
        match self.obstacle() {
            Some(reason) => Considered::Rejected(Rejected {
                capture: self.capture(),
                rule: self.rule.name.clone(),
                steps: self.rule.steps.clone(),
                reason,
            }),
            None => match self.memory() {
                Some(memory) => Considered::Possible(self.plan(memory), self.cost(memory)),
                None => Considered::Rejected(Rejected {
                    capture: self.capture(),
                    rule: self.rule.name.clone(),
                    steps: self.rule.steps.clone(),
                    reason: Reason::NotDmaBuf,
                }),
            },
        }
    }

    /// The first thing in the way. What a production build refuses comes before what is missing: nobody shall install it.
    fn obstacle(&self) -> Option<Reason> {
        self.other_machine()
            .or_else(|| self.not_shareable())
            .or_else(|| self.refused())
            .or_else(|| self.element_missing())
            .or_else(|| self.element_unfit())
            .or_else(|| self.device_missing())
    }

    fn other_machine(&self) -> Option<Reason> {
        let there = |element: &&String| self.request.machine.elements.contains_key(*element);
        let element = self.rule.unless.iter().find(there)?.clone();
        Some(Reason::OtherMachine { element })
    }

    /// Frames in process memory are handed to nobody in production; the CPU would have to copy them.
    fn not_shareable(&self) -> Option<Reason> {
        let production = self.request.build == Build::Production;
        (production && self.ends_in_process() && self.rule.kind == Kind::Hardware)
            .then_some(Reason::NotDmaBuf)
    }

    fn refused(&self) -> Option<Reason> {
        let refused = self.request.build == Build::Production && self.software();
        let element = self.rule.worker().unwrap_or_default().to_owned();
        refused.then_some(Reason::SoftwareRefused { element })
    }

    fn element_missing(&self) -> Option<Reason> {
        let factories = self.rule.steps.iter().map(|step| &step.factory);
        let missing = factories.filter(|f| !self.request.machine.elements.contains_key(*f));
        let elements: Vec<_> = missing.cloned().collect();
        let package = self.rule.package.clone();
        (!elements.is_empty()).then_some(Reason::ElementMissing { elements, package })
    }

    fn facts(&self, factory: &str) -> Option<&ElementFacts> {
        self.request.machine.elements.get(factory)
    }

    /// What the first element takes and the last one gives; between them the rule is trusted.
    fn element_unfit(&self) -> Option<Reason> {
        let (first, last) = (self.rule.steps.first()?, self.rule.steps.last()?);
        let unfit = |element: &str, format: &str, takes| Reason::ElementUnfit {
            element: element.to_owned(),
            format: format.to_owned(),
            takes,
        };
        let format = self.offered.format.as_str();
        if !self.facts(&first.factory)?.takes.contains(format) {
            return Some(unfit(&first.factory, format, true));
        }
        (!self.facts(&last.factory)?.gives.contains("NV12"))
            .then(|| unfit(&last.factory, "NV12", false))
    }

    fn device_missing(&self) -> Option<Reason> {
        let there = |device: &String| self.request.machine.devices.contains(device);
        for step in &self.rule.steps {
            let device = self
                .facts(&step.factory)
                .and_then(|facts| facts.device.clone());
            if let Some(device) = device.filter(|device| !there(device)) {
                return Some(Reason::DeviceMissing {
                    element: step.factory.clone(),
                    devices: vec![device],
                });
            }
        }
        let devices = self
            .rule
            .devices
            .iter()
            .find(|any| !any.iter().any(there))?
            .clone();
        let element = self.rule.worker().unwrap_or(&self.rule.name).to_owned();
        Some(Reason::DeviceMissing { element, devices })
    }

    /// Whether the CPU touches pixels.
    fn software(&self) -> bool {
        self.rule.kind == Kind::Software || self.drawn() || self.carried()
    }

    fn raw_from(&self, handover: Handover) -> bool {
        self.offered.handover == handover && !is_compressed(&self.offered.format)
    }

    /// The source's frames are made by the CPU.
    fn drawn(&self) -> bool {
        self.raw_from(Handover::Drawn)
    }

    /// The CPU carries frames from process memory to where hardware or the bus can take them.
    fn carried(&self) -> bool {
        let to_converter = !self.rule.steps.is_empty() && self.rule.kind == Kind::Hardware;
        self.ends_in_process() || (self.raw_from(Handover::Process) && to_converter)
    }

    fn ends_in_process(&self) -> bool {
        match self.rule.ends_in {
            EndsIn::Process => true,
            EndsIn::Source => self.raw_from(Handover::Process),
            EndsIn::Driver | EndsIn::Pool => false,
        }
    }

    /// None if frames end in a pool, and there is no memory for one.
    fn memory(&self) -> Option<FrameMemory> {
        let driver = match self.rule.ends_in {
            EndsIn::Driver => true,
            EndsIn::Source => !matches!(self.offered.handover, Handover::Process | Handover::Drawn),
            EndsIn::Pool | EndsIn::Process => false,
        };
        if driver {
            return Some(FrameMemory::Driver);
        }
        self.request
            .machine
            .pools
            .first()
            .copied()
            .map(FrameMemory::Pool)
    }

    fn copies(&self) -> Copies {
        let Copies { cpu, hardware } = self.rule.copies;
        Copies {
            cpu: cpu + u32::from(self.carried()),
            hardware,
        }
    }

    fn capture(&self) -> Capture {
        Capture {
            format: self.offered.format.clone(),
            size: self.picked.size,
            rate: self.request.wish.rate,
            best_rate: self.picked.best_rate,
            handover: self.offered.handover,
        }
    }

    fn plan(&self, memory: FrameMemory) -> Plan {
        Plan {
            rule: self.rule.name.clone(),
            why: self.rule.why.clone(),
            capture: self.capture(),
            steps: self.rule.steps.clone(),
            memory,
            copies: self.copies(),
            software: self.software(),
        }
    }

    fn cost(&self, memory: FrameMemory) -> Cost {
        let best = self
            .picked
            .best_rate
            .filter(|_| self.request.wish.rate.is_none());
        Cost {
            software: self.software(),
            slow: best.is_some_and(is_slow),
            copies: self.copies(),
            loss: Loss::of(&self.offered.format),
            no_dmabuf: !memory.is_dmabuf(),
            format: format_place(&self.offered.format),
            rule: self.index,
            handover: self.offered.handover,
            place: self.place,
        }
    }
}

fn is_slow(rate: Framerate) -> bool {
    Framerate::new(SLOW, 1).is_some_and(|slow| rate < slow)
}
