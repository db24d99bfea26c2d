//! The worked example of docs/boards.md is loaded, and does what it says.

#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

use mos_camera_core::plan::{
    Build, ElementFacts, Explanation, Handover, Machine, Offer, Offered, Profiles, Property,
    Request, Rules, Wish, explain,
};
use mos_camera_core::platform::{Evidence, Family, decide_with};

const DOCS: &str = include_str!("../../../docs/boards.md");
const WORD: &str = "acme,imx8mp-next";

fn example() -> Profiles {
    let (_, rest) = DOCS.split_once("```toml\n").expect("an example");
    let (text, _) = rest.split_once("```").expect("its end");
    let mut profiles = Profiles::built_in().unwrap();
    profiles
        .add("50-acme.toml", text)
        .unwrap_or_else(|error| panic!("{error}"));
    profiles
}

fn machine(elements: &[(&str, &[&str])]) -> Machine {
    let element = |(name, engines): &(&str, &[&str])| {
        let engines = engines.iter().map(|&e| e.to_owned()).collect();
        let facts = ElementFacts {
            properties: Some([("engine".to_owned(), Property::OneOf(engines))].into()),
            ..ElementFacts::default()
        };
        ((*name).to_owned(), facts)
    };
    Machine {
        elements: elements.iter().map(element).collect(),
        devices: ["/dev/acme-blit", "/dev/galcore"].map(str::to_owned).into(),
        ..Machine::default()
    }
}

fn explained(rules: &Rules, machine: &Machine) -> Explanation {
    let offer = Offer {
        formats: vec![Offered {
            format: "YUY2".to_owned(),
            handover: Handover::Exported,
            modes: Vec::new(),
        }],
        pool: None,
    };
    explain(&Request {
        offer: &offer,
        wish: Wish::default(),
        machine,
        build: Build::Production,
        rules,
    })
}

#[test]
fn the_board_is_of_the_family_that_the_file_says() {
    let evidence = Evidence {
        compatible: vec!["acme,dome".to_owned(), WORD.to_owned()],
        ..Evidence::default()
    };
    let boards = example().boards();
    let platform = decide_with(&evidence, None, &boards);
    assert_eq!(platform.family, Family::Imx8mp);
    assert!(platform.ground.to_string().contains("50-acme.toml"));
    assert_eq!(decide_with(&evidence, None, &[]).family, Family::Generic);
}

#[test]
fn its_converter_is_used_and_the_gpu_is_not() {
    let profiles = example();
    let rules = profiles.rules(Family::Imx8mp, &[WORD.to_owned()]);
    let both = machine(&[
        ("acmeconvert", &["blitter", "cpu"]),
        ("imxvideoconvert_ocl", &[]),
    ]);
    let explanation = explained(&rules, &both);
    let plan = explanation.chosen.as_ref().unwrap();
    assert_eq!(plan.rule, "convert-acme");
    assert_eq!(plan.origin, "50-acme.toml");
    assert!(plan.traps[0].contains("multiple of 16"), "{:?}", plan.traps);
    let gpu = explanation
        .rejected
        .iter()
        .find(|rejected| rejected.rule == "convert-imx-gpu")
        .unwrap();
    assert_eq!(
        gpu.reason.to_string(),
        "imxvideoconvert_ocl is forbidden by 50-acme.toml: the GPU driver of release 3 hangs after some hours"
    );

    // A release of the converter that has lost its blitter is of no use.
    let without = machine(&[("acmeconvert", &["cpu"])]);
    let told: Vec<_> = explained(&rules, &without)
        .rejected
        .iter()
        .filter(|rejected| rejected.rule == "convert-acme")
        .map(|rejected| rejected.reason.to_string())
        .collect();
    assert_eq!(
        told,
        ["acmeconvert of this machine can't be set to engine=blitter"]
    );

    // On any other machine the file says nothing.
    let rules = profiles.rules(Family::Imx8mp, &["fsl,imx8mp".to_owned()]);
    let plan = explained(&rules, &both).chosen.unwrap();
    assert_eq!(plan.rule, "convert-imx-gpu");
}
