//! What profiles may say, where they put it, and how they are refused.

use proptest::prelude::*;

use super::*;
use crate::budget::FixedPool;
use crate::device::{Rates, Sizes};
use crate::platform::{CsiBackend, Family};
use crate::stream::Framerate;

fn with(files: &[(&str, &str)]) -> Profiles {
    let mut profiles = Profiles::built_in().unwrap();
    for (file, text) in files {
        profiles
            .add(file, text)
            .unwrap_or_else(|error| panic!("{error}"));
    }
    profiles
}

/// A hardware rule for Motion JPEG with these lines added.
fn rule(name: &str, more: &str) -> String {
    format!(
        "[[rule]]\nname = \"{name}\"\ninput = [\"image/jpeg\"]\nsteps = [\"v4l2jpegdec\"]\nkind = \"hardware\"\nends_in = \"driver\"\nwhy = \"It does\"\n{more}\n"
    )
}

fn names(rules: &Rules) -> Vec<&str> {
    rules.ways.iter().map(|rule| rule.name.as_str()).collect()
}

#[test]
fn the_files_of_this_build_are_good() {
    let rules = with(&[]).rules(Family::Generic, &[]);
    assert!(rules.ways.len() > 20);
    assert_eq!(rules.ways[0].name, "as-is");
    let mut unique = names(&rules);
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), rules.ways.len());
    for rule in &rules.ways {
        assert!(rule.origin.starts_with(BUILT_IN_ORIGIN), "{}", rule.name);
        assert_eq!(
            rule.kind == Kind::Software,
            !rule.package.is_empty(),
            "{}",
            rule.name
        );
    }
}

#[test]
fn rules_stand_where_the_file_puts_them() {
    let old = names(&with(&[]).rules(Family::Generic, &[]))
        .iter()
        .map(|name| (*name).to_owned())
        .collect::<Vec<_>>();
    let at = |name: &str| old.iter().position(|other| other == name).unwrap();
    for (files, expected) in [
        // In front, in the file's order; a later file in front of an earlier one.
        (
            vec![rule("a", "") + &rule("b", "")],
            vec![("a", 0), ("b", 1)],
        ),
        (vec![rule("a", ""), rule("b", "")], vec![("b", 0), ("a", 1)]),
        (
            vec![rule("a", "before = \"jpeg-v4l2\"")],
            vec![("a", at("jpeg-v4l2")), ("jpeg-v4l2", at("jpeg-v4l2") + 1)],
        ),
        (
            vec![rule("a", "after = \"jpeg-v4l2\"") + &rule("b", "after = \"jpeg-v4l2\"")],
            vec![("a", at("jpeg-v4l2") + 1), ("b", at("jpeg-v4l2") + 2)],
        ),
        (
            vec![rule("a", "instead_of = \"jpeg-v4l2\"")],
            vec![("a", at("jpeg-v4l2")), ("convert-v4l2", at("convert-v4l2"))],
        ),
        (
            vec![rule("jpeg-v4l2", "instead_of = \"jpeg-v4l2\"")],
            vec![("jpeg-v4l2", at("jpeg-v4l2"))],
        ),
        // Of a file that does not hold here, so that its neighbour is missing.
        (
            vec![
                format!(
                    "[machines]\nfamily = [\"qcs\"]\n{}",
                    rule("a", "after = \"as-is\"")
                ),
                rule("b", "after = \"a\""),
            ],
            vec![("b", 0), ("as-is", 1)],
        ),
    ] {
        let files: Vec<_> = files.iter().map(|text| ("x.toml", text.as_str())).collect();
        let rules = with(&files).rules(Family::Generic, &[]);
        let names = names(&rules);
        for (name, place) in expected {
            assert_eq!(names.get(place), Some(&name), "{files:?}: {names:?}");
        }
    }
}

#[test]
fn files_hold_on_the_machines_that_they_name() {
    let text = |machines: &str| format!("[machines]\n{machines}\n{}", rule("a", ""));
    let compatible = ["acme,board".to_owned(), "fsl,imx8mp".to_owned()];
    for (machines, holds) in [
        ("", true),
        ("family = [\"imx8mp\"]", true),
        ("family = [\"qcs\", \"imx8mp\"]", true),
        ("family = [\"qcs\"]", false),
        ("compatible = [\"acme,board\"]", true),
        ("compatible = [\"acme,other\", \"fsl,imx8mp\"]", true),
        ("compatible = [\"acme,boar\"]", false),
        ("family = [\"qcs\"]\ncompatible = [\"acme,board\"]", false),
    ] {
        let text = text(machines);
        let profiles = with(&[("x.toml", &text)]);
        let rules = profiles.rules(Family::Imx8mp, &compatible);
        assert_eq!(names(&rules)[0] == "a", holds, "{machines}");
        let files = profiles.files(Family::Imx8mp, &compatible);
        assert_eq!(!files.is_empty(), holds, "{machines}");
    }
}

#[test]
fn what_is_wrong_is_told_with_file_rule_and_field() {
    // (text, line, rule, field, words)
    let table = [
        ("", 1, "", "", "says nothing"),
        ("# only this\n", 1, "", "", "says nothing"),
        ("rule: x", 1, "", "", ""),
        ("[[rules]]\nname = 'a'", 1, "", "", "unknown field `rules`"),
        (&rule("a", "colour = 1"), 8, "a", "colour", "unknown field"),
        (
            "[[rule]]\nname = 'a'\nkind = 'hardware'",
            1,
            "a",
            "input",
            "missing field",
        ),
        (
            &rule("a", "").replace("hardware", "magic"),
            5,
            "a",
            "kind",
            "unknown variant",
        ),
        (&rule("a b", ""), 2, "a b", "name", "letters"),
        (
            &rule("as-is", ""),
            2,
            "as-is",
            "name",
            "built-in common has a rule of this name",
        ),
        (
            &(rule("a", "") + &rule("a", "")),
            10,
            "a",
            "name",
            "x.toml has a rule",
        ),
        (
            &rule("a", "before = 'nobody'"),
            8,
            "a",
            "before",
            "no rule `nobody`",
        ),
        (
            &rule("a", "before = 'as-is'\nafter = 'as-is'"),
            9,
            "a",
            "after",
            "one place",
        ),
        (
            &rule("a", "").replace("image/jpeg", "image/jpeg ! x"),
            3,
            "a",
            "input",
            "a format",
        ),
        (
            &rule("a", "").replace("\"image/jpeg\"", ""),
            3,
            "a",
            "input",
            "at least one",
        ),
        (
            &rule("a", "").replace("v4l2jpegdec", "v4l2jpegdec ! videoconvert"),
            4,
            "a",
            "steps",
            "not an element",
        ),
        (
            &rule("a", "").replace("v4l2jpegdec", "filesink location=$(x)"),
            4,
            "a",
            "steps",
            "not an element",
        ),
        (
            &rule("a", "").replace("v4l2jpegdec", "jpegdec"),
            4,
            "a",
            "steps",
            "with the CPU",
        ),
        (
            &rule("a", "").replace(
                "\"v4l2jpegdec\"",
                "\n  \"v4l2jpegdec\",\n  \"videoconvert\"\n",
            ),
            6,
            "a",
            "steps",
            "with the CPU",
        ),
        (
            &rule("a", "").replace("v4l2jpegdec", "acmedec"),
            4,
            "a",
            "steps",
            "`hardware = [\"acmedec\"]`",
        ),
        (
            &rule("a", "hardware = ['jpegdec']").replace("v4l2jpegdec", "jpegdec"),
            4,
            "a",
            "steps",
            "with the CPU",
        ),
        (
            &rule("a", "copies.cpu = 1"),
            5,
            "a",
            "kind",
            "no copy by the CPU",
        ),
        (
            &rule("a", "").replace("driver", "pool"),
            6,
            "a",
            "ends_in",
            "written by the CPU",
        ),
        (
            &rule("a", "").replace("hardware", "software"),
            5,
            "a",
            "kind",
            "at least one copy",
        ),
        (
            &rule("a", "").replace("\"v4l2jpegdec\"", ""),
            6,
            "a",
            "ends_in",
            "without steps",
        ),
        (
            &rule("a", "copies.cpu = 'x'"),
            8,
            "a",
            "copies.cpu",
            "invalid type",
        ),
        (
            &rule("a", "devices = [['galcore']]"),
            8,
            "a",
            "devices",
            "a node",
        ),
        (
            &rule("a", "devices = [[]]"),
            8,
            "a",
            "devices",
            "at least one node",
        ),
        (
            &rule("a", "unless = ['a b']"),
            8,
            "a",
            "unless",
            "name of an element",
        ),
        (
            &rule("a", "").replace("It does", " "),
            7,
            "a",
            "why",
            "in words",
        ),
        (
            "[[forbid]]\nelement = 'x'\nreason = ''",
            3,
            "",
            "reason",
            "in words",
        ),
        (
            "[[forbid]]\nelement = 'x y'\nreason = 'z'",
            2,
            "",
            "element",
            "name of an element",
        ),
        (
            &(rule("a", "") + "[[trap]]\nelement = 'x'"),
            9,
            "",
            "text",
            "missing field",
        ),
        (
            "[machines]\nfamily = ['imx9']\n",
            2,
            "",
            "family",
            "unknown variant",
        ),
        (
            "[machines]\ncompatible = ['imx8mp']\n[[forbid]]\nelement='x'\nreason='y'",
            2,
            "",
            "compatible",
            "fsl,imx8mp",
        ),
        (
            "[[board]]\ncompatible = 'acme,b'\nfamily = 'imx8mp'\ncsi = []",
            4,
            "",
            "csi",
            "at least one",
        ),
        (
            "[[board]]\ncompatible = 'acme,b'\nfamily = 'imx8mp'\ncsi = ['v4l2']",
            4,
            "",
            "csi",
            "unknown variant",
        ),
    ];
    for (text, line, rule, field, words) in table {
        let mut profiles = Profiles::built_in().unwrap();
        let before = profiles.clone();
        let error = profiles.add("x.toml", text).expect_err(text);
        let told = (error.line, error.rule.as_str(), error.field.as_str());
        assert_eq!(told, (line, rule, field), "{error}\n{text}");
        assert!(error.message.contains(words), "{error}\n{text}");
        assert!(error.to_string().starts_with("x.toml:"), "{error}");
        assert_eq!(profiles, before, "nothing of it is kept");
    }
}

fn offered(format: &str) -> Offered {
    Offered {
        format: format.to_owned(),
        handover: Handover::Exported,
        modes: vec![Mode {
            sizes: Sizes::Discrete(vec![(640, 480)]),
            rates: Rates::Discrete(vec![Framerate::new(30, 1).unwrap()]),
        }],
    }
}

fn machine(elements: &[&str]) -> Machine {
    let elements = elements.iter();
    Machine {
        elements: elements
            .map(|e| ((*e).to_owned(), ElementFacts::default()))
            .collect(),
        ..Machine::default()
    }
}

fn explained(
    rules: &Rules,
    offer: &Offer,
    subscribers: Option<u32>,
    machine: &Machine,
) -> Explanation {
    explain(&Request {
        offer,
        wish: Wish {
            subscribers,
            ..Wish::default()
        },
        machine,
        build: Build::Production,
        rules,
    })
}

#[test]
fn what_a_file_forbids_is_not_used_and_the_file_is_named() {
    let text = "[[forbid]]\nelement = \"v4l2convert\"\nreason = \"it tears\"\n[[trap]]\nelement = \"vapostproc\"\ntext = \"slow\"";
    let rules = with(&[("/etc/x.toml", text)]).rules(Family::Generic, &[]);
    let offer = Offer {
        formats: vec![offered("YUY2")],
        pool: None,
    };
    // Whichever node it works with.
    let machine = machine(&["v4l2convert", "v4l2video7convert", "vapostproc"]);
    let explanation = explained(&rules, &offer, None, &machine);
    let plan = explanation.chosen.unwrap();
    assert_eq!(
        (plan.rule.as_str(), plan.origin.as_str(), plan.traps),
        (
            "convert-va",
            "built-in va",
            vec!["vapostproc: slow".to_owned()]
        )
    );
    let reasons: Vec<_> = explanation
        .rejected
        .iter()
        .filter(|rejected| rejected.rule == "convert-v4l2")
        .map(|rejected| rejected.reason.to_string())
        .collect();
    assert_eq!(
        reasons,
        [
            "v4l2convert is forbidden by /etc/x.toml: it tears",
            "v4l2video7convert is forbidden by /etc/x.toml: it tears"
        ]
    );
}

#[test]
fn of_several_nodes_the_one_that_fits_is_used() {
    let rules = with(&[]).rules(Family::Generic, &[]);
    let offer = Offer {
        formats: vec![offered("UYVY")],
        pool: None,
    };
    let mut machine = machine(&["v4l2convert", "v4l2video7convert", "v4l2video8convert"]);
    let facts = ElementFacts {
        takes: Formats::Only(["YUY2".to_owned()].into()),
        ..ElementFacts::default()
    };
    machine.elements.insert("v4l2convert".to_owned(), facts);
    let plan = explained(&rules, &offer, None, &machine).chosen.unwrap();
    assert_eq!(plan.steps[0].factory, "v4l2video7convert");
}

/// What is known of an element.
type Known<'a> = &'a dyn Fn(&mut Machine);

#[test]
fn hardware_copies_where_the_cameras_own_buffers_are_too_few() {
    let rules = with(&[]).rules(Family::Imx8mp, &[]);
    let four = Some(FixedPool {
        buffers: 4,
        in_flight: 1,
    });
    let both = ["NV12", "YUY2"];
    let disabled = |machine: &mut Machine| {
        let facts = ElementFacts {
            properties: Some([("disable-passthrough".to_owned(), Property::Switch)].into()),
            ..ElementFacts::default()
        };
        machine.elements.insert("v4l2convert".to_owned(), facts);
    };
    let lacking = |machine: &mut Machine| {
        let facts = ElementFacts {
            properties: Some([].into()),
            ..ElementFacts::default()
        };
        machine.elements.insert("v4l2convert".to_owned(), facts);
    };
    let as_it_is = |_: &mut Machine| {};
    // (formats, pool, subscribers, elements, what is known of v4l2convert; rule, copies, whether the pool is too small)
    let table: [(&[&str], _, _, &[&str], Known<'_>, _); 11] = [
        // Enough, or nobody asked.
        (
            &["NV12"],
            four,
            None,
            &["v4l2convert"],
            &disabled,
            ("as-is", 0, false),
        ),
        (
            &["NV12"],
            four,
            Some(1),
            &["v4l2convert"],
            &disabled,
            ("as-is", 0, false),
        ),
        (
            &["NV12"],
            None,
            Some(64),
            &["v4l2convert"],
            &disabled,
            ("as-is", 0, false),
        ),
        // Too few.
        (
            &["NV12"],
            four,
            Some(2),
            &["v4l2convert"],
            &disabled,
            ("copy-v4l2", 1, false),
        ),
        (
            &["NV12"],
            four,
            Some(2),
            &["vapostproc"],
            &as_it_is,
            ("copy-va", 1, false),
        ),
        // A conversion has a pool of its own, too, but loses colour.
        (
            &both,
            four,
            Some(2),
            &["imxvideoconvert_g2d"],
            &as_it_is,
            ("as-is", 0, true),
        ),
        (
            &both,
            four,
            Some(2),
            &["qtivtransform"],
            &as_it_is,
            ("convert-qualcomm", 1, false),
        ),
        (
            &both,
            four,
            Some(2),
            &["v4l2convert"],
            &disabled,
            ("copy-v4l2", 1, false),
        ),
        (
            &both,
            four,
            Some(2),
            &["v4l2convert"],
            &lacking,
            ("convert-v4l2", 1, false),
        ),
        // Nothing that copies: as many as there are buffers for.
        (&["NV12"], four, Some(2), &[], &as_it_is, ("as-is", 0, true)),
        (
            &["NV12"],
            four,
            Some(2),
            &["v4l2convert"],
            &lacking,
            ("as-is", 0, true),
        ),
    ];
    for (formats, pool, subscribers, elements, known, expected) in table {
        let offer = Offer {
            formats: formats.iter().map(|format| offered(format)).collect(),
            pool,
        };
        let mut machine = machine(elements);
        known(&mut machine);
        let explanation = explained(&rules, &offer, subscribers, &machine);
        let plan = explanation.chosen.unwrap();
        let got = (
            plan.rule.as_str(),
            plan.copies.hardware,
            plan.limit.is_some(),
        );
        assert_eq!(
            got, expected,
            "{formats:?} {pool:?} {subscribers:?} {elements:?}"
        );
        let as_is = explanation.rejected.iter().find(|r| r.rule == "as-is");
        if plan.copies.hardware > 0 {
            assert_eq!(
                as_is.unwrap().reason.to_string(),
                "the camera has 4 buffers of its own, which serve 1 subscriber without a copy, and 2 are wanted"
            );
        }
    }
}

/// The CPU is no way out of too few buffers.
#[test]
fn the_cpu_never_copies_for_want_of_buffers() {
    let rules = with(&[]).rules(Family::Generic, &[]);
    let offer = Offer {
        formats: vec![offered("NV12"), offered("YUY2")],
        pool: Some(FixedPool {
            buffers: 4,
            in_flight: 1,
        }),
    };
    let machine = Machine {
        pools: [PoolMemory::DmaHeap].into(),
        ..machine(&["videoconvertscale"])
    };
    let explanation = explain(&Request {
        offer: &offer,
        wish: Wish {
            subscribers: Some(8),
            ..Wish::default()
        },
        machine: &machine,
        build: Build::Development,
        rules: &rules,
    });
    let plan = explanation.chosen.unwrap();
    assert_eq!((plan.rule.as_str(), plan.software), ("as-is", false));
    assert!(plan.limit.is_some());
}

#[test]
fn boards_are_told_the_latest_file_first() {
    let board =
        |csi: &str| format!("[[board]]\ncompatible = \"acme,cam\"\nfamily = \"imx8mp\"\n{csi}");
    let profiles = with(&[
        ("a.toml", &board("")),
        ("b.toml", &board("csi = [\"qmmf\"]")),
    ]);
    let boards = profiles.boards();
    let told: Vec<_> = boards
        .iter()
        .map(|board| (board.origin.as_str(), board.csi.clone()))
        .collect();
    assert_eq!(
        told,
        [("b.toml", Some(vec![CsiBackend::Qmmf])), ("a.toml", None)]
    );
}

/// The keys are those that the parser names when it meets one that it does not know.
#[test]
fn every_key_is_documented() {
    let docs = include_str!("../../../../docs/configuration.md");
    for (table, head) in [
        ("[machines]", "[machines]"),
        ("[[board]]", "[[board]]"),
        ("[[forbid]]", "[[forbid]]"),
        ("[[trap]]", "[[trap]]"),
        ("[[rule]]", "[[rule]]"),
    ] {
        let text = format!("{head}\nzzz = 1\n");
        let error = with(&[]).add("x.toml", &text).unwrap_err();
        let (_, expected) = error.message.split_once("expected").unwrap();
        let keys: Vec<_> = expected.split('`').skip(1).step_by(2).collect();
        assert!(keys.len() > 1, "{error}");
        for key in keys {
            let row = docs.lines().find(|line| {
                line.starts_with(&format!("| `{table}` ")) && line.contains(&format!("`{key}`"))
            });
            assert!(
                row.is_some(),
                "docs/configuration.md: {table} lacks `{key}`"
            );
        }
    }
}

proptest! {
    /// Whatever somebody does to a good file, it is taken or refused with a place in it.
    #[test]
    fn a_spoilt_file_is_taken_or_refused_with_its_place(
        at in 0.0..1.0f64, cut in 0..40usize, put in "[\\[\\]=\"'#\n a-zé!0-9.]{0,12}",
    ) {
        let good = include_str!("../../profiles/imx8mp.toml").replace("imx", "own");
        let start = good.floor_char_boundary((at * good.len() as f64) as usize);
        let end = good.floor_char_boundary((start + cut).min(good.len()));
        let text = format!("{}{put}{}", &good[..start], &good[end..]);
        if let Err(error) = Profiles::built_in().unwrap().add("x.toml", &text) {
            prop_assert!(error.line <= text.lines().count() + 1, "{error}");
            prop_assert!(!error.message.is_empty());
        }
    }
}
