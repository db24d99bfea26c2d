//! What cameras libcamera knows, asked of its device provider, which gives their properties as well as their caps.

use std::fs;
use std::path::Path;

use gst::prelude::*;
use mos_camera_core::{Capability, Control, Device, DeviceId, Fault, FaultKind, Health, Transport};

use crate::capabilities;

/// libcamera's device provider for GStreamer.
const PROVIDER: &str = "libcameraprovider";
/// What its properties are called by, before libcamera's own name for them.
const PREFIX: &str = "api.libcamera.";

/// Since which release libcamera's device provider tells the properties of cameras, with the nodes behind them.
const TELLS_NODES: [u32; 3] = [0, 5, 2];

/// Why a release of libcamera is not used: with nodes that nobody knows to be its, a camera would have two owners.
pub(crate) fn unfit(version: &str) -> Option<String> {
    let numbers: Vec<u32> = version
        .split(|c: char| !c.is_ascii_digit())
        .map_while(|number| number.parse().ok())
        .collect();
    let tells = numbers.len() < 2 || numbers[..] >= TELLS_NODES[..];
    let [major, minor, patch] = TELLS_NODES;
    (!tells).then(|| {
        format!(
            "libcamera {version} does not tell which video nodes are its cameras', so that each would be listed twice; {major}.{minor}.{patch} or newer does"
        )
    })
}

/// A camera as libcamera describes it.
#[derive(Debug, Clone)]
pub(super) struct Camera {
    /// Ours.
    pub(super) id: DeviceId,
    /// libcamera's: the sensor's path in the device tree, so it is the same after each start.
    pub(super) name: String,
    /// The sensor.
    pub(super) model: String,
    /// Where it looks, if that is known: `front`, `back` or `external`.
    pub(super) facing: Option<String>,
    /// By how many degrees its pictures have to be turned clockwise to be upright, if that is known.
    pub(super) rotation: Option<i32>,
    /// What it offers.
    pub(super) capabilities: Vec<Capability>,
    /// Device numbers of the video nodes behind it.
    pub(super) nodes: Vec<u64>,
    /// Those of them that one camera alone can use at a time, whatever libcamera says.
    pub(super) single: Vec<u64>,
}

/// Drivers of image signal processors with one way for pictures, by how the names of their nodes begin. libcamera's handler lets two
/// sensors of one processor be opened in one process, and only its kernel driver notices the second (`rkisp1.cpp`; `rkisp1-capture.c`).
/// Behind a receiver that has a way for each sensor (`mxc_isi`) cameras share nodes and do not disturb each other.
const SINGLE: [&str; 1] = ["rkisp1"];

/// libcamera's cameras, sorted by id; of those on USB only the `named`.
pub(super) fn cameras(named: &[DeviceId]) -> Result<Vec<Camera>, Fault> {
    let provider = gst::DeviceProviderFactory::by_name(PROVIDER).ok_or_else(|| {
        Fault::new(
            FaultKind::Missing,
            format!("GStreamer has no device provider `{PROVIDER}`"),
            "apt install gstreamer1.0-libcamera",
        )
    })?;
    let mut cameras: Vec<_> = provider
        .devices()
        .iter()
        .map(camera)
        .filter(|camera| is_ours(Path::new("/"), camera, named))
        .collect();
    cameras.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(cameras)
}

fn camera(device: &gst::Device) -> Camera {
    let name = device.display_name().to_string();
    let properties = device
        .properties()
        .unwrap_or_else(|| gst::Structure::new_empty("none"));
    let nodes = nodes(&properties);
    Camera {
        single: single(Path::new("/"), &nodes),
        id: DeviceId::new(Transport::MipiCsi, &name),
        model: text(&properties, "Model").unwrap_or_else(|| name.clone()),
        facing: facing(&properties),
        rotation: rotation(&properties),
        capabilities: device
            .caps()
            .map(|caps| capabilities::read(&caps))
            .unwrap_or_default(),
        nodes,
        name,
    }
}

/// In degrees, clockwise (libcamera's `property_ids_core.yaml`).
fn rotation(properties: &gst::StructureRef) -> Option<i32> {
    properties.get(format!("{PREFIX}Rotation")).ok()
}

fn text(properties: &gst::StructureRef, name: &str) -> Option<String> {
    properties.get(format!("{PREFIX}{name}")).ok()
}

/// `CameraLocationFront` as `front`; releases before 0.3 give its number.
fn facing(properties: &gst::StructureRef) -> Option<String> {
    let word = text(properties, "Location").or_else(|| {
        let number = properties.get::<i32>(format!("{PREFIX}Location")).ok()?;
        let words = ["Front", "Back", "External"];
        words
            .get(usize::try_from(number).ok()?)
            .map(|&word| word.to_owned())
    })?;
    Some(word.trim_start_matches("CameraLocation").to_lowercase())
}

/// The numbers of the nodes that pictures come from; cameras that are made up have none.
fn nodes(properties: &gst::StructureRef) -> Vec<u64> {
    let Ok(array) = properties.get::<gst::Array>(format!("{PREFIX}SystemDevices")) else {
        return Vec::new();
    };
    let number = |value: &gst::glib::SendValue| u64::try_from(value.get::<i64>().ok()?).ok();
    array.iter().filter_map(number).collect()
}

/// Those of the nodes that one camera alone can use at a time.
fn single(root: &Path, nodes: &[u64]) -> Vec<u64> {
    let is_single = |node: &&u64| {
        let (major, minor) = (rustix::fs::major(**node), rustix::fs::minor(**node));
        fs::read_to_string(root.join(format!("sys/dev/char/{major}:{minor}/name")))
            .is_ok_and(|name| SINGLE.iter().any(|driver| name.starts_with(driver)))
    };
    nodes.iter().filter(is_single).copied().collect()
}

/// Whether a camera is libcamera's to drive: USB cameras are V4L2's, which sees them come and go, but for those that the operator named.
fn is_ours(root: &Path, camera: &Camera, named: &[DeviceId]) -> bool {
    named.contains(&camera.id) || !camera.nodes.iter().any(|&node| is_usb(root, node))
}

/// Whether a device is on USB, by the path that the kernel gives it.
fn is_usb(root: &Path, number: u64) -> bool {
    let (major, minor) = (rustix::fs::major(number), rustix::fs::minor(number));
    let link = root.join(format!("sys/dev/char/{major}:{minor}"));
    fs::canonicalize(link).is_ok_and(|path| {
        path.components()
            .any(|part| part.as_os_str().to_string_lossy().starts_with("usb"))
    })
}

/// As it is listed, with the answer to the question which controls it has.
pub(super) fn device(camera: &Camera, controls: Result<Vec<Control>, Fault>) -> Device {
    let health = health(camera, controls.as_ref().err());
    Device {
        id: camera.id.clone(),
        transport: Transport::MipiCsi,
        model: camera.model.clone(),
        location: location(camera),
        capabilities: camera.capabilities.clone(),
        controls: controls.unwrap_or_default(),
        profiles: Vec::new(),
        health,
    }
}

/// `refusal`: why it could not be opened to be asked for its controls.
fn health(camera: &Camera, refusal: Option<&Fault>) -> Health {
    if camera.capabilities.is_empty() {
        return Health::Unusable("libcamera names no format that it gives".to_owned());
    }
    let Some(fault) = refusal else {
        return Health::Ready;
    };
    match fault.kind {
        FaultKind::Busy => Health::Busy(fault.to_string()),
        FaultKind::NoPermission => Health::NoPermission(fault.to_string()),
        _ => Health::Unusable(fault.to_string()),
    }
}

/// As `/base/soc/i2c@30a30000/ov5640@3c, front, rotated by 180 degrees`.
fn location(camera: &Camera) -> String {
    let turned = camera.rotation.filter(|&rotation| rotation != 0);
    let parts = [
        Some(camera.name.clone()),
        camera.facing.clone(),
        turned.map(|rotation| format!("rotated by {rotation} degrees")),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn properties(text: &str) -> gst::Structure {
        gst::init().unwrap();
        format!("camera-properties,{text}").parse().unwrap()
    }

    fn sensor() -> Camera {
        Camera {
            id: DeviceId::new(Transport::MipiCsi, "/base/i2c@1/ov5640@3c"),
            name: "/base/i2c@1/ov5640@3c".to_owned(),
            model: "ov5640".to_owned(),
            facing: Some("front".to_owned()),
            rotation: Some(180),
            capabilities: Vec::new(),
            nodes: Vec::new(),
            single: Vec::new(),
        }
    }

    #[test]
    fn where_a_camera_looks_is_read_in_either_form() {
        for (text, expected) in [
            (
                "api.libcamera.Location=(string)CameraLocationFront",
                Some("front"),
            ),
            ("api.libcamera.Location=(int)1", Some("back")),
            ("api.libcamera.Location=(int)2", Some("external")),
            ("api.libcamera.Location=(int)7", None),
            ("api.libcamera.Model=(string)ov5640", None),
        ] {
            assert_eq!(facing(&properties(text)).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_release_that_does_not_tell_nodes_is_not_used() {
        for (version, used) in [
            ("0.0.3", false),
            ("0.1.0+git20230914", false),
            ("0.4.0", false),
            ("0.5", false),
            ("0.5.1", false),
            ("0.5.2", true),
            ("0.6.0+rpt20251127", true),
            ("0.7.1-1~bpo13+1", true),
            ("1.0", true),
            ("10.0.0", true),
            // What a vendor calls its own is not held against it.
            ("kirkstone", true),
            ("", true),
        ] {
            let why = unfit(version);
            assert_eq!(why.is_none(), used, "{version}: {why:?}");
            assert!(why.is_none_or(|why| why.contains(version) && why.contains("0.5.2")));
        }
    }

    #[test]
    fn how_a_camera_is_mounted_and_called_is_read() {
        let read = |text: &str| {
            let properties = properties(text);
            (super::text(&properties, "Model"), rotation(&properties))
        };
        let full = "api.libcamera.Model=(string)ov5640,api.libcamera.Rotation=(int)180";
        assert_eq!(read(full), (Some("ov5640".to_owned()), Some(180)));
        assert_eq!(read("api.libcamera.Location=(int)1"), (None, None));
    }

    #[test]
    fn the_nodes_behind_a_camera_are_read() {
        for (text, expected) in [
            (
                "api.libcamera.SystemDevices=(gint64)<20736, 20737>",
                &[20736, 20737][..],
            ),
            ("api.libcamera.SystemDevices=(gint64)<-1>", &[]),
            ("api.libcamera.Rotation=(int)180", &[]),
        ] {
            assert_eq!(nodes(&properties(text)), expected, "{text}");
        }
    }

    #[test]
    fn cameras_on_usb_are_known_by_their_path() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("sys/dev/char");
        fs::create_dir_all(&folder).unwrap();
        for (node, path) in [
            (
                "81:0",
                "sys/devices/pci0000:00/0000:00:14.0/usb1/1-4/1-4:1.0/video4linux/video0",
            ),
            (
                "81:1",
                "sys/devices/platform/soc@0/32c00000.bus/32e10000.isp/video4linux/video1",
            ),
        ] {
            let target = root.path().join(path);
            fs::create_dir_all(&target).unwrap();
            symlink(&target, folder.join(node)).unwrap();
        }
        for (minor, expected) in [(0, true), (1, false), (2, false)] {
            let number = rustix::fs::makedev(81, minor);
            assert_eq!(is_usb(root.path(), number), expected, "81:{minor}");
            let camera = Camera {
                nodes: vec![number],
                ..sensor()
            };
            let named = [camera.id.clone()];
            assert_eq!(is_ours(root.path(), &camera, &[]), !expected, "81:{minor}");
            assert!(is_ours(root.path(), &camera, &named), "81:{minor}");
        }
    }

    #[test]
    fn nodes_of_a_processor_with_one_way_are_known_by_their_name() {
        let root = tempfile::tempdir().unwrap();
        for (node, name) in [
            ("81:0", "rkisp1_mainpath\n"),
            ("81:1", "mxc_isi.0.capture\n"),
        ] {
            let folder = root.path().join("sys/dev/char").join(node);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("name"), name).unwrap();
        }
        let nodes = [0, 1, 2].map(|minor| rustix::fs::makedev(81, minor));
        assert_eq!(single(root.path(), &nodes), [nodes[0]]);
    }

    #[test]
    fn the_place_says_how_the_camera_is_mounted() {
        let camera = sensor();
        let device = device(&camera, Ok(Vec::new()));
        assert_eq!(device.id.as_str(), "csi:/base/i2c@1/ov5640@3c");
        assert_eq!(
            device.location,
            "/base/i2c@1/ov5640@3c, front, rotated by 180 degrees"
        );
        assert!(matches!(device.health, Health::Unusable(_)));
    }
}
