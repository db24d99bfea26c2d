//! Which camera a video node is: ids that survive reboots and other cameras, from what sysfs says.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use mos_camera_core::{DeviceId, Transport};

/// A video node as sysfs describes it (Documentation/ABI/testing/sysfs-class-video4linux).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    /// Kernel name, `video0`.
    pub(super) name: String,
    /// What the driver calls it.
    pub(super) label: String,
    /// Number among the nodes of one driver instance.
    index: u32,
    /// Where it hangs.
    parent: Parent,
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
    },
    /// Anything else, by bus and name, such as `platform` and `vivid.0`.
    Other { bus: String, name: String },
}

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

    fn identity(&self) -> String {
        match &self.parent {
            Parent::Usb {
                vendor,
                product,
                serial,
                port,
            } => {
                format!("{vendor}:{product}:{}", serial.as_ref().unwrap_or(port))
            }
            Parent::Other { bus, name } => format!("{bus}-{name}"),
        }
    }

    /// What tells nodes of one identity apart, from the most to the least telling.
    fn distinctions(&self) -> [String; 4] {
        let port = match &self.parent {
            Parent::Usb { port, .. } => port.clone(),
            Parent::Other { .. } => String::new(),
        };
        [
            port,
            self.label.clone(),
            self.index.to_string(),
            self.name.clone(),
        ]
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
            nodes.extend(read(&entry.path(), name)?);
        }
    }
    nodes.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(nodes)
}

/// Reads a node; `None` if it went away meanwhile.
fn read(dir: &Path, name: String) -> io::Result<Option<Node>> {
    let node = || -> io::Result<Node> {
        let device = fs::canonicalize(dir.join("device"))?;
        Ok(Node {
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

fn attribute(path: &Path) -> io::Result<String> {
    Ok(fs::read_to_string(path)?.trim().to_owned())
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
/// Nodes that would share one (cameras of one model with one serial number, several nodes of one device) get what tells
/// them apart appended, all of them: an id never silently means another camera than before.
pub(super) fn ids(nodes: &[Node]) -> Vec<DeviceId> {
    let mut names: Vec<String> = nodes.iter().map(Node::identity).collect();
    for level in 0..4 {
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
    let id = |(name, node): (String, &Node)| DeviceId::new(node.transport(), &name);
    names.into_iter().zip(nodes).map(id).collect()
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

    fn usb(name: &str, serial: Option<&str>, port: &str, index: u32) -> Node {
        let parent = Parent::Usb {
            vendor: "046d".to_owned(),
            product: "0825".to_owned(),
            serial: serial.map(str::to_owned),
            port: port.to_owned(),
        };
        Node {
            name: name.to_owned(),
            label: "UVC Camera (046d:0825)".to_owned(),
            index,
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
            index: 0,
            parent,
        }
    }

    fn names(nodes: &[Node]) -> Vec<String> {
        ids(nodes).iter().map(DeviceId::to_string).collect()
    }

    #[test]
    fn a_camera_is_known_by_its_serial_or_else_by_its_port() {
        assert_eq!(
            names(&[usb("video0", Some("4F2A11"), "1-4", 0)]),
            ["usb:046d:0825:4F2A11"]
        );
        assert_eq!(
            names(&[usb("video3", None, "1-4.2", 0)]),
            ["usb:046d:0825:1-4.2"]
        );
        assert_eq!(
            names(&[vivid("video0", "vivid-000-vid-cap")]),
            ["v4l2:platform-vivid.0"]
        );
    }

    #[test]
    fn nodes_that_would_share_an_id_are_told_apart() {
        for (nodes, expected) in [
            (
                vec![
                    usb("video0", Some("1"), "1-1", 0),
                    usb("video2", Some("1"), "1-2", 0),
                ],
                ["usb:046d:0825:1@1-1", "usb:046d:0825:1@1-2"],
            ),
            (
                vec![
                    usb("video0", Some("1"), "1-1", 0),
                    usb("video2", Some("1"), "1-1", 2),
                ],
                ["usb:046d:0825:1@0", "usb:046d:0825:1@2"],
            ),
            (
                vec![
                    vivid("video0", "vivid-000-vid-cap"),
                    vivid("video1", "vivid-001-vid-cap"),
                ],
                [
                    "v4l2:platform-vivid.0@vivid-000-vid-cap",
                    "v4l2:platform-vivid.0@vivid-001-vid-cap",
                ],
            ),
            (
                vec![vivid("video0", "same"), vivid("video1", "same")],
                [
                    "v4l2:platform-vivid.0@video0",
                    "v4l2:platform-vivid.0@video1",
                ],
            ),
        ] {
            assert_eq!(names(&nodes), expected);
        }
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
        write(&format!("{node}/name"), "UVC Camera\n");
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
    }

    #[test]
    fn a_kernel_without_v4l2_has_no_nodes() {
        assert_eq!(nodes(Path::new("/nonexistent/video4linux")).unwrap(), []);
    }
}
