//! What is planned on each family's systems: a table over registries of their elements.
//!
//! `tests/data/registries/` says what each system has and where that is from; `tests/data/plans.txt` what is planned there.

#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use mos_camera_core::plan::{
    Build, Explanation, Handover, Machine, Offer, Offered, Profiles, Registry, Request, Wish,
    explain,
};
use mos_camera_core::platform::Family;
use mos_camera_core::{DeviceId, FixedPool, Transport};

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data")
}

fn registry(name: &str) -> Registry {
    let path = data().join("registries").join(format!("{name}.txt"));
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.parse()
        .unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// A line of the table: `registry | formats | build | subscribers | plan`.
#[derive(Debug)]
struct Row {
    registry: String,
    offer: Offer,
    build: Build,
    subscribers: Option<u32>,
    expected: String,
}

fn rows() -> Vec<Row> {
    let text = fs::read_to_string(data().join("plans.txt")).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter(|line| !line.trim().is_empty())
        .map(row)
        .collect()
}

fn row(line: &str) -> Row {
    let fields: Vec<_> = line.split('|').map(str::trim).collect();
    let [registry, formats, build, subscribers, expected] = fields[..] else {
        panic!("not five fields: {line}")
    };
    let build = match build {
        "production" => Build::Production,
        "development" => Build::Development,
        other => panic!("no build {other}: {line}"),
    };
    // Subscribers are asked for of cameras that libcamera drives: four buffers, one of which stays with the camera.
    let subscribers = subscribers.parse().ok();
    let pool = subscribers.map(|_: u32| FixedPool {
        buffers: 4,
        in_flight: 1,
    });
    Row {
        registry: registry.to_owned(),
        offer: Offer {
            formats: formats.split_whitespace().map(offered).collect(),
            pool,
        },
        build,
        subscribers,
        expected: expected.to_owned(),
    }
}

fn offered(word: &str) -> Offered {
    let (format, handover) = match word.split_once(':') {
        Some((format, "gbm")) => (format, Handover::Gbm),
        Some((format, "labelled")) => (format, Handover::Labelled),
        Some((_, other)) => panic!("no handover {other}"),
        None => (word, Handover::Exported),
    };
    let compressed = [
        ("H264", "video/x-h264"),
        ("H265", "video/x-h265"),
        ("VP8", "video/x-vp8"),
        ("MJPG", "image/jpeg"),
    ];
    let named = compressed.iter().find(|(short, _)| *short == format);
    match named {
        Some((_, format)) => Offer::unknown(format).formats.remove(0),
        None => Offered {
            format: format.to_owned(),
            handover,
            modes: Vec::new(),
        },
    }
}

fn family(registry: &str) -> Family {
    match registry.split('-').next() {
        Some("imx8mp") => Family::Imx8mp,
        Some("qcs") => Family::Qcs,
        _ => Family::Generic,
    }
}

fn explained(row: &Row, machine: &Machine) -> Explanation {
    let rules = Profiles::built_in()
        .unwrap()
        .rules(family(&row.registry), &[]);
    explain(&Request {
        offer: &row.offer,
        wish: Wish {
            subscribers: row.subscribers,
            ..Wish::default()
        },
        machine,
        build: row.build,
        rules: &rules,
    })
}

/// As the table has it: `rule: elements; copies`, or the reason against any.
fn told(explanation: Explanation) -> String {
    match explanation.into_plan(&DeviceId::new(Transport::Test, "any")) {
        Err(none) => none.reason().to_owned(),
        Ok(plan) => {
            let steps: Vec<_> = plan.steps.iter().map(ToString::to_string).collect();
            let copies = match (plan.copies.cpu, plan.copies.hardware) {
                (0, 0) => "no copy".to_owned(),
                (0, n) => format!("{n} by hardware"),
                (n, 0) => format!("{n} by the CPU"),
                (cpu, hardware) => format!("{cpu} by the CPU, {hardware} by hardware"),
            };
            let limit = plan.limit.map_or(String::new(), |limit| {
                format!("; serves {}", limit.pool.serves())
            });
            let format = &plan.capture.format;
            let way = if steps.is_empty() {
                format.clone()
            } else {
                format!("{format} ! {}", steps.join(" ! "))
            };
            format!("{}: {way}; {copies}{limit}", plan.rule)
        }
    }
}

#[test]
fn each_system_gets_its_plan() {
    let mut wrong = Vec::new();
    for row in rows() {
        let got = told(explained(&row, &registry(&row.registry).machine));
        if got != row.expected {
            let formats: Vec<_> = row.offer.formats.iter().map(|f| &f.format).collect();
            wrong.push(format!(
                "{} {formats:?} {:?} {:?}\n  expected {}\n  got      {got}",
                row.registry, row.build, row.subscribers, row.expected
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_registry_is_planned_for_and_says_where_it_is_from() {
    let planned: BTreeSet<_> = rows().into_iter().map(|row| row.registry).collect();
    let mut there = BTreeSet::new();
    for entry in fs::read_dir(data().join("registries")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(&path).unwrap();
        let recorded = text.starts_with("# Recorded by `mosctl doctor --record-registry`");
        let read = text.starts_with("# From public sources, not recorded on a board.")
            && text.contains("# source: ");
        assert!(recorded || read, "{name}");
        assert!(!registry(&name).gstreamer.is_empty(), "{name}");
        there.insert(name);
    }
    assert_eq!(there, planned);
}

/// Rules whose choice hangs on more than which elements there are.
#[test]
fn the_plans_cover_what_presence_alone_does_not_decide() {
    let rules = Profiles::built_in().unwrap().rules(Family::Generic, &[]);
    let subtle = |name: &&str| name.starts_with("copy-") || name.ends_with("-c2d");
    let names = rules.ways.iter().map(|rule| rule.name.as_str());
    let chosen: BTreeSet<_> = rows().into_iter().map(|row| row.expected).collect();
    for name in names.filter(subtle) {
        let is_chosen = |told: &&String| told.starts_with(&format!("{name}:"));
        assert!(chosen.iter().any(|told| is_chosen(&told)), "{name}");
    }
}

#[test]
fn no_plan_of_a_production_build_touches_pixels() {
    for row in rows() {
        let row = Row {
            build: Build::Production,
            ..row
        };
        let explanation = explained(&row, &registry(&row.registry).machine);
        if let Some(plan) = explanation.chosen {
            assert!(
                !plan.software && plan.copies.cpu == 0 && plan.memory.is_dmabuf(),
                "{row:?}: {plan:?}"
            );
        }
    }
}
