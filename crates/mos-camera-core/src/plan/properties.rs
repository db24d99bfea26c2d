//! What holds for every source and every machine.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use proptest::prelude::*;

use super::cost::{Cost, Loss, format_place};
use super::*;
use crate::device::{Rates, Sizes};
use crate::platform::Family;
use crate::stream::Framerate;

const FORMATS: [&str; 9] = [
    "NV12",
    "NV21",
    "YUY2",
    "RGB",
    "GRAY8",
    "image/jpeg",
    "video/x-h264",
    "video/x-h265",
    "video/x-vp8",
];
const HANDOVERS: [Handover; 5] = [
    Handover::Labelled,
    Handover::Exported,
    Handover::Gbm,
    Handover::Drawn,
    Handover::Process,
];

/// The rules of this build on a machine of no known family.
fn built_in() -> Rules {
    static RULES: LazyLock<Rules> =
        LazyLock::new(|| Profiles::built_in().unwrap().rules(Family::Generic, &[]));
    RULES.clone()
}

fn offered() -> impl Strategy<Value = Offered> {
    let mode = (
        prop::sample::select(vec![(640, 480), (1280, 720), (1920, 1080), (641, 480)]),
        1..60u32,
    );
    let modes = prop::collection::vec(mode, 0..3);
    let (format, handover) = (
        prop::sample::select(&FORMATS[..]),
        prop::sample::select(&HANDOVERS[..]),
    );
    (format, handover, modes).prop_map(|(format, handover, modes)| {
        let mode = |(size, rate)| Mode {
            sizes: Sizes::Discrete(vec![size]),
            rates: Rates::Discrete(Framerate::new(rate, 1).into_iter().collect()),
        };
        let modes = modes.into_iter().map(mode).collect();
        Offered {
            format: format.to_owned(),
            handover,
            modes,
        }
    })
}

fn offer() -> impl Strategy<Value = Offer> {
    prop::collection::vec(offered(), 0..5).prop_map(|formats| Offer {
        formats,
        pool: None,
    })
}

fn factories() -> Vec<String> {
    let all: BTreeSet<String> = built_in()
        .ways
        .into_iter()
        .flat_map(|rule| rule.steps)
        .map(|step| step.factory)
        .collect();
    all.into_iter().collect()
}

fn devices() -> Vec<String> {
    let all: BTreeSet<String> = built_in()
        .ways
        .into_iter()
        .flat_map(|rule| rule.devices)
        .flatten()
        .collect();
    all.into_iter().collect()
}

fn machine() -> impl Strategy<Value = Machine> {
    let (factories, devices) = (factories(), devices());
    let pools = vec![PoolMemory::DmaHeap, PoolMemory::Udmabuf, PoolMemory::Memfd];
    let (f, d, p) = (factories.len(), devices.len(), pools.len());
    let parts = (
        prop::sample::subsequence(factories, 0..=f),
        prop::sample::subsequence(devices, 0..=d),
        prop::sample::subsequence(pools, 0..=p),
    );
    parts.prop_map(|(elements, devices, pools)| Machine {
        elements: elements
            .into_iter()
            .map(|e| (e, ElementFacts::default()))
            .collect(),
        devices: devices.into_iter().collect(),
        pools: pools.into_iter().collect(),
    })
}

fn wish() -> impl Strategy<Value = Wish> {
    let size = prop::option::of(prop::sample::select(vec![
        (640, 480),
        (1280, 720),
        (800, 600),
    ]));
    let rate =
        prop::option::of((1..60u32).prop_filter_map("a rate", |rate| Framerate::new(rate, 1)));
    (size, rate).prop_map(|(size, rate)| Wish {
        size,
        rate,
        ..Wish::default()
    })
}

fn plan(offer: &Offer, wish: Wish, machine: &Machine, build: Build) -> Explanation {
    explain(&Request {
        offer,
        wish,
        machine,
        build,
        rules: &built_in(),
    })
}

/// The cost anew, from the plan alone.
fn cost(plan: &Plan, offer: &Offer, wish: Wish) -> Cost {
    let fifteen = Framerate::new(15, 1).unwrap();
    Cost {
        software: plan.software,
        limit: None,
        slow: wish.rate.is_none() && plan.capture.best_rate.is_some_and(|rate| rate < fifteen),
        copies: plan.copies,
        loss: Loss::of(&plan.capture.format),
        no_dmabuf: !plan.memory.is_dmabuf(),
        format: format_place(&plan.capture.format),
        variant: 0,
        rule: built_in()
            .ways
            .iter()
            .position(|rule| rule.name == plan.rule)
            .unwrap(),
        handover: plan.capture.handover,
        place: offer
            .formats
            .iter()
            .position(|f| f.format == plan.capture.format)
            .unwrap(),
    }
}

fn with(machine: &Machine, element: &str) -> Machine {
    let mut machine = machine.clone();
    machine
        .elements
        .insert(element.to_owned(), ElementFacts::default());
    machine
}

proptest! {
    #[test]
    fn production_never_touches_pixels(offer in offer(), wish in wish(), machine in machine()) {
        if let Some(plan) = plan(&offer, wish, &machine, Build::Production).chosen {
            prop_assert!(!plan.software && plan.copies.cpu == 0 && plan.memory.is_dmabuf(), "{plan:?}");
        }
    }

    /// What works in production is the plan in development, too.
    #[test]
    fn a_development_build_prefers_what_production_takes(offer in offer(), wish in wish(), machine in machine()) {
        if let Some(strict) = plan(&offer, wish, &machine, Build::Production).chosen {
            prop_assert_eq!(plan(&offer, wish, &machine, Build::Development).chosen, Some(strict));
        }
    }

    #[test]
    fn another_element_never_makes_it_dearer(
        offer in offer(), wish in wish(), machine in machine(), element in prop::sample::select(factories()),
    ) {
        // Such an element says which machine it is, not only what it can do.
        prop_assume!(built_in().ways.iter().all(|rule| !rule.unless.contains(&element)));
        let before = plan(&offer, wish, &machine, Build::Development).chosen;
        let after = plan(&offer, wish, &with(&machine, &element), Build::Development).chosen;
        if let Some(before) = before {
            let after = after.expect("what worked still works");
            prop_assert!(cost(&after, &offer, wish) <= cost(&before, &offer, wish), "{before:?} {after:?}");
        }
    }

    /// Without an element of the chosen plan the next best is chosen: one that was turned down for its cost alone, or none.
    #[test]
    fn without_its_element_the_next_best_is_chosen(offer in offer(), wish in wish(), machine in machine()) {
        let first = plan(&offer, wish, &machine, Build::Development);
        let Some(gone) = first.chosen.as_ref().and_then(|plan| plan.steps.last()).cloned() else { return Ok(()); };
        prop_assume!(built_in().ways.iter().all(|rule| !rule.unless.contains(&gone.factory)));
        let mut poorer = machine.clone();
        poorer.elements.remove(&gone.factory);
        let left = first.rejected.iter().filter(|r| matches!(r.reason, Reason::Costlier(_)));
        let left: Vec<_> = left.filter(|r| r.steps.iter().all(|step| step.factory != gone.factory)).collect();
        match plan(&offer, wish, &poorer, Build::Development).chosen {
            None => prop_assert!(left.is_empty(), "{left:?}"),
            Some(next) => prop_assert!(left.iter().any(|r| r.rule == next.rule && r.capture == next.capture)),
        }
    }

    #[test]
    fn everything_is_chosen_or_rejected_once(offer in offer(), wish in wish(), machine in machine()) {
        let explanation = plan(&offer, wish, &machine, Build::Development);
        let taking = |format: &Offered| built_in().ways.iter().filter(|rule| rule.takes(&format.format)).count().max(1);
        let most: usize = offer.formats.iter().map(taking).sum();
        let told = explanation.rejected.len() + usize::from(explanation.chosen.is_some());
        prop_assert!(told <= most && told >= offer.formats.len(), "{told} of {most}");
        for rejected in &explanation.rejected {
            prop_assert!(!rejected.reason.to_string().is_empty());
        }
    }

    /// The same format may be offered twice: then the second is rejected, but what was chosen never is.
    #[test]
    fn what_was_chosen_is_not_rejected(offer in offer(), wish in wish(), machine in machine()) {
        let mut offer = offer;
        let mut seen = BTreeSet::new();
        offer.formats.retain(|format| seen.insert((format.format.clone(), format.handover)));
        let explanation = plan(&offer, wish, &machine, Build::Development);
        if let Some(plan) = &explanation.chosen {
            let same = |r: &&Rejected| r.rule == plan.rule && r.capture == plan.capture;
            prop_assert_eq!(explanation.rejected.iter().find(same), None);
        } else {
            let costlier = |r: &Rejected| matches!(r.reason, Reason::Costlier(_));
            prop_assert!(!explanation.rejected.iter().any(costlier), "the cheapest of those is chosen");
        }
    }
}
