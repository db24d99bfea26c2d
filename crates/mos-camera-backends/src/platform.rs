//! Looks at the machine that the service runs on, for [`mos_camera_core::platform`] to decide on.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use gst::prelude::*;
use mos_camera_core::platform::{
    Board, CsiBackend, ElementState, Evidence, Family, MediaDevice, Platform, SocIds, decide_with,
    strings,
};

use crate::libcamera;
use crate::qmmf::service;

/// Root of the device tree, as the kernel shows it.
const TREE: &str = "proc/device-tree";
/// What the kernel's driver of the chip tells.
const SOC: &str = "sys/devices/soc0";
/// What the firmware of a PC tells.
const DMI: &str = "sys/class/dmi/id";
/// The media controller's devices.
const MEDIA: &str = "sys/bus/media/devices";

/// The elements of this installation that drive cameras on a chip, to decide with on any number of machines.
#[derive(Debug, Clone)]
pub struct Probe {
    elements: BTreeMap<String, ElementState>,
}

impl Probe {
    /// Looks at the elements.
    ///
    /// Makes them, so GStreamer has to be initialised. May block on the file system.
    pub fn new() -> Self {
        Self {
            elements: elements(),
        }
    }

    /// Finds out what the machine is whose files are below `root`; `boards` are those that profiles tell of, `configured` overrules
    /// what is found.
    ///
    /// `root` is `/`, or a folder with what another machine shows there, for example its device tree. May block on the file system.
    pub fn machine(&self, root: &Path, configured: Option<Family>, boards: &[Board]) -> Platform {
        let evidence = Evidence {
            elements: self.elements.clone(),
            ..files(root)
        };
        decide_with(&evidence, configured, boards)
    }
}

impl Default for Probe {
    fn default() -> Self {
        Self::new()
    }
}

/// What files and sockets say.
fn files(root: &Path) -> Evidence {
    let tree = root.join(TREE);
    let soc = root.join(SOC);
    let first = |path: &Path| property(path).into_iter().next();
    Evidence {
        compatible: property(&tree.join("compatible")),
        model: first(&tree.join("model")).or_else(|| pc(&root.join(DMI))),
        soc: SocIds {
            family: first(&soc.join("family")),
            id: first(&soc.join("soc_id")),
        },
        elements: BTreeMap::new(),
        camera_service: service::look(root),
        media: media(&root.join(MEDIA)),
    }
}

/// The media devices that the kernel shows in `folder`, by number; none where it has no media controller.
fn media(folder: &Path) -> Vec<MediaDevice> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => {
            if error.kind() != ErrorKind::NotFound {
                tracing::warn!(path = %folder.display(), %error, "can't be read; the media devices are not known");
            }
            return Vec::new();
        }
    };
    let mut found: Vec<(u32, MediaDevice)> = entries
        .filter_map(Result::ok)
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let number = name.strip_prefix("media")?.parse().ok()?;
            let model = property(&entry.path().join("model")).into_iter().next();
            let device = MediaDevice {
                node: format!("/dev/{name}"),
                model: model.unwrap_or_default(),
            };
            Some((number, device))
        })
        .collect();
    found.sort_by_key(|(number, _)| *number);
    found.into_iter().map(|(_, device)| device).collect()
}

/// Maker and product of a PC.
fn pc(folder: &Path) -> Option<String> {
    let words: Vec<_> = ["sys_vendor", "product_name"]
        .iter()
        .flat_map(|name| property(&folder.join(name)))
        .collect();
    (!words.is_empty()).then(|| words.join(" "))
}

/// The strings of a property; none where there is no such file, which is the usual case on most machines.
fn property(path: &Path) -> Vec<String> {
    match fs::read(path) {
        Ok(bytes) => strings(&bytes),
        Err(error) => {
            if error.kind() != ErrorKind::NotFound {
                tracing::warn!(path = %path.display(), %error, "can't be read; the platform is decided without it");
            }
            Vec::new()
        }
    }
}

/// The camera elements that GStreamer lists, and whether they can be made.
fn elements() -> BTreeMap<String, ElementState> {
    [CsiBackend::Libcamera, CsiBackend::Qmmf]
        .iter()
        .flat_map(|backend| backend.elements())
        .filter_map(|&name| Some((name.to_owned(), state(name)?)))
        .collect()
}

/// What becomes of an element that is made: its library may have lost one of its own since the registry was written.
fn state(factory: &str) -> Option<ElementState> {
    let found = gst::ElementFactory::find(factory)?;
    Some(match found.create().build() {
        Ok(_) => unfit(&found).map_or(ElementState::Usable, ElementState::Unfit),
        Err(error) => ElementState::Broken(why_broken(&found).unwrap_or_else(|| error.to_string())),
    })
}

/// Why an element that works would do harm here.
fn unfit(factory: &gst::ElementFactory) -> Option<String> {
    let version = factory.plugin()?.version();
    CsiBackend::Libcamera
        .elements()
        .contains(&factory.name().as_str())
        .then(|| libcamera::unfit(&version))
        .flatten()
}

/// The loader's own words; GStreamer's say only that it did not work.
fn why_broken(factory: &gst::ElementFactory) -> Option<String> {
    let file = factory.plugin()?.filename()?;
    gst::Plugin::load_file(&file)
        .err()
        .map(|error| error.message().to_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use mos_camera_core::platform::{CameraService, Ground};

    use super::*;

    /// A machine of files.
    fn machine(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, bytes) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        root
    }

    #[test]
    fn a_board_is_read_as_the_kernel_shows_it() {
        let board = machine(&[
            (
                "proc/device-tree/compatible",
                b"fsl,imx8mp-evk\0fsl,imx8mp\0",
            ),
            ("proc/device-tree/model", b"NXP i.MX8MPlus EVK board\0"),
            ("sys/devices/soc0/family", b"Freescale i.MX\n"),
            ("sys/devices/soc0/soc_id", b"i.MX8MP\n"),
        ]);
        let evidence = files(board.path());
        assert_eq!(evidence.compatible, ["fsl,imx8mp-evk", "fsl,imx8mp"]);
        assert_eq!(evidence.model.as_deref(), Some("NXP i.MX8MPlus EVK board"));
        assert_eq!(evidence.soc.family.as_deref(), Some("Freescale i.MX"));
        assert_eq!(evidence.soc.id.as_deref(), Some("i.MX8MP"));
        assert_eq!(evidence.camera_service, CameraService::Absent);
    }

    #[test]
    fn a_pc_has_no_tree_and_is_called_by_its_firmware() {
        let pc = machine(&[
            ("sys/class/dmi/id/sys_vendor", b"QEMU\n"),
            (
                "sys/class/dmi/id/product_name",
                b"Standard PC (Q35 + ICH9, 2009)\n",
            ),
        ]);
        let evidence = files(pc.path());
        assert!(evidence.compatible.is_empty());
        assert_eq!(
            evidence.model.as_deref(),
            Some("QEMU Standard PC (Q35 + ICH9, 2009)")
        );
        assert_eq!(files(machine(&[]).path()), Evidence::default());
    }

    #[test]
    fn the_camera_service_is_there_while_its_socket_is() {
        let root = machine(&[("run/cam_server/other", b"")]);
        let path = root.path().join("run/cam_server/le_cam_socket");
        assert_eq!(files(root.path()).camera_service, CameraService::Absent);
        let _service = UnixListener::bind(&path).unwrap();
        assert_eq!(files(root.path()).camera_service, CameraService::Listens);
    }

    #[test]
    fn media_devices_are_found_with_their_models_in_the_order_of_their_numbers() {
        let root = machine(&[
            ("sys/bus/media/devices/media10/model", b"rkisp1\n"),
            ("sys/bus/media/devices/media2/model", b"mxc-isi\n"),
            // Its driver was taken away between the listing and the reading.
            ("sys/bus/media/devices/media1/uevent", b""),
            ("sys/bus/media/devices/other/model", b"no media device\n"),
        ]);
        let device = |node: &str, model: &str| MediaDevice {
            node: node.to_owned(),
            model: model.to_owned(),
        };
        assert_eq!(
            files(root.path()).media,
            [
                device("/dev/media1", ""),
                device("/dev/media2", "mxc-isi"),
                device("/dev/media10", "rkisp1"),
            ]
        );
    }

    #[test]
    fn an_unreadable_property_is_as_none() {
        // A folder where a file should be.
        let root = machine(&[("proc/device-tree/compatible/child", b"")]);
        assert!(files(root.path()).compatible.is_empty());
    }

    #[test]
    fn elements_are_made_to_know_whether_they_can_be() {
        gst::init().unwrap();
        assert_eq!(state("videotestsrc"), Some(ElementState::Usable));
        assert_eq!(state("no-such-element"), None);
    }

    #[test]
    fn the_whole_is_decided() {
        gst::init().unwrap();
        let board = machine(&[(
            "proc/device-tree/compatible",
            b"qcom,monaco-evk\0qcom,qcs8300\0",
        )]);
        let probe = Probe::new();
        let platform = probe.machine(board.path(), None, &[]);
        assert_eq!(platform.family, Family::Qcs);
        assert_eq!(
            platform.ground,
            Ground::Compatible("qcom,qcs8300".to_owned())
        );
        assert_eq!(
            probe
                .machine(board.path(), Some(Family::Imx8mp), &[])
                .family,
            Family::Imx8mp
        );
    }
}
