//! Nodes that the service needs and may not use.

use std::collections::BTreeMap;

use mos_camera_api::v1::{self, Access as Word};
use mos_camera_core::platform::{CAMERA_SERVICE, DENIED_HINT};
use serde::Serialize;

use super::Machine;
use super::machine::Node;
use crate::finding::{Finding, Level};
use crate::text;

/// Who the service is, and what it may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Access {
    uid: u32,
    gids: Vec<u32>,
    /// By path: `usable`, `denied`, `forbidden` by the unit's device policy, `gone`, or `unspecified`.
    nodes: BTreeMap<String, String>,
}

impl From<v1::CheckAccessResponse> for Access {
    fn from(answer: v1::CheckAccessResponse) -> Self {
        let word = |node: &v1::NodeAccess| text::enum_name(node.access().as_str_name(), "ACCESS_");
        Self {
            uid: answer.uid,
            gids: answer.gids,
            nodes: answer
                .nodes
                .iter()
                .map(|node| (node.path.clone(), word(node)))
                .collect(),
        }
    }
}

impl Access {
    fn is(&self, path: &str, word: Word) -> bool {
        let expected = text::enum_name(word.as_str_name(), "ACCESS_");
        self.nodes.get(path) == Some(&expected)
    }
}

/// What the service may not use or does not see, nodes of one owner and mode together.
pub(super) fn findings(machine: &Machine, access: &Access) -> Vec<Finding> {
    let has_memory = machine
        .nodes
        .iter()
        .any(|node| is_memory(node) && access.is(&node.path, Word::Usable));
    let mut denied: BTreeMap<_, Vec<&Node>> = BTreeMap::new();
    let mut forbidden: BTreeMap<Level, Vec<&Node>> = BTreeMap::new();
    let mut gone: BTreeMap<Level, Vec<&Node>> = BTreeMap::new();
    for node in &machine.nodes {
        // One place to have memory from is enough.
        if is_memory(node) && has_memory {
            continue;
        }
        let level = level(node);
        if access.is(&node.path, Word::Denied) && node.path != CAMERA_SERVICE {
            let alike = (level, node.gid, &node.mode);
            denied.entry(alike).or_default().push(node);
        } else if access.is(&node.path, Word::Forbidden) {
            forbidden.entry(level).or_default().push(node);
        } else if access.is(&node.path, Word::Gone) {
            gone.entry(level).or_default().push(node);
        }
    }
    let denied = denied
        .into_iter()
        .map(|((level, ..), nodes)| finding_of_denied(level, &nodes, access));
    let forbidden = forbidden
        .into_iter()
        .map(|(level, nodes)| finding_of_forbidden(level, &nodes));
    let gone = gone
        .into_iter()
        .map(|(level, nodes)| finding_of_gone(level, &nodes));
    let camera_service = of_camera_service(access);
    denied
        .chain(forbidden)
        .chain(gone)
        .chain(camera_service)
        .collect()
}

/// Of a socket that may be hidden from whoever runs this. Its folder may be what is refused, so its own group tells too little.
fn of_camera_service(access: &Access) -> Option<Finding> {
    access.is(CAMERA_SERVICE, Word::Denied).then(|| {
        Finding::new(
            Level::Problem,
            format!(
                "the service's user {} may not use {CAMERA_SERVICE}",
                access.uid
            ),
            DENIED_HINT,
        )
    })
}

fn finding_of_denied(level: Level, nodes: &[&Node], access: &Access) -> Finding {
    let paths = paths(nodes);
    // All are alike, and there is one.
    let Some(node) = nodes.first() else {
        return Finding::new(level, String::new(), "");
    };
    let (group, mode) = (node.group(), &node.mode);
    let what = format!("the service's user {} may not use {paths}", access.uid);
    let advice = if !may_group_write(mode) || node.gid == 0 {
        format!(
            "they are of group {group}, mode {mode}: a udev rule has to give them to a group of the service's, as `GROUP=\"video\", MODE=\"0660\"`"
        )
    } else if access.gids.contains(&node.gid) {
        format!(
            "they are of group {group}, mode {mode}, and the user is in it: look for access lists (getfacl), folders on the way, and rules of SELinux or AppArmor"
        )
    } else {
        format!(
            "its user is in no group that they are of ({group}, mode {mode}): put it in, by `SupplementaryGroups={group}` in a drop-in of the service's unit, and restart the service"
        )
    };
    Finding::new(level, what, advice)
}

fn finding_of_forbidden(level: Level, nodes: &[&Node]) -> Finding {
    let paths = paths(nodes);
    let allow: Vec<_> = nodes
        .iter()
        .map(|node| format!("`DeviceAllow={} rw`", node.path))
        .collect();
    Finding::new(
        level,
        format!("the service's unit does not let it use {paths}"),
        format!(
            "if it is to use them, add {} in a drop-in of the unit, and restart the service",
            allow.join(" ")
        ),
    )
}

/// What is here, and not where the service is.
fn finding_of_gone(level: Level, nodes: &[&Node]) -> Finding {
    Finding::new(
        level,
        format!("the service does not see {}", paths(nodes)),
        "they are not in the service's /dev or /run: look for `PrivateDevices=` in its unit (`systemctl cat mos-camera-capture`), or for a container that was not given them; if they were unplugged just now, run this again",
    )
}

fn paths(nodes: &[&Node]) -> String {
    let paths: Vec<_> = nodes.iter().map(|node| node.path.as_str()).collect();
    paths.join(", ")
}

/// Without these there is no camera; without others something slower is used.
fn level(node: &Node) -> Level {
    let of_cameras = [
        "/dev/video",
        "/dev/media",
        "/dev/v4l-subdev",
        CAMERA_SERVICE,
    ];
    if of_cameras.iter().any(|start| node.path.starts_with(start)) {
        Level::Problem
    } else {
        Level::Warning
    }
}

fn is_memory(node: &Node) -> bool {
    node.path.starts_with("/dev/dma_heap/") || node.path == "/dev/udmabuf"
}

/// Whether reading and writing are the group's, by a mode in octal.
fn may_group_write(mode: &str) -> bool {
    u32::from_str_radix(mode, 8).is_ok_and(|mode| mode & 0o060 == 0o060)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nodes as path, group, mode and what the service may do.
    fn found(nodes: &[(&str, u32, &str, Word)]) -> Vec<(Level, String, String)> {
        let node = |&(path, gid, mode, _): &(&str, u32, &str, Word)| Node {
            path: path.to_owned(),
            name: None,
            uid: 0,
            gid,
            group: (gid == 44).then(|| "video".to_owned()),
            mode: mode.to_owned(),
        };
        let machine = Machine {
            nodes: nodes.iter().map(node).collect(),
            ..Machine::default()
        };
        let access = Access::from(v1::CheckAccessResponse {
            uid: 997,
            gids: vec![997, 105],
            nodes: nodes
                .iter()
                .map(|&(path, _, _, access)| v1::NodeAccess {
                    path: path.to_owned(),
                    access: access.into(),
                })
                .collect(),
        });
        findings(&machine, &access)
            .into_iter()
            .map(|finding| (finding.level, finding.what, finding.advice))
            .collect()
    }

    #[test]
    fn what_may_be_used_is_no_finding() {
        assert_eq!(
            found(&[
                ("/dev/video0", 44, "660", Word::Usable),
                // Of what nothing is known.
                ("/dev/video2", 44, "660", Word::Unspecified),
            ]),
            []
        );
    }

    #[test]
    fn a_user_in_none_of_the_nodes_groups_is_told_which() {
        let [(level, what, advice)] = &found(&[
            ("/dev/media0", 44, "660", Word::Denied),
            ("/dev/video0", 44, "660", Word::Denied),
        ])[..] else {
            panic!("nodes that are alike are one finding")
        };
        assert_eq!(*level, Level::Problem);
        assert_eq!(
            what,
            "the service's user 997 may not use /dev/media0, /dev/video0"
        );
        assert!(advice.contains("in no group that they are of (video, mode 660)"));
        assert!(advice.contains("`SupplementaryGroups=video`"), "{advice}");
    }

    #[test]
    fn each_reason_has_its_advice() {
        for (node, level, says) in [
            (
                ("/dev/v4l-subdev0", 0, "600", Word::Denied),
                Level::Problem,
                "a udev rule",
            ),
            // Nobody is put in the superuser's group.
            (
                ("/dev/mxc_hantro", 0, "660", Word::Denied),
                Level::Warning,
                "a udev rule",
            ),
            (
                ("/dev/video0", 44, "640", Word::Denied),
                Level::Problem,
                "a udev rule",
            ),
            (
                ("/run/cam_server/le_cam_socket", 1000, "770", Word::Denied),
                Level::Problem,
                "its folder",
            ),
            (
                ("/dev/dri/renderD128", 105, "660", Word::Denied),
                Level::Warning,
                "access lists",
            ),
            (
                ("/dev/kgsl-3d0", 44, "666", Word::Forbidden),
                Level::Warning,
                "`DeviceAllow=/dev/kgsl-3d0 rw`",
            ),
        ] {
            let found = found(&[node]);
            let [(seen, what, advice)] = &found[..] else {
                panic!("{node:?}: {found:?}")
            };
            assert_eq!(*seen, level, "{node:?}");
            assert!(what.contains(node.0), "{what}");
            assert!(advice.contains(says), "{node:?}: {advice}");
        }
    }

    #[test]
    fn what_is_not_in_the_service_s_dev_is_told() {
        let found = found(&[
            ("/dev/media0", 44, "660", Word::Gone),
            ("/dev/video0", 44, "660", Word::Gone),
            ("/dev/dri/renderD128", 105, "660", Word::Gone),
            ("/dev/udmabuf", 109, "660", Word::Usable),
            ("/dev/dma_heap/system", 0, "600", Word::Gone),
        ]);
        let told: Vec<_> = found
            .iter()
            .map(|(level, what, _)| (*level, what.as_str()))
            .collect();
        assert_eq!(
            told,
            [
                (
                    Level::Problem,
                    "the service does not see /dev/media0, /dev/video0"
                ),
                (
                    Level::Warning,
                    "the service does not see /dev/dri/renderD128"
                ),
            ]
        );
        assert!(found[0].2.contains("`PrivateDevices=`"), "{found:?}");
    }

    #[test]
    fn a_camera_service_that_only_the_service_sees_is_told() {
        let access = |word: Word| {
            Access::from(v1::CheckAccessResponse {
                nodes: vec![v1::NodeAccess {
                    path: CAMERA_SERVICE.to_owned(),
                    access: word.into(),
                }],
                ..v1::CheckAccessResponse::default()
            })
        };
        for (word, expected) in [(Word::Denied, 1), (Word::Usable, 0), (Word::Gone, 0)] {
            let found = findings(&Machine::default(), &access(word));
            assert_eq!(found.len(), expected, "{word:?}: {found:?}");
        }
    }

    #[test]
    fn one_place_to_have_memory_from_is_enough() {
        let denied = ("/dev/dma_heap/system", 0, "600", Word::Denied);
        assert_eq!(found(&[denied]).len(), 1);
        assert_eq!(
            found(&[denied, ("/dev/udmabuf", 109, "660", Word::Usable)]),
            []
        );
        let all = [denied, ("/dev/udmabuf", 109, "660", Word::Denied)];
        assert_eq!(found(&all).len(), 2);
    }
}
