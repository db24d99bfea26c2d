//! Which camera a video node is: ids that survive reboots, other ports and other cameras, from what sysfs says.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use mos_camera_core::{DeviceId, Transport};

/// A video node as sysfs describes it (Documentation/ABI/testing/sysfs-class-video4linux).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    /// Kernel name, `video0`.
    pub(super) name: String,
    /// What the driver calls it.
    pub(super) label: String,
    /// This appearance of the node: another one when it was unplugged and plugged in again, even under the same name.
    pub(super) instance: Instance,
    /// Number among the nodes of one driver instance.
    pub(super) index: u32,
    /// Where it hangs.
    parent: Parent,
}

/// One appearance of a node: its folder in sysfs, whose inode number the kernel does not give again.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Instance {
    folder: PathBuf,
    inode: u64,
}

/// The device that a node belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Parent {
    Usb {
        vendor: String,
        product: String,
        serial: Option<String>,
        /// Bus and ports up to the camera, `1-4.2`: where it is plugged in.
        port: String,
        /// `bInterfaceNumber` of the video interface: a device may have several.
        interface: u32,
    },
    /// Anything else, by bus and name, such as `platform` and `vivid.0`.
    Other { bus: String, name: String },
}

/// The ids that cameras were given so far, by what they are and where they were plugged in.
///
/// Only cameras that claim the same serial number need it: the one that had an id first keeps it.
#[derive(Debug, Default)]
pub(super) struct Given(HashMap<(String, String), DeviceId>);

impl Node {
    /// Its path under `/dev`.
    pub(super) fn path(&self) -> PathBuf {
        Path::new("/dev").join(&self.name)
    }

    /// Its transport.
    pub(super) fn transport(&self) -> Transport {
        match self.parent {
            Parent::Usb { .. } => Transport::UsbUvc,
            Parent::Other { .. } => Transport::V4l2,
        }
    }

    /// What it is by itself. A USB camera has its serial number or else its port, and what of it this node is, if it has several.
    fn identity(&self) -> String {
        match &self.parent {
            Parent::Usb {
                vendor,
                product,
                serial,
                port,
                interface,
            } => {
                // What has a meaning in ids has none in a serial number.
                let which = slug(serial.as_ref().unwrap_or(port));
                let interface = suffix("if", *interface);
                let index = suffix("", self.index);
                format!("{vendor}:{product}:{which}{interface}{index}")
            }
            Parent::Other { bus, name } => format!("{bus}-{name}"),
        }
    }

    /// Where it is plugged in; empty if that is part of its identity already, or it is no USB camera.
    fn port(&self) -> &str {
        match &self.parent {
            Parent::Usb {
                serial: Some(_),
                port,
                ..
            } => port,
            _ => "",
        }
    }

    /// What tells nodes of one device apart, from the most to the least telling.
    fn distinctions(&self) -> [String; 3] {
        [
            self.label.clone(),
            self.index.to_string(),
            self.name.clone(),
        ]
    }
}

/// `@` and a number, unless it is 0, which the first, and mostly only one has.
fn suffix(what: &str, number: u32) -> String {
    if number == 0 {
        String::new()
    } else {
        format!("@{what}{number}")
    }
}

/// The video nodes of this machine; none if the kernel has no V4L2.
pub(super) fn nodes(sysfs: &Path) -> io::Result<Vec<Node>> {
    let entries = match fs::read_dir(sysfs) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut nodes = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("video") {
            match read(&entry.path(), name) {
                Ok(node) => nodes.extend(node),
                // One that can't be read must not hide the others.
                Err(error) => {
                    tracing::warn!(node = %entry.path().display(), %error, "the video node is left out");
                }
            }
        }
    }
    nodes.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(nodes)
}

/// Reads a node; `None` if it went away meanwhile.
fn read(dir: &Path, name: String) -> io::Result<Option<Node>> {
    let node = || -> io::Result<Node> {
        let folder = fs::canonicalize(dir)?;
        let device = fs::canonicalize(dir.join("device"))?;
        let inode = fs::metadata(&folder)?.ino();
        Ok(Node {
            instance: Instance { folder, inode },
            label: attribute(&dir.join("name"))?,
            index: attribute(&dir.join("index"))?.parse().unwrap_or(0),
            parent: parent(&device)?,
            name,
        })
    };
    match node() {
        Err(error) if gone(&error) => Ok(None),
        node => node.map(Some),
    }
}

/// Unplugging makes paths vanish, and reads of open attributes fail with `ENODEV`.
fn gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(19)
}

/// An attribute as text. A camera's name may be cut off in the middle of a character.
fn attribute(path: &Path) -> io::Result<String> {
    let bytes = fs::read(path)?;
    Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
}

/// The device of a node; of a USB interface its USB device, which has the descriptors.
fn parent(device: &Path) -> io::Result<Parent> {
    let bus = file_name(&fs::canonicalize(device.join("subsystem"))?);
    match device.parent() {
        Some(usb) if bus == "usb" && usb.join("idVendor").exists() => Ok(Parent::Usb {
            vendor: attribute(&usb.join("idVendor"))?,
            product: attribute(&usb.join("idProduct"))?,
            serial: attribute(&usb.join("serial"))
                .ok()
                .filter(|serial| !serial.is_empty()),
            port: file_name(usb),
            // Hexadecimal (Documentation/ABI/testing/sysfs-bus-usb).
            interface: attribute(&device.join("bInterfaceNumber"))
                .ok()
                .and_then(|number| u32::from_str_radix(&number, 16).ok())
                .unwrap_or(0),
        }),
        _ => Ok(Parent::Other {
            bus,
            name: file_name(device),
        }),
    }
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// Gives every node an id of its own.
///
/// `kept` tells which id a node has had since it appeared: that does not change while it is there, whoever else comes.
///
/// A USB camera is known by its serial number and keeps its id in any port. If several claim the same serial number, the
/// one that had the id first keeps it, also if it is plugged in anew, and the others get their port appended; cameras
/// that appear together get it all, for an id must not mean one camera today and another one tomorrow.
pub(super) fn ids(
    nodes: &[Node],
    kept: impl Fn(&Node) -> Option<DeviceId>,
    given: &mut Given,
) -> Vec<DeviceId> {
    let kept: Vec<_> = nodes.iter().map(kept).collect();
    let mut held: Vec<DeviceId> = kept.iter().flatten().cloned().collect();
    let of_platform = platform_names(nodes);
    let before: Vec<DeviceId> = given.0.values().cloned().collect();
    nodes
        .iter()
        .zip(kept)
        .zip(of_platform)
        .map(|((node, kept), platform)| match (kept, node.transport()) {
            (Some(id), _) => id,
            (None, Transport::UsbUvc) => {
                let id = new_id(node, nodes, &held, &before, given);
                held.push(id.clone());
                given
                    .0
                    .insert((node.identity(), node.port().to_owned()), id.clone());
                id
            }
            (None, transport) => DeviceId::new(transport, &platform),
        })
        .collect()
}

/// The id of a USB camera that just appeared; `held` are those of cameras that are there, `before` those ever given.
fn new_id(
    node: &Node,
    nodes: &[Node],
    held: &[DeviceId],
    before: &[DeviceId],
    given: &Given,
) -> DeviceId {
    let identity = node.identity();
    let free = |id: &DeviceId| !held.contains(id);
    let here = (identity.clone(), node.port().to_owned());
    if let Some(had) = given
        .0
        .get(&here)
        .filter(|id| before.contains(id) && free(id))
    {
        return had.clone();
    }
    let plain = DeviceId::new(Transport::UsbUvc, &identity);
    let alone = nodes.iter().filter(|n| n.identity() == identity).count() == 1;
    if free(&plain) && (alone || before.contains(&plain)) {
        return plain;
    }
    DeviceId::new(
        Transport::UsbUvc,
        &format!("{identity}@{}", slug(node.port())),
    )
}

/// Names of the nodes that are not on USB. Nodes that would share one (several nodes of one device) get what tells them
/// apart appended, all of them.
fn platform_names(nodes: &[Node]) -> Vec<String> {
    let mut names: Vec<String> = nodes.iter().map(Node::identity).collect();
    for level in 0..3 {
        let mut counts = HashMap::<String, usize>::new();
        for name in &names {
            *counts.entry(name.clone()).or_default() += 1;
        }
        for (name, node) in names.iter_mut().zip(nodes) {
            let distinction = &node.distinctions()[level];
            if counts[name.as_str()] > 1
                && tells_apart(nodes, node, level)
                && !distinction.is_empty()
            {
                *name = format!("{name}@{}", slug(distinction));
            }
        }
    }
    names
}

/// Whether nodes of the same identity differ at this level at all.
fn tells_apart(nodes: &[Node], node: &Node, level: usize) -> bool {
    let same = |other: &&Node| other.identity() == node.identity();
    let here = &node.distinctions()[level];
    nodes
        .iter()
        .filter(same)
        .any(|other| other.distinctions()[level] != *here)
}

fn slug(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') {
                c
            } else {
                '_'
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn instance(number: u64) -> Instance {
        Instance {
            folder: PathBuf::from("/sys"),
            inode: number,
        }
    }

    /// A camera that appeared as the `number`th.
    fn usb(number: u64, serial: Option<&str>, port: &str) -> Node {
        let parent = Parent::Usb {
            vendor: "046d".to_owned(),
            product: "0825".to_owned(),
            serial: serial.map(str::to_owned),
            port: port.to_owned(),
            interface: 0,
        };
        Node {
            name: format!("video{number}"),
            label: "UVC Camera (046d:0825)".to_owned(),
            instance: instance(number),
            index: 0,
            parent,
        }
    }

    fn vivid(name: &str, label: &str) -> Node {
        let parent = Parent::Other {
            bus: "platform".to_owned(),
            name: "vivid.0".to_owned(),
        };
        Node {
            name: name.to_owned(),
            label: label.to_owned(),
            instance: instance(0),
            index: 0,
            parent,
        }
    }

    fn names(nodes: &[Node]) -> Vec<String> {
        ids(nodes, |_| None, &mut Given::default())
            .iter()
            .map(DeviceId::to_string)
            .collect()
    }

    #[test]
    fn a_camera_is_known_by_its_serial_or_else_by_its_port() {
        assert_eq!(
            names(&[usb(0, Some("4F2A11"), "1-4")]),
            ["usb:046d:0825:4F2A11"]
        );
        assert_eq!(names(&[usb(3, None, "1-4.2")]), ["usb:046d:0825:1-4.2"]);
        assert_eq!(
            names(&[vivid("video0", "vivid-000-vid-cap")]),
            ["v4l2:platform-vivid.0"]
        );
    }

    #[test]
    fn a_serial_number_can_not_pass_for_a_port() {
        assert_eq!(
            names(&[usb(0, Some("S@1-3"), "1-1"), usb(1, Some("A 1"), "1-2")]),
            ["usb:046d:0825:S_1-3", "usb:046d:0825:A_1"]
        );
    }

    #[test]
    fn identical_cameras_without_serial_numbers_are_told_apart_by_port() {
        assert_eq!(
            names(&[usb(0, None, "1-1"), usb(2, None, "1-2")]),
            ["usb:046d:0825:1-1", "usb:046d:0825:1-2"]
        );
    }

    #[test]
    fn further_nodes_of_a_camera_say_which_they_are_whether_or_not_the_first_is_there() {
        let mut infrared = usb(2, Some("1"), "1-1");
        infrared.index = 2;
        let mut depth = usb(4, Some("1"), "1-1");
        if let Parent::Usb { interface, .. } = &mut depth.parent {
            *interface = 3;
        }
        assert_eq!(
            names(&[infrared.clone(), depth.clone()]),
            ["usb:046d:0825:1@2", "usb:046d:0825:1@if3"]
        );
        assert_eq!(
            names(&[usb(0, Some("1"), "1-1"), infrared, depth]),
            [
                "usb:046d:0825:1",
                "usb:046d:0825:1@2",
                "usb:046d:0825:1@if3"
            ]
        );
    }

    #[test]
    fn nodes_of_one_platform_device_are_told_apart() {
        for (nodes, expected) in [
            (
                [
                    vivid("video0", "vivid-000-vid-cap"),
                    vivid("video1", "vivid-001-vid-cap"),
                ],
                [
                    "v4l2:platform-vivid.0@vivid-000-vid-cap",
                    "v4l2:platform-vivid.0@vivid-001-vid-cap",
                ],
            ),
            (
                [vivid("video0", "same"), vivid("video1", "same")],
                [
                    "v4l2:platform-vivid.0@video0",
                    "v4l2:platform-vivid.0@video1",
                ],
            ),
        ] {
            assert_eq!(names(&nodes), expected);
        }
    }

    /// Which cameras are there, each by its appearance and port, and the ids that they have.
    type Step<'a> = (&'a [(u64, &'a str)], &'a [&'a str]);

    /// Cameras come and go.
    fn play(steps: &[Step<'_>]) {
        let mut given = Given::default();
        let mut kept: HashMap<Instance, DeviceId> = HashMap::new();
        for (there, expected) in steps {
            let nodes: Vec<_> = there
                .iter()
                .map(|(number, port)| usb(*number, Some("1"), port))
                .collect();
            kept.retain(|instance, _| nodes.iter().any(|node| node.instance == *instance));
            let ids = ids(&nodes, |node| kept.get(&node.instance).cloned(), &mut given);
            let rests: Vec<_> = ids
                .iter()
                .map(|id| id.rest().trim_start_matches("046d:0825:"))
                .collect();
            assert_eq!(rests, *expected, "{there:?}");
            for (node, id) in nodes.iter().zip(ids) {
                kept.insert(node.instance.clone(), id);
            }
        }
    }

    #[test]
    fn a_camera_keeps_its_id_when_it_is_moved_to_another_port() {
        play(&[
            (&[(0, "1-1")], &["1"]),
            (&[], &[]),
            (&[(1, "1-3")], &["1"]),
            (&[], &[]),
            (&[(2, "1-1")], &["1"]),
        ]);
    }

    #[test]
    fn a_second_camera_with_the_same_serial_number_does_not_disturb_the_first() {
        play(&[
            (&[(0, "1-1")], &["1"]),
            (&[(0, "1-1"), (1, "1-2")], &["1", "1@1-2"]),
            // The first is plugged in anew, in the same port and in another one.
            (&[(1, "1-2")], &["1@1-2"]),
            (&[(2, "1-1"), (1, "1-2")], &["1", "1@1-2"]),
            (&[(1, "1-2")], &["1@1-2"]),
            (&[(1, "1-2"), (3, "1-3")], &["1@1-2", "1"]),
            // The second is plugged in anew.
            (&[(3, "1-3")], &["1"]),
            (&[(4, "1-2"), (3, "1-3")], &["1@1-2", "1"]),
        ]);
    }

    #[test]
    fn cameras_with_the_same_serial_number_that_come_together_both_get_their_port() {
        play(&[
            (&[(0, "1-1"), (1, "1-2")], &["1@1-1", "1@1-2"]),
            (&[(1, "1-2")], &["1@1-2"]),
            (&[(1, "1-2"), (2, "1-1")], &["1@1-2", "1@1-1"]),
        ]);
    }

    #[test]
    fn sysfs_is_read_as_the_kernel_lays_it_out() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        let write = |path: &str, text: &str| fs::write(at(path), text).unwrap();
        let usb_device = "devices/usb1/1-4";
        for dir in [
            "class/video4linux",
            "bus/usb",
            &format!("{usb_device}/1-4:1.0/video4linux/video0"),
        ] {
            fs::create_dir_all(at(dir)).unwrap();
        }
        write("devices/usb1/1-4/idVendor", "046d\n");
        write("devices/usb1/1-4/idProduct", "0825\n");
        write("devices/usb1/1-4/serial", "4F2A11\n");
        let node = format!("{usb_device}/1-4:1.0/video4linux/video0");
        // Cut off in the middle of a character, as the kernel does with long names.
        fs::write(at(&format!("{node}/name")), b"UVC Camera \xe9\xab\n").unwrap();
        write(&format!("{node}/index"), "0\n");
        symlink(
            at("devices/usb1/1-4/1-4:1.0"),
            at(&format!("{node}/device")),
        )
        .unwrap();
        symlink(at("bus/usb"), at("devices/usb1/1-4/1-4:1.0/subsystem")).unwrap();
        symlink(at(&node), at("class/video4linux/video0")).unwrap();
        let found = nodes(&at("class/video4linux")).unwrap();
        assert_eq!(names(&found), ["usb:046d:0825:4F2A11"]);
        assert_eq!(found[0].path(), Path::new("/dev/video0"));
        assert!(found[0].label.starts_with("UVC Camera "));
    }

    #[test]
    fn a_kernel_without_v4l2_has_no_nodes() {
        assert_eq!(nodes(Path::new("/nonexistent/video4linux")).unwrap(), []);
    }
}
