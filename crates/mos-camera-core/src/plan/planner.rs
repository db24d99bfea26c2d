//! Picks the cheapest way from what a source offers to NV12.

use super::cost::{Cost, Loss, PoolLimit, format_place};
use super::explanation::{Capture, Explanation, FrameMemory, Plan, Reason, Rejected};
use super::machine::{Build, ElementFacts, Machine};
use super::offer::{Handover, Offer, Offered, Wish, is_compressed};
use super::rules::{Copies, EndsIn, Kind, Rule, Rules, Setting, Step, canonical};
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
    pub rules: &'a Rules,
}

/// Below this a plan counts as slow where no rate was asked for: cameras give their largest raw sizes at 5 or 10 fps.
const SLOW: u32 = 15;

/// Considers every format with every rule that takes it, and chooses what costs least.
///
/// In this order: no pixel touched by the CPU; at least 15 fps, unless a rate is asked for; buffers for as many subscribers as
/// are asked for; fewest copies by the CPU, then by hardware; least loss; dma-bufs; the order of [`RAW`](super::RAW) and of the rules.
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
        .ways
        .iter()
        .enumerate()
        .filter(|(_, rule)| rule.takes(&offered.format))
        // A mere copy is no alternative where the camera's own buffers will do.
        .filter(|(_, rule)| !rule.copies_only(&offered.format) || limit(request).is_some());
    let candidates = rules.flat_map(|(index, rule)| {
        let variants = variants(rule, request.machine).into_iter().enumerate();
        variants.map(move |(variant, steps)| Candidate {
            request,
            place,
            offered,
            picked,
            index,
            rule,
            variant,
            steps,
        })
    });
    let all: Vec<_> = candidates.map(Candidate::judge).collect();
    if all.is_empty() {
        vec![unusable(request, offered, Reason::NoRule)]
    } else {
        all
    }
}

/// Whether the source's own buffers are too few.
fn limit(request: &Request<'_>) -> Option<PoolLimit> {
    let (pool, wanted) = (request.offer.pool?, request.wish.subscribers?);
    (pool.serves() < wanted).then_some(PoolLimit { pool, wanted })
}

/// The steps of a rule by every element of their kind: a machine with several nodes of one kind has an element for each, and
/// what one does not take another may.
fn variants(rule: &Rule, machine: &Machine) -> Vec<Vec<Step>> {
    let mut all = vec![Vec::new()];
    for step in &rule.steps {
        let names = machine
            .elements
            .keys()
            .filter(|name| **name != step.factory && canonical(name) == step.factory);
        let mut factories: Vec<&String> = names.collect();
        if factories.is_empty() || machine.elements.contains_key(&step.factory) {
            factories.insert(0, &step.factory);
        }
        let with = |steps: Vec<Step>| {
            factories.iter().map(move |factory| {
                let step = Step {
                    factory: (*factory).clone(),
                    ..step.clone()
                };
                steps.iter().cloned().chain([step]).collect()
            })
        };
        all = all.into_iter().flat_map(with).collect();
    }
    all
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
    variant: usize,
    steps: Vec<Step>,
}

impl Candidate<'_> {
    fn judge(self) -> Considered {
        match self.obstacle() {
            Some(reason) => self.rejected(reason),
            None => match self.memory() {
                Some(memory) => Considered::Possible(self.plan(memory), self.cost(memory)),
                None => self.rejected(Reason::NotDmaBuf),
            },
        }
    }

    fn rejected(self, reason: Reason) -> Considered {
        Considered::Rejected(Rejected {
            capture: self.capture(),
            rule: self.rule.name.clone(),
            steps: self.steps,
            reason,
        })
    }

    /// The first thing in the way. What a production build refuses comes before what is missing: nobody shall install it.
    fn obstacle(&self) -> Option<Reason> {
        self.other_machine()
            .or_else(|| self.not_shareable())
            .or_else(|| self.refused())
            .or_else(|| self.forbidden())
            .or_else(|| self.element_missing())
            .or_else(|| self.element_unfit())
            .or_else(|| self.property_unfit())
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

    fn forbidden(&self) -> Option<Reason> {
        let rules = self.request.rules;
        let forbids = |step: &Step| Some((step.factory.clone(), rules.forbids(&step.factory)?));
        let (element, forbidden) = self.steps.iter().find_map(forbids)?;
        Some(Reason::Forbidden {
            element,
            reason: forbidden.reason.clone(),
            origin: forbidden.origin.clone(),
        })
    }

    fn element_missing(&self) -> Option<Reason> {
        let factories = self.steps.iter().map(|step| &step.factory);
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
        let (first, last) = (self.steps.first()?, self.steps.last()?);
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

    fn property_unfit(&self) -> Option<Reason> {
        self.steps.iter().find_map(|step| {
            let facts = self.facts(&step.factory)?;
            let unfit = |(name, setting): &(&String, &Setting)| !facts.accepts(name, setting);
            let (property, setting) = step.properties.iter().find(unfit)?;
            Some(Reason::PropertyUnfit {
                element: step.factory.clone(),
                property: property.clone(),
                value: setting.value.clone(),
            })
        })
    }

    fn device_missing(&self) -> Option<Reason> {
        let there = |device: &String| self.request.machine.devices.contains(device);
        for step in &self.steps {
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

    /// Whether the source's own buffers, which go to the bus as they are, are too few. A converter or decoder has its own.
    fn limit(&self) -> Option<PoolLimit> {
        limit(self.request).filter(|_| self.rule.ends_in == EndsIn::Source)
    }

    fn plan(&self, memory: FrameMemory) -> Plan {
        Plan {
            rule: self.rule.name.clone(),
            why: self.rule.why.clone(),
            origin: self.rule.origin.clone(),
            traps: self.request.rules.traps(&self.steps),
            capture: self.capture(),
            steps: self.steps.clone(),
            memory,
            copies: self.copies(),
            software: self.software(),
            limit: self.limit(),
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
            limit: self.limit(),
            copies: self.copies(),
            loss: Loss::of(&self.offered.format),
            no_dmabuf: !memory.is_dmabuf(),
            format: format_place(&self.offered.format),
            rule: self.index,
            handover: self.offered.handover,
            place: self.place,
            variant: self.variant,
        }
    }
}

fn is_slow(rate: Framerate) -> bool {
    Framerate::new(SLOW, 1).is_some_and(|slow| rate < slow)
}
