//! The decision, by tables: boards of the mainline kernel, and machines that lack something.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// `file | model | compatible` of the device trees in Linux 7.3: all of Freescale's i.MX 8 and 9 and of Qualcomm, one of each other maker.
const BOARDS: &str = include_str!("../../tests/data/device-trees.txt");

struct Board {
    file: &'static str,
    compatible: &'static str,
}

fn boards() -> impl Iterator<Item = Board> {
    BOARDS
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let mut fields = line.split(" | ");
            let file = fields.next().unwrap();
            let compatible = fields.nth(1).expect(line);
            Board { file, compatible }
        })
}

/// As the kernel shows the property.
fn property(compatible: &str) -> Vec<u8> {
    let mut bytes = compatible.replace(' ', "\0").into_bytes();
    bytes.push(0);
    bytes
}

/// A machine with everything that any family could want, so that only the family decides.
fn with_everything(compatible: &str) -> Evidence {
    let elements =
        ["libcamerasrc", "qticamsrc"].map(|name| (name.to_owned(), ElementState::Usable));
    Evidence {
        compatible: strings(&property(compatible)),
        elements: elements.into(),
        ..Evidence::default()
    }
}

/// How the file of a device tree starts, and the family of its board.
const FAMILIES: &str = include_str!("../../tests/data/families.txt");

/// The family by the name of a tree's file, which the decision does not see.
fn by_file(file: &str) -> Family {
    let name = file.rsplit('/').next().unwrap();
    FAMILIES
        .lines()
        .filter_map(|line| line.split_once(" | "))
        .find(|(start, _)| name.starts_with(start))
        .map_or(Family::Generic, |(_, family)| family.parse().unwrap())
}

#[test]
fn every_board_of_the_mainline_kernel_is_known_or_is_none_of_ours() {
    let mut seen = [0; 3];
    let mut chips = BTreeMap::new();
    for board in boards() {
        let platform = decide(&with_everything(board.compatible), None);
        let expected = by_file(board.file);
        assert_eq!(
            platform.family, expected,
            "{}: {}",
            board.file, board.compatible
        );
        seen[Family::ALL.iter().position(|f| *f == expected).unwrap()] += 1;
        if let Some(soc) = platform.soc {
            *chips.entry(soc.name).or_insert(0) += 1;
        }
    }
    // As docs/boards.md says.
    let expected = [
        ("i.MX 8M Plus", 69),
        ("QCM6490/QCS6490", 9),
        ("QCS615", 2),
        ("QCS8300", 4),
        ("QCS8550", 2),
        ("QCS9100", 4),
    ];
    assert_eq!(chips, expected.into());
    assert_eq!(
        seen,
        [69, 21, 504],
        "boards of i.MX 8M Plus, of QCS, others"
    );
}

#[test]
fn every_name_of_a_family_s_trees_is_one_of_a_tree() {
    for line in FAMILIES.lines().filter(|line| !line.starts_with('#')) {
        let (start, _) = line.split_once(" | ").expect(line);
        let named = |board: Board| board.file.rsplit('/').next().unwrap().starts_with(start);
        assert!(boards().any(named), "no tree begins with {start}");
    }
}

/// Trees that Linux 7.3 does not have, with where each comes from.
const VENDORS: &str = include_str!("../../tests/data/vendor-trees.txt");

#[test]
fn trees_of_vendors_and_older_kernels_are_known_by_word_or_number() {
    let mut words = BTreeSet::new();
    for line in VENDORS.lines().filter(|line| !line.starts_with('#')) {
        let [source, _, compatible, soc_id, ground] = line.split(" | ").collect::<Vec<_>>()[..]
        else {
            panic!("{line}")
        };
        let evidence = Evidence {
            soc: of_driver("Snapdragon", soc_id),
            ..with_everything(compatible)
        };
        let platform = decide(&evidence, None);
        let expected = match ground {
            "-" => Ground::UnknownChip(compatible.to_owned()),
            id if id.starts_with(|c: char| c.is_ascii_digit()) => Ground::SocId(id.to_owned()),
            word => Ground::Compatible(word.to_owned()),
        };
        assert_eq!(platform.ground, expected, "{source}");
        let is_known = platform.family == Family::Qcs;
        assert_eq!(is_known, ground != "-", "{source}");
        words.insert(ground);
    }
    // No tree of Linux 7.3 is decided by these.
    for word in ["qcom,sa8775p", "qcom,qcs9075"] {
        assert!(words.contains(word), "no tree is decided by {word}");
    }
}

fn of_driver(family: &str, id: &str) -> SocIds {
    SocIds {
        family: Some(family.to_owned()),
        id: (id != "-").then(|| id.to_owned()),
    }
}

/// Each chip's word and numbers, written down once more: a number that is mistyped in one place differs from the other.
#[test]
fn every_chip_is_known_by_its_word_and_by_its_numbers() {
    const CHIPS: [(&str, &str, &[&str], &str); 8] = [
        ("i.MX 8M Plus", "fsl,imx8mp", &["i.MX8MP"], "Freescale i.MX"),
        (
            "QCM6490/QCS6490",
            "qcom,qcm6490",
            &["497", "498"],
            "Snapdragon",
        ),
        ("QCS8550", "qcom,qcs8550", &["603", "604"], "Snapdragon"),
        ("QCS8300", "qcom,qcs8300", &["674", "675"], "Snapdragon"),
        ("QCS9100", "qcom,qcs9100", &["667"], "Snapdragon"),
        ("QCS9075", "qcom,qcs9075", &["676"], "Snapdragon"),
        ("SA8775P", "qcom,sa8775p", &["534"], "Snapdragon"),
        ("QCS615", "qcom,qcs615", &["680"], "Snapdragon"),
    ];
    let known: Vec<_> = family::KNOWN.iter().map(|soc| soc.name).collect();
    assert_eq!(known, CHIPS.map(|(name, ..)| name));
    for (name, word, ids, maker) in CHIPS {
        let platform = decide(&with_everything(word), None);
        assert_eq!(platform.soc.map(|soc| soc.name), Some(name));
        assert_eq!(platform.ground, Ground::Compatible(word.to_owned()));
        for id in ids {
            let by_number = |maker: &str| {
                let evidence = Evidence {
                    soc: of_driver(maker, id),
                    ..with_everything("acme,board")
                };
                decide(&evidence, None)
            };
            let platform = by_number(maker);
            assert_eq!(platform.soc.map(|soc| soc.name), Some(name), "{id}");
            assert_eq!(platform.ground, Ground::SocId((*id).to_owned()));
            assert_eq!(by_number("Exynos").family, Family::Generic, "{id}");
        }
    }
    let numbers = family::KNOWN.iter().flat_map(|soc| soc.ids);
    let tried = CHIPS.iter().flat_map(|(_, _, ids, _)| *ids);
    assert!(numbers.eq(tried), "a number is in one of the lists only");
}

fn evidence(compatible: &str, elements: &[(&str, bool)], camera_service: bool) -> Evidence {
    let state = |usable| {
        if usable {
            ElementState::Usable
        } else {
            ElementState::Broken("libqmmf_recorder_client.so is missing".to_owned())
        }
    };
    Evidence {
        compatible: strings(&property(compatible)),
        elements: elements
            .iter()
            .map(|(name, usable)| ((*name).to_owned(), state(*usable)))
            .collect(),
        camera_service: if camera_service {
            CameraService::Listens
        } else {
            CameraService::Absent
        },
        ..Evidence::default()
    }
}

#[test]
fn the_best_that_is_there_drives_the_cameras() {
    const IMX: &str = "fsl,imx8mp-evk fsl,imx8mp";
    const QCS: &str = "qcom,qcs6490-rb3gen2 qcom,qcm6490";
    const RB5: &str = "qcom,qrb5165-rb5 qcom,sm8250";
    const PI: &str = "raspberrypi,5-model-b brcm,bcm2712";
    use CsiBackend::{Libcamera, Qmmf};
    use Family::{Generic, Imx8mp, Qcs};
    let libcamera = ("libcamerasrc", true);
    let new = ("qticamsrc", true);
    let old = ("qtiqmmfsrc", true);
    let broken = ("qticamsrc", false);
    for (compatible, elements, service, family, csi, element, problems) in [
        (
            IMX,
            &[libcamera][..],
            false,
            Imx8mp,
            Some(Libcamera),
            Some("libcamerasrc"),
            0,
        ),
        (IMX, &[], false, Imx8mp, None, None, 1),
        (
            IMX,
            &[("libcamerasrc", false)],
            false,
            Imx8mp,
            None,
            None,
            1,
        ),
        // Qualcomm's plugin alone makes no Qualcomm board.
        (
            IMX,
            &[libcamera, new],
            true,
            Imx8mp,
            Some(Libcamera),
            Some("libcamerasrc"),
            0,
        ),
        (QCS, &[new], true, Qcs, Some(Qmmf), Some("qticamsrc"), 0),
        (QCS, &[old], true, Qcs, Some(Qmmf), Some("qtiqmmfsrc"), 0),
        (
            QCS,
            &[old, new],
            true,
            Qcs,
            Some(Qmmf),
            Some("qticamsrc"),
            0,
        ),
        (
            QCS,
            &[broken, old],
            true,
            Qcs,
            Some(Qmmf),
            Some("qtiqmmfsrc"),
            0,
        ),
        (
            QCS,
            &[new, libcamera],
            true,
            Qcs,
            Some(Qmmf),
            Some("qticamsrc"),
            0,
        ),
        (
            QCS,
            &[new, libcamera],
            false,
            Qcs,
            Some(Libcamera),
            Some("libcamerasrc"),
            1,
        ),
        (QCS, &[broken], true, Qcs, None, None, 1),
        (
            QCS,
            &[libcamera],
            true,
            Qcs,
            Some(Libcamera),
            Some("libcamerasrc"),
            1,
        ),
        (QCS, &[], false, Qcs, None, None, 1),
        (RB5, &[new], true, Qcs, Some(Qmmf), Some("qticamsrc"), 0),
        (RB5, &[new], false, Generic, None, None, 0),
        (
            PI,
            &[libcamera],
            false,
            Generic,
            Some(Libcamera),
            Some("libcamerasrc"),
            0,
        ),
        (PI, &[], false, Generic, None, None, 0),
        ("", &[], false, Generic, None, None, 0),
        (
            "",
            &[libcamera, new],
            true,
            Generic,
            Some(Libcamera),
            Some("libcamerasrc"),
            0,
        ),
    ] {
        let platform = decide(&evidence(compatible, elements, service), None);
        let what = format!("{compatible} {elements:?} service {service}: {platform:?}");
        assert_eq!(platform.family, family, "{what}");
        assert_eq!(platform.csi, csi, "{what}");
        assert_eq!(platform.element, element, "{what}");
        assert_eq!(platform.problems.len(), problems, "{what}");
    }
}

#[test]
fn a_problem_says_what_is_wrong_and_what_is_done_instead() {
    let board = "qcom,qcs6490-rb3gen2 qcom,qcm6490";
    let libcamera = [("qticamsrc", true), ("libcamerasrc", true)];
    for (elements, service, says) in [
        (
            &libcamera[..],
            false,
            "the camera service does not listen at /run/cam_server/le_cam_socket; libcamera is used instead",
        ),
        (
            &[],
            true,
            "GStreamer has no element qticamsrc or qtiqmmfsrc; cameras on the chip's own inputs are driven as V4L2 nodes",
        ),
        (
            &[("qtiqmmfsrc", false)],
            true,
            "GStreamer lists qtiqmmfsrc, but can't make one: libqmmf_recorder_client.so is missing",
        ),
    ] {
        let platform = decide(&evidence(board, elements, service), None);
        let [problem] = &platform.problems[..] else {
            panic!("{platform:?}")
        };
        assert!(problem.message.contains(says), "{}", problem.message);
        assert!(problem.hint.contains("cam-server"));
    }
}

#[test]
fn the_kernel_names_the_chip_where_the_tree_does_not() {
    for (family, id, expected) in [
        (Some("Freescale i.MX"), Some("i.MX8MP"), Family::Imx8mp),
        (Some("Freescale i.MX"), Some("i.MX8MM"), Family::Generic),
        (Some("Snapdragon"), Some("498"), Family::Qcs),
        (Some("Snapdragon"), Some("519"), Family::Generic),
        // Somebody else's number.
        (Some("Exynos"), Some("498"), Family::Generic),
        (None, Some("498"), Family::Generic),
        (None, None, Family::Generic),
    ] {
        let evidence = Evidence {
            // An overlay that replaced the whole property, as gw73xx's did in Linux 6.12.
            compatible: vec!["gw,imx8mp-gw74xx".to_owned()],
            soc: SocIds {
                family: family.map(str::to_owned),
                id: id.map(str::to_owned),
            },
            ..Evidence::default()
        };
        assert_eq!(
            decide(&evidence, None).family,
            expected,
            "{family:?} {id:?}"
        );
    }
}

#[test]
fn the_configuration_has_the_last_word_and_what_was_found_is_kept() {
    let evidence = evidence(
        "fsl,imx8mp-evk fsl,imx8mp",
        &[("libcamerasrc", true), ("qticamsrc", true)],
        true,
    );
    let platform = decide(&evidence, Some(Family::Qcs));
    assert_eq!(
        (platform.family, platform.csi),
        (Family::Qcs, Some(CsiBackend::Qmmf))
    );
    assert_eq!(platform.ground, Ground::Configured);
    let found = Ground::Compatible("fsl,imx8mp".to_owned());
    assert_eq!(platform.overridden, Some((Family::Imx8mp, found)));
    assert_eq!(decide(&evidence, None).overridden, None);
}

#[test]
fn the_ground_is_told() {
    for (compatible, says) in [
        (
            "fsl,imx8mp-evk fsl,imx8mp",
            "the device tree says fsl,imx8mp",
        ),
        (
            "fsl,imx8mm-evk fsl,imx8mm",
            "the device tree names no known chip: fsl,imx8mm-evk fsl,imx8mm",
        ),
        ("", "there is no device tree"),
    ] {
        let platform = decide(&evidence(compatible, &[], false), None);
        assert_eq!(platform.ground.to_string(), says);
    }
}

#[test]
fn names_of_families_are_read_as_they_are_written() {
    for family in Family::ALL {
        assert_eq!(family.name().parse(), Ok(family));
    }
    assert!("imx8mm".parse::<Family>().is_err());
}

#[test]
fn a_profile_brings_boards_that_are_not_known_here() {
    let board = |compatible: &str, family, csi| super::Board {
        compatible: compatible.to_owned(),
        family,
        csi,
        origin: "/etc/x.toml".to_owned(),
    };
    let both = &[("libcamerasrc", true), ("qticamsrc", true)][..];
    for (tree, boards, configured, family, csi) in [
        (
            "acme,cam acme,chip",
            vec![],
            None,
            Family::Generic,
            Some(CsiBackend::Libcamera),
        ),
        (
            "acme,cam acme,chip",
            vec![board("acme,chip", Family::Imx8mp, None)],
            None,
            Family::Imx8mp,
            Some(CsiBackend::Libcamera),
        ),
        (
            "acme,cam acme,chip",
            vec![board("acme,chi", Family::Imx8mp, None)],
            None,
            Family::Generic,
            Some(CsiBackend::Libcamera),
        ),
        // It comes before what is known, and says what drives the cameras.
        (
            "acme,cam qcom,qcs8300",
            vec![board(
                "acme,cam",
                Family::Qcs,
                Some(vec![CsiBackend::Libcamera, CsiBackend::Qmmf]),
            )],
            None,
            Family::Qcs,
            Some(CsiBackend::Libcamera),
        ),
        (
            "acme,cam qcom,qcs8300",
            vec![],
            None,
            Family::Qcs,
            Some(CsiBackend::Qmmf),
        ),
        // The configuration has the last word.
        (
            "acme,cam acme,chip",
            vec![board("acme,chip", Family::Imx8mp, None)],
            Some(Family::Qcs),
            Family::Qcs,
            Some(CsiBackend::Qmmf),
        ),
    ] {
        let platform = decide_with(&evidence(tree, both, true), configured, &boards);
        assert_eq!(
            (platform.family, platform.csi),
            (family, csi),
            "{tree} {boards:?}"
        );
        let named = platform.ground.to_string().contains("/etc/x.toml");
        let by_profile = configured.is_none() && family != Family::Generic && !boards.is_empty();
        assert_eq!(named, by_profile, "{}", platform.ground);
        assert!(platform.problems.is_empty(), "{:?}", platform.problems);
    }
}

/// A service that starts later than this one, or lets it in later, is waited for where it would be used; the problem says what to do.
#[test]
fn a_camera_service_that_is_not_there_yet_is_awaited() {
    use CameraService::{Absent, Denied, Listens};
    const QCS: &str = "qcom,qcs6490-rb3gen2 qcom,qcm6490";
    const RB5: &str = "qcom,qrb5165-rb5 qcom,sm8250";
    const IMX: &str = "fsl,imx8mp-evk fsl,imx8mp";
    let (qmmf, libcamera) = (("qticamsrc", true), ("libcamerasrc", true));
    let broken = ("qticamsrc", false);
    for (compatible, elements, service, awaited, advice) in [
        (QCS, &[qmmf][..], Listens, false, None),
        (QCS, &[qmmf], Absent, true, Some("as soon as it listens")),
        (
            QCS,
            &[qmmf, libcamera],
            Absent,
            true,
            Some("as soon as it listens"),
        ),
        (
            QCS,
            &[qmmf, libcamera],
            Denied,
            true,
            Some("SupplementaryGroups="),
        ),
        (QCS, &[libcamera], Absent, false, Some("install")),
        (QCS, &[broken], Denied, false, Some("install")),
        // A chip that is not in the list is of the family once the service is there.
        (RB5, &[qmmf], Absent, true, None),
        (RB5, &[], Absent, false, None),
        (IMX, &[qmmf, libcamera], Absent, false, None),
    ] {
        let evidence = Evidence {
            camera_service: service,
            ..evidence(compatible, elements, false)
        };
        let platform = decide(&evidence, None);
        let case = format!("{compatible} {elements:?} {service:?}: {platform:?}");
        assert_eq!(platform.awaited.is_some(), awaited, "{case}");
        let hint = platform
            .problems
            .first()
            .map(|problem| problem.hint.as_str());
        assert_eq!(hint.is_some(), advice.is_some(), "{case}");
        assert!(
            hint.unwrap_or_default()
                .contains(advice.unwrap_or_default()),
            "{case}"
        );
        let denied = service == Denied && !elements.contains(&broken);
        let said = platform
            .refused
            .iter()
            .any(|r| r.why.contains("no permission"));
        assert_eq!(said, denied, "{case}");
    }
}
