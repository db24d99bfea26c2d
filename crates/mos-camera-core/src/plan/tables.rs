//! The planner's decisions, case by case.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use super::*;
use crate::device::{DeviceId, Rates, Sizes, Transport};
use crate::fault::{Fault, FaultKind};
use crate::platform::Family;
use crate::stream::Framerate;

/// The rules of this build on a machine of no known family.
fn built_in() -> Rules {
    static RULES: LazyLock<Rules> =
        LazyLock::new(|| Profiles::built_in().unwrap().rules(Family::Generic, &[]));
    RULES.clone()
}

fn fps(num: u32) -> Framerate {
    Framerate::new(num, 1).unwrap()
}

fn offered(format: &str, handover: Handover, modes: &[((u32, u32), u32)]) -> Offered {
    let mode = |&(size, rate): &((u32, u32), u32)| Mode {
        sizes: Sizes::Discrete(vec![size]),
        rates: Rates::Discrete(vec![fps(rate)]),
    };
    Offered {
        format: format.to_owned(),
        handover,
        modes: modes.iter().map(mode).collect(),
    }
}

/// A format in VGA at 30 fps, in dma-bufs behind plain caps.
fn vga(format: &str) -> Offered {
    offered(format, Handover::Exported, &[((640, 480), 30)])
}

fn from(handover: Handover, format: &str) -> Offered {
    Offered {
        handover,
        ..vga(format)
    }
}

/// A machine with these elements, every device node that the rules name, and these pools.
fn machine(elements: &str, pools: &[PoolMemory]) -> Machine {
    let elements = elements
        .split_whitespace()
        .map(|e| (e.to_owned(), ElementFacts::default()));
    let nodes = built_in()
        .ways
        .into_iter()
        .flat_map(|rule| rule.devices)
        .flatten();
    Machine {
        elements: elements.collect(),
        devices: nodes.collect(),
        pools: pools.iter().copied().collect(),
    }
}

fn explained(formats: &[Offered], wish: Wish, machine: &Machine, build: Build) -> Explanation {
    let (offer, rules) = (
        Offer {
            formats: formats.to_vec(),
            pool: None,
        },
        built_in(),
    );
    explain(&Request {
        offer: &offer,
        wish,
        machine,
        build,
        rules: &rules,
    })
}

/// Every element that a rule names.
const EVERYTHING: &str = "h264parse h265parse jpegparse v4l2slh264dec v4l2slh265dec v4l2slvp8dec v4l2h264dec v4l2h265dec v4l2vp8dec \
    qtivtransform vpudec vah264dec vah265dec vavp8dec vapostproc vp8dec avdec_h264 avdec_h265 openh264dec jpegdec v4l2jpegdec vajpegdec v4l2convert \
    imxvideoconvert_ocl imxvideoconvert_g2d qtic2vdec videoconvert videoconvertscale";

const SOFTWARE: &str = "h264parse h265parse jpegparse avdec_h264 avdec_h265 openh264dec vp8dec jpegdec videoconvert videoconvertscale";

use Build::{Development, Production};
use Handover::{Drawn, Exported, Gbm, Labelled, Process};

/// What is offered, elements, build; then the rule chosen, its memory, copies (CPU, hardware), whether in software.
type Row<'a> = (
    Vec<Offered>,
    &'a str,
    Build,
    Option<(&'a str, FrameMemory, (u32, u32), bool)>,
);

const DRIVER: FrameMemory = FrameMemory::Driver;
const HEAP: FrameMemory = FrameMemory::Pool(PoolMemory::DmaHeap);

fn rows() -> Vec<Row<'static>> {
    let jpeg = || vec![vga("image/jpeg")];
    let h264 = || vec![vga("video/x-h264")];
    let h265 = || vec![vga("video/x-h265")];
    let vp8 = || vec![vga("video/x-vp8")];
    let yuy2 = || vec![vga("YUY2")];
    let nv12 = |handover| vec![from(handover, "NV12")];
    let hard = |rule, copies| Some((rule, DRIVER, (0, copies), false));
    let soft = |rule| Some((rule, HEAP, (1, 0), true));
    vec![
        // NV12 as the source gives it.
        (nv12(Labelled), "", Production, hard("as-is", 0)),
        (nv12(Exported), EVERYTHING, Production, hard("as-is", 0)),
        (nv12(Gbm), "", Production, hard("as-is", 0)),
        (nv12(Process), EVERYTHING, Production, None),
        (
            nv12(Process),
            "",
            Development,
            Some(("as-is", HEAP, (1, 0), true)),
        ),
        (
            nv12(Drawn),
            "",
            Development,
            Some(("as-is", HEAP, (0, 0), true)),
        ),
        (nv12(Drawn), "", Production, None),
        // H.264: hardware first, no copy before one copy; software in development only.
        (
            h264(),
            EVERYTHING,
            Development,
            hard("h264-v4l2-stateless", 0),
        ),
        (
            h264(),
            "h264parse v4l2h264dec qtivtransform",
            Production,
            hard("h264-v4l2-qualcomm", 1),
        ),
        (
            h264(),
            "h264parse v4l2h264dec vah264dec vapostproc",
            Production,
            hard("h264-v4l2", 0),
        ),
        (
            h264(),
            "h264parse vpudec",
            Production,
            hard("h264-imx-vpu", 0),
        ),
        (
            h264(),
            "h264parse qtic2vdec qtivtransform",
            Production,
            hard("h264-codec2-qualcomm", 0),
        ),
        (
            h265(),
            "h265parse qtic2vdec",
            Production,
            hard("h265-codec2-qualcomm", 0),
        ),
        (
            yuy2(),
            "imxvideoconvert_g2d",
            Production,
            hard("convert-imx-2d", 1),
        ),
        (
            h264(),
            "h264parse vah264dec vapostproc avdec_h264 videoconvert",
            Development,
            hard("h264-va", 1),
        ),
        (
            h264(),
            "h264parse vah264dec avdec_h264 videoconvert",
            Development,
            soft("h264-libav"),
        ),
        (
            h264(),
            "h264parse openh264dec videoconvert",
            Development,
            soft("h264-openh264"),
        ),
        (h264(), SOFTWARE, Production, None),
        (h264(), "v4l2slh264dec", Development, None),
        // H.265.
        (
            h265(),
            EVERYTHING,
            Production,
            hard("h265-v4l2-stateless", 0),
        ),
        (
            h265(),
            "h265parse v4l2h265dec qtivtransform",
            Production,
            hard("h265-v4l2-qualcomm", 1),
        ),
        (
            h265(),
            "h265parse v4l2h265dec",
            Production,
            hard("h265-v4l2", 0),
        ),
        (
            h265(),
            "h265parse vpudec",
            Production,
            hard("h265-imx-vpu", 0),
        ),
        (
            h265(),
            "h265parse vah265dec vapostproc",
            Production,
            hard("h265-va", 1),
        ),
        (h265(), SOFTWARE, Development, soft("h265-libav")),
        // VP8: no parser, for its frames begin where its packets do.
        (vp8(), EVERYTHING, Production, hard("vp8-v4l2-stateless", 0)),
        (
            vp8(),
            "v4l2vp8dec qtivtransform",
            Production,
            hard("vp8-v4l2-qualcomm", 1),
        ),
        (vp8(), "v4l2vp8dec vp8dec", Production, hard("vp8-v4l2", 0)),
        (vp8(), "vpudec", Production, hard("vp8-imx-vpu", 0)),
        (vp8(), "vavp8dec vapostproc", Production, hard("vp8-va", 1)),
        (vp8(), SOFTWARE, Development, soft("vp8-libvpx")),
        (vp8(), SOFTWARE, Production, None),
        // Motion JPEG.
        (jpeg(), EVERYTHING, Development, hard("jpeg-v4l2", 1)),
        (
            jpeg(),
            "jpegparse vajpegdec vapostproc jpegdec",
            Production,
            hard("jpeg-va", 1),
        ),
        (
            jpeg(),
            "jpegdec videoconvert",
            Development,
            soft("jpeg-libjpeg"),
        ),
        (jpeg(), "jpegdec videoconvert", Production, None),
        // Raw formats.
        (yuy2(), EVERYTHING, Production, hard("convert-v4l2", 1)),
        (
            yuy2(),
            "imxvideoconvert_ocl videoconvertscale",
            Production,
            hard("convert-imx-gpu", 1),
        ),
        (
            yuy2(),
            "qtivtransform",
            Production,
            hard("convert-qualcomm", 1),
        ),
        (yuy2(), "vapostproc", Production, hard("convert-va", 1)),
        (
            yuy2(),
            "videoconvertscale",
            Development,
            soft("convert-cpu"),
        ),
        (yuy2(), "videoconvertscale", Production, None),
        // A converter is fed from process memory by the CPU: no better than the CPU converting.
        (vec![from(Process, "YUY2")], "v4l2convert", Production, None),
        (
            vec![from(Process, "YUY2")],
            "v4l2convert videoconvertscale",
            Development,
            soft("convert-cpu"),
        ),
        (
            vec![from(Process, "YUY2")],
            "v4l2convert",
            Development,
            Some(("convert-v4l2", DRIVER, (1, 1), true)),
        ),
        // Nothing knows the format.
        (vec![vga("video/x-av1")], EVERYTHING, Development, None),
        (vec![], EVERYTHING, Development, None),
    ]
}

#[test]
fn the_cheapest_chain_is_chosen() {
    for (formats, elements, build, expected) in rows() {
        let machine = machine(elements, &[PoolMemory::DmaHeap, PoolMemory::Memfd]);
        let plan = explained(&formats, Wish::default(), &machine, build).chosen;
        let got = plan.as_ref().map(|p| {
            (
                p.rule.as_str(),
                p.memory,
                (p.copies.cpu, p.copies.hardware),
                p.software,
            )
        });
        assert_eq!(got, expected, "{formats:?} with {elements} in {build:?}");
    }
}

#[test]
fn every_rule_is_chosen_in_some_row() {
    let rows = rows();
    let chosen: BTreeSet<&str> = rows
        .iter()
        .filter_map(|row| row.3)
        .map(|row| row.0)
        .collect();
    // These need more than the presence of elements: they are chosen in the plans of recorded registries.
    let recorded = |name: &str| name.starts_with("copy-") || name.ends_with("-c2d");
    for rule in built_in().ways {
        assert!(
            chosen.contains(rule.name.as_str()) || recorded(&rule.name),
            "no row for {}",
            rule.name
        );
    }
}

#[test]
fn the_tests_know_every_element() {
    let known: BTreeSet<&str> = EVERYTHING.split_whitespace().collect();
    for rule in built_in().ways {
        for step in &rule.steps {
            assert!(
                known.contains(step.factory.as_str()),
                "{} of {}",
                step.factory,
                rule.name
            );
        }
    }
}

/// What is offered, what is asked for, elements; then the format and size that are captured.
#[test]
fn the_format_that_costs_least_is_captured() {
    let webcam = || {
        vec![
            offered("YUY2", Exported, &[((640, 480), 30), ((1280, 720), 10)]),
            offered(
                "image/jpeg",
                Exported,
                &[((640, 480), 30), ((1280, 720), 30)],
            ),
        ]
    };
    let formats = |names: &[&str]| names.iter().map(|name| vga(name)).collect::<Vec<_>>();
    let wish = |size, rate: Option<u32>| Wish {
        size,
        rate: rate.map(fps),
        ..Wish::default()
    };
    let (small, large) = (Some((640, 480)), Some((1280, 720)));
    for (offer, wish, elements, expected) in [
        (webcam(), wish(small, None), SOFTWARE, Some(("YUY2", small))),
        (
            webcam(),
            wish(large, Some(30)),
            SOFTWARE,
            Some(("image/jpeg", large)),
        ),
        (
            webcam(),
            wish(large, Some(10)),
            SOFTWARE,
            Some(("YUY2", large)),
        ),
        // Without a wish 10 fps are passed over, but not at the price of the CPU.
        (
            webcam(),
            wish(None, None),
            SOFTWARE,
            Some(("image/jpeg", large)),
        ),
        (
            webcam(),
            wish(None, None),
            "v4l2convert jpegdec videoconvert",
            Some(("YUY2", large)),
        ),
        // A decoder in hardware comes before a converter in software.
        (
            webcam(),
            wish(small, None),
            "jpegparse v4l2jpegdec v4l2convert",
            Some(("YUY2", small)),
        ),
        (
            webcam(),
            wish(small, None),
            "jpegparse vajpegdec vapostproc videoconvertscale",
            Some(("YUY2", small)),
        ),
        (webcam(), wish(Some((800, 600)), None), EVERYTHING, None),
        (
            formats(&["YUY2", "NV12"]),
            wish(None, None),
            EVERYTHING,
            Some(("NV12", small)),
        ),
        (
            formats(&["image/jpeg", "YUY2"]),
            wish(None, None),
            EVERYTHING,
            Some(("YUY2", small)),
        ),
        (
            formats(&["YUY2", "I420", "NV21"]),
            wish(None, None),
            EVERYTHING,
            Some(("NV21", small)),
        ),
        (
            formats(&["RGB", "UYVY"]),
            wish(None, None),
            SOFTWARE,
            Some(("UYVY", small)),
        ),
        (
            formats(&["GRAY8", "image/jpeg"]),
            wish(None, None),
            SOFTWARE,
            Some(("image/jpeg", small)),
        ),
        (
            vec![vga("NV12"), from(Labelled, "NV12")],
            wish(None, None),
            "",
            Some(("NV12", small)),
        ),
        (
            vec![from(Process, "NV12"), vga("YUY2")],
            wish(None, None),
            EVERYTHING,
            Some(("YUY2", small)),
        ),
    ] {
        let machine = machine(elements, &[PoolMemory::Memfd]);
        let plan = explained(&offer, wish, &machine, Development).chosen;
        let got = plan
            .as_ref()
            .map(|p| (p.capture.format.as_str(), p.capture.size));
        assert_eq!(got, expected, "{offer:?} {wish:?} {elements}");
    }
}

#[test]
fn labelled_dma_bufs_come_before_those_behind_plain_caps() {
    let offer = [vga("NV12"), from(Labelled, "NV12")];
    let explanation = explained(&offer, Wish::default(), &machine("", &[]), Production);
    assert_eq!(explanation.chosen.unwrap().capture.handover, Labelled);
    assert_eq!(
        explanation.rejected[0].reason,
        Reason::Costlier(Costlier::Preference)
    );
}

#[test]
fn an_unknown_offer_takes_any_wish() {
    let wish = Wish {
        size: Some((1920, 1080)),
        rate: Some(fps(25)),
        ..Wish::default()
    };
    let (offer, rules) = (Offer::unknown("video/x-h264"), built_in());
    let machine = machine(SOFTWARE, &[PoolMemory::Memfd]);
    let request = Request {
        offer: &offer,
        wish,
        machine: &machine,
        build: Development,
        rules: &rules,
    };
    let plan = explain(&request).chosen.unwrap();
    assert_eq!(
        plan.to_string(),
        "video/x-h264 1920x1080 at 25 fps -> h264parse ! avdec_h264 ! videoconvert -> NV12 in memfds"
    );
}

#[test]
fn software_ends_in_the_best_memory_there_is() {
    use PoolMemory::{DmaHeap, Memfd, Udmabuf};
    for (pools, expected) in [
        (&[Memfd, Udmabuf, DmaHeap][..], Some(DmaHeap)),
        (&[Memfd, Udmabuf], Some(Udmabuf)),
        (&[Memfd], Some(Memfd)),
        (&[], None),
    ] {
        let explanation = explained(
            &[vga("YUY2")],
            Wish::default(),
            &machine(SOFTWARE, pools),
            Development,
        );
        assert_eq!(
            explanation.chosen.map(|p| p.memory),
            expected.map(FrameMemory::Pool)
        );
        if expected.is_none() {
            assert!(
                explanation
                    .rejected
                    .iter()
                    .any(|r| r.reason == Reason::NotDmaBuf)
            );
        }
    }
}

fn reason(explanation: &Explanation, format: &str, rule: &str) -> String {
    let found = explanation
        .rejected
        .iter()
        .find(|r| r.capture.format == format && r.rule == rule);
    found.map_or_else(
        || "not rejected".to_owned(),
        |r| format!("{}: {}", r.reason.name(), r.reason),
    )
}

#[test]
fn each_alternative_has_its_reason() {
    let formats = [
        offered("YUY2", Exported, &[((640, 480), 30), ((1280, 720), 10)]),
        offered("image/jpeg", Exported, &[((1280, 720), 30)]),
        offered("NV12", Exported, &[((320, 240), 30)]),
        offered("video/x-av1", Exported, &[((1280, 720), 30)]),
        offered("UYVY", Exported, &[((1280, 720), 30)]),
        offered("I420", Process, &[((1280, 720), 30)]),
    ];
    let mut machine = machine(
        "jpegdec videoconvert videoconvertscale v4l2convert imxvideoconvert_ocl qtivtransform",
        &[PoolMemory::DmaHeap],
    );
    machine.devices.clear();
    let only = |formats: &[&str]| Formats::Only(formats.iter().map(|&f| f.to_owned()).collect());
    let facts = ElementFacts {
        takes: only(&["NV12"]),
        ..ElementFacts::default()
    };
    machine.elements.insert("v4l2convert".to_owned(), facts);
    let facts = ElementFacts {
        gives: only(&["RGB"]),
        ..ElementFacts::default()
    };
    machine.elements.insert("qtivtransform".to_owned(), facts);
    let wish = Wish {
        size: Some((1280, 720)),
        rate: Some(fps(30)),
        ..Wish::default()
    };
    let explanation = explained(&formats, wish, &machine, Development);
    let plan = explanation.chosen.as_ref().unwrap();
    assert_eq!(
        (plan.rule.as_str(), plan.capture.format.as_str()),
        ("convert-cpu", "I420")
    );
    for (format, rule, expected) in [
        (
            "YUY2",
            "",
            "NOT_AT_RATE: the camera does not give it at 30 fps in 1280x720, only at 10 fps",
        ),
        (
            "NV12",
            "",
            "NOT_IN_SIZE: the camera does not give it in 1280x720, only in 320x240",
        ),
        (
            "video/x-av1",
            "",
            "NO_RULE: nothing is known that turns it into NV12",
        ),
        (
            "image/jpeg",
            "jpeg-v4l2",
            "ELEMENT_MISSING: jpegparse, v4l2jpegdec are not on this machine",
        ),
        (
            "image/jpeg",
            "jpeg-libjpeg",
            "COSTLIER: it costs as much as the chosen plan, but the camera compresses it, which loses detail",
        ),
        (
            "UYVY",
            "convert-v4l2",
            "ELEMENT_UNFIT: v4l2convert of this machine does not take UYVY",
        ),
        (
            "UYVY",
            "convert-imx-gpu",
            "DEVICE_MISSING: imxvideoconvert_ocl needs /dev/galcore, which is not there",
        ),
        (
            "UYVY",
            "convert-qualcomm",
            "ELEMENT_UNFIT: qtivtransform of this machine does not give NV12",
        ),
        (
            "UYVY",
            "convert-va",
            "ELEMENT_MISSING: vapostproc is not on this machine",
        ),
        (
            "UYVY",
            "convert-cpu",
            "COSTLIER: it costs as much as the chosen plan, but its colours lose resolution",
        ),
        ("I420", "convert-cpu", "not rejected"),
    ] {
        assert_eq!(
            reason(&explanation, format, rule),
            expected,
            "{format} by {rule}"
        );
    }
}

#[test]
fn what_costs_more_says_by_what() {
    let costs = |formats: &[Offered], elements: &str| {
        let machine = machine(elements, &[PoolMemory::DmaHeap]);
        explained(formats, Wish::default(), &machine, Development)
    };
    let all = costs(&[vga("image/jpeg")], EVERYTHING);
    assert_eq!(
        reason(&all, "image/jpeg", "jpeg-libjpeg"),
        "COSTLIER: the CPU would touch pixels, which the chosen plan avoids"
    );
    assert_eq!(
        reason(&all, "image/jpeg", "jpeg-va"),
        "COSTLIER: it would do as well, but comes later in the order of preference"
    );
    let h264 = costs(&[vga("video/x-h264")], EVERYTHING);
    assert_eq!(
        reason(&h264, "video/x-h264", "h264-va"),
        "COSTLIER: each frame would be written 1 time more by hardware"
    );
    assert_eq!(
        reason(&h264, "video/x-h264", "h264-v4l2"),
        "OTHER_MACHINE: not on a machine that has qtivtransform"
    );
    let process = costs(&[from(Drawn, "NV12"), from(Process, "NV12")], "");
    assert_eq!(
        reason(&process, "NV12", "as-is"),
        "COSTLIER: each frame would be written 1 time more by the CPU"
    );
    let slow = [
        offered("YUY2", Exported, &[((1280, 720), 10)]),
        vga("image/jpeg"),
    ];
    assert_eq!(
        reason(&costs(&slow, SOFTWARE), "YUY2", "convert-cpu"),
        "COSTLIER: it comes at fewer frames per second than look like motion"
    );
}

#[test]
fn a_node_that_an_element_names_has_to_be_there() {
    let mut machine = machine("h264parse v4l2h264dec", &[]);
    let facts = ElementFacts {
        device: Some("/dev/video10".to_owned()),
        ..ElementFacts::default()
    };
    machine.elements.insert("v4l2h264dec".to_owned(), facts);
    let plan =
        |machine: &Machine| explained(&[vga("video/x-h264")], Wish::default(), machine, Production);
    assert_eq!(
        reason(&plan(&machine), "video/x-h264", "h264-v4l2"),
        "DEVICE_MISSING: v4l2h264dec needs /dev/video10, which is not there"
    );
    machine.devices.insert("/dev/video10".to_owned());
    assert!(plan(&machine).chosen.is_some());
}

#[test]
fn without_a_plan_the_error_names_what_is_missing() {
    let id = DeviceId::new(Transport::V4l2, "cam");
    let no_plan = |formats: &[Offered], wish, elements: &str, build| {
        let machine = machine(elements, &[PoolMemory::Memfd]);
        explained(formats, wish, &machine, build)
            .into_plan(&id)
            .unwrap_err()
    };
    let none = Wish::default();
    let large = Wish {
        size: Some((1920, 1080)),
        rate: None,
        ..Wish::default()
    };
    let h264 = [vga("video/x-h264")];
    for (error, obstacle, kind, parts) in [
        (
            no_plan(&h264, none, "h264parse videoconvert", Development),
            (Obstacle::Missing, "NO_PLAN"),
            FaultKind::Missing,
            &[
                "v4l2:cam: nothing on this machine makes NV12",
                "h264parse ! v4l2slh264dec (v4l2slh264dec is not on this machine)",
                "(avdec_h264 is not on this machine; apt install gstreamer1.0-libav)",
            ][..],
        ),
        (
            no_plan(&h264, none, SOFTWARE, Production),
            (Obstacle::NeedsCpu, "NEEDS_CPU"),
            FaultKind::Missing,
            &[
                "only the CPU could",
                "(avdec_h264, openh264dec), which a production build refuses",
                "h264parse ! v4l2slh264dec (",
            ],
        ),
        (
            no_plan(
                &[
                    vga("NV12"),
                    offered("image/jpeg", Handover::Exported, &[((1920, 1080), 30)]),
                ],
                large,
                SOFTWARE,
                Production,
            ),
            (Obstacle::NeedsCpu, "NEEDS_CPU"),
            FaultKind::Missing,
            &[
                "of what it gives in that size and at that rate (",
                "which a production build refuses",
            ],
        ),
        (
            no_plan(&[from(Drawn, "NV12")], none, "", Production),
            (Obstacle::NeedsCpu, "NEEDS_CPU"),
            FaultKind::Missing,
            &["gives, which a production build refuses"],
        ),
        (
            no_plan(&[from(Process, "NV12")], none, "", Production),
            (Obstacle::Missing, "NO_PLAN"),
            FaultKind::Missing,
            &["NV12 (its frames would be in memory that can't be handed"],
        ),
        (
            no_plan(
                &[vga("video/x-av1"), vga("video/x-vp9")],
                none,
                EVERYTHING,
                Development,
            ),
            (Obstacle::NoRule, "NO_PLAN"),
            FaultKind::Unsupported,
            &[
                "v4l2:cam gives no format that can be turned into NV12; it offers video/x-av1, video/x-vp9",
            ],
        ),
        (
            no_plan(&[vga("NV12")], large, EVERYTHING, Development),
            (Obstacle::NotOffered, "NO_PLAN"),
            FaultKind::Unsupported,
            &["NV12: the camera does not give it in 1920x1080, only in 640x480"],
        ),
        (
            no_plan(&[], none, EVERYTHING, Development),
            (Obstacle::NotOffered, "NO_PLAN"),
            FaultKind::Unsupported,
            &["v4l2:cam offers no format"],
        ),
    ] {
        assert_eq!((error.obstacle(), error.reason()), obstacle, "{error}");
        for part in parts {
            assert!(error.to_string().contains(part), "{part} in {error}");
        }
        assert!(!error.hint().is_empty());
        assert_eq!(Fault::from(error).kind, kind);
    }
}

/// In production nobody is told to install what the build refuses.
#[test]
fn a_production_build_advises_no_software() {
    let id = DeviceId::new(Transport::Rtsp, "door");
    let machine = machine("h264parse", &[]);
    let error = explained(
        &[vga("video/x-h264")],
        Wish::default(),
        &machine,
        Production,
    )
    .into_plan(&id);
    let text = error.unwrap_err().to_string();
    assert!(!text.contains("apt install"), "{text}");
}

#[test]
fn rules_that_are_put_in_front_win_among_equals() {
    let profile = Rule {
        name: "board".to_owned(),
        input: vec!["YUY2".to_owned()],
        steps: vec!["vapostproc scale-method=fast".parse().unwrap()],
        kind: Kind::Hardware,
        ends_in: EndsIn::Driver,
        copies: Copies {
            cpu: 0,
            hardware: 1,
        },
        devices: Vec::new(),
        unless: Vec::new(),
        package: String::new(),
        why: String::new(),
        origin: String::new(),
    };
    let mut rules = built_in();
    rules.ways.insert(0, profile);
    let (offer, machine) = (
        Offer {
            formats: vec![vga("YUY2")],
            pool: None,
        },
        machine(EVERYTHING, &[]),
    );
    let request = Request {
        offer: &offer,
        wish: Wish::default(),
        machine: &machine,
        build: Production,
        rules: &rules,
    };
    let plan = explain(&request).chosen.unwrap();
    assert_eq!(
        (plan.rule.as_str(), plan.steps[0].to_string().as_str()),
        ("board", "vapostproc scale-method=fast")
    );
}

#[test]
fn an_offer_joins_the_modes_of_a_format() {
    let capability = |format: &str, size| crate::Capability {
        format: format.to_owned(),
        sizes: Sizes::Discrete(vec![size]),
        rates: Rates::Discrete(vec![fps(30)]),
    };
    let capabilities = [
        capability("NV12", (640, 480)),
        capability("YUY2", (640, 480)),
        capability("NV12", (320, 240)),
    ];
    let offer = Offer::new(&capabilities, |format| {
        if format == "NV12" {
            vec![Labelled, Exported]
        } else {
            vec![Exported]
        }
    });
    let shown: Vec<_> = offer
        .formats
        .iter()
        .map(|f| (f.format.as_str(), f.handover, f.modes.len()))
        .collect();
    assert_eq!(
        shown,
        [
            ("NV12", Labelled, 2),
            ("NV12", Exported, 2),
            ("YUY2", Exported, 1)
        ]
    );
}
