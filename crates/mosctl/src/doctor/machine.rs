//! What the kernel shows of this machine.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use mos_camera_core::plan::Profiles;
use mos_camera_core::platform::{CAMERA_SERVICE, Family, strings};
use serde::Serialize;

/// Folders of device nodes that cameras and their memory have to do with, and how the nodes in them begin.
const NODES: [(&str, &str); 6] = [
    ("dev", "video"),
    ("dev", "media"),
    ("dev", "v4l-subdev"),
    ("dev/dma_heap", ""),
    ("dev", "udmabuf"),
    ("dev/dri", "renderD"),
];
/// Others: the GPU that Qualcomm's converters use, and its camera service.
const OTHERS: [&str; 2] = ["/dev/kgsl-3d0", CAMERA_SERVICE];

/// A machine.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Machine {
    /// As `6.12.117-arm64`.
    pub(crate) kernel: String,
    /// As `Debian GNU/Linux 13 (trixie)`.
    pub(crate) distribution: Option<String>,
    /// Device nodes, sorted by path.
    pub(crate) nodes: Vec<Node>,
    /// Hardware clocks that PTP can set, as the kernel names them.
    pub(crate) ptp_clocks: Vec<String>,
    /// Whether systemd's time service says that the time of day is right; none: it does not say.
    pub(crate) clock_synchronised: Option<bool>,
}

/// A device node, or a service's socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Node {
    pub(crate) path: String,
    /// What its driver calls it, where the kernel tells.
    pub(crate) name: Option<String>,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Name of the group, if /etc/group has it.
    pub(crate) group: Option<String>,
    /// Permission bits, in octal.
    pub(crate) mode: String,
}

impl Node {
    /// The group, as people call it.
    pub(crate) fn group(&self) -> String {
        self.group.clone().unwrap_or_else(|| self.gid.to_string())
    }
}

/// Looks at the machine whose files are under `root`, which is `/` but in tests; `named` are nodes that count there besides those that
/// count anywhere. What can't be read is left out.
pub(crate) fn look(root: &Path, named: &BTreeSet<String>) -> Machine {
    let groups = groups(&root.join("etc/group"));
    let paths: BTreeSet<_> = NODES
        .iter()
        .flat_map(|(folder, start)| in_folder(root, folder, start))
        .chain(OTHERS.map(str::to_owned))
        .chain(of_profiles())
        .chain(named.iter().cloned())
        .collect();
    let nodes = paths.into_iter();
    let nodes = nodes.filter_map(|path| node(root, path, &groups)).collect();
    let time_service = root.join("run/systemd/timesync");
    Machine {
        kernel: line(&root.join("proc/sys/kernel/osrelease")).unwrap_or_default(),
        distribution: distribution(&root.join("etc/os-release")),
        nodes,
        ptp_clocks: entries(&root.join("sys/class/ptp"))
            .iter()
            .filter_map(|clock| line(&clock.join("clock_name")))
            .collect(),
        // systemd-timesyncd.service(8): the file is there once the clock was set.
        clock_synchronised: time_service
            .is_dir()
            .then(|| time_service.join("synchronized").exists()),
    }
}

/// The paths of what a folder has of a kind.
fn in_folder(root: &Path, folder: &str, start: &str) -> Vec<String> {
    let path = |path: PathBuf| {
        let file = path.file_name()?.to_str()?;
        file.starts_with(start).then(|| format!("/{folder}/{file}"))
    };
    let found = entries(&root.join(folder)).into_iter();
    found.filter_map(path).collect()
}

/// The nodes that the profiles of this build ask for, of every family: decoders, converters, GPUs.
fn of_profiles() -> BTreeSet<String> {
    // They are part of the program and tested, so that they can be read; without them the report lacks some nodes.
    let Ok(profiles) = Profiles::built_in() else {
        return BTreeSet::new();
    };
    let rules = Family::ALL.map(|family| profiles.rules(family, &[]));
    let ways = rules.into_iter().flat_map(|rules| rules.ways);
    ways.flat_map(|rule| rule.devices).flatten().collect()
}

fn node(root: &Path, path: String, groups: &BTreeMap<u32, String>) -> Option<Node> {
    let about = fs::metadata(root.join(path.trim_start_matches('/')))
        .ok()
        .filter(|about| !about.is_dir())?;
    let file = path.rsplit('/').next().unwrap_or_default();
    let name = root.join("sys/class/video4linux").join(file).join("name");
    Some(Node {
        name: line(&name),
        uid: about.uid(),
        gid: about.gid(),
        group: groups.get(&about.gid()).cloned(),
        mode: format!("{:03o}", about.permissions().mode() & 0o777),
        path,
    })
}

/// Names of groups by number: group(5). Those that only a directory service knows have none here.
fn groups(path: &Path) -> BTreeMap<u32, String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let group = |line: &str| {
        let mut fields = line.split(':');
        let (name, gid) = (fields.next()?, fields.nth(1)?);
        Some((gid.parse().ok()?, name.to_owned()))
    };
    text.lines().filter_map(group).collect()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut paths: Vec<_> = entries.filter_map(Result::ok).map(|e| e.path()).collect();
    paths.sort();
    paths
}

fn line(path: &Path) -> Option<String> {
    strings(&fs::read(path).ok()?).into_iter().next()
}

/// `PRETTY_NAME` of os-release(5).
fn distribution(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(value.trim_matches(['"', '\'']).to_owned())
}

impl Machine {
    pub(crate) fn has(&self, start: &str) -> bool {
        self.nodes.iter().any(|node| node.path.starts_with(start))
    }

    pub(crate) fn render(&self) -> String {
        let clock = match self.clock_synchronised {
            Some(true) => "set by systemd-timesyncd",
            Some(false) => "not set by systemd-timesyncd yet",
            None => "who sets it is not known",
        };
        let mut text = format!(
            "machine\n  kernel    {}\n  system    {}\n  clock     {clock}\n",
            self.kernel,
            self.distribution.as_deref().unwrap_or("not known"),
        );
        for clock in &self.ptp_clocks {
            text.push_str(&format!("  ptp       {clock}\n"));
        }
        for node in &self.nodes {
            let name = node.name.as_deref().unwrap_or_default();
            text.push_str(&format!(
                "  {:<24} user {} group {} mode {} {name}\n",
                node.path,
                node.uid,
                node.group(),
                node.mode
            ));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn a_machine_is_read_from_its_files() {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in [
            ("proc/sys/kernel/osrelease", "6.12.117-arm64\n"),
            (
                "etc/os-release",
                "ID=debian\nPRETTY_NAME=\"Debian GNU/Linux 13 (trixie)\"\n",
            ),
            ("dev/video0", ""),
            ("dev/vhost-net", ""),
            ("dev/v4l-subdev3", ""),
            ("dev/kgsl-3d0", ""),
            ("dev/mxc_hantro", ""),
            ("dev/acme-blit", ""),
            ("dev/dma_heap/linux,cma", ""),
            ("sys/class/video4linux/video0/name", "mxc_isi.0.capture\n"),
            ("sys/class/ptp/ptp0/clock_name", "stmmac ptp\n"),
            ("run/systemd/timesync/synchronized", ""),
        ] {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let group = format!(
            "root:x:123456:\ncameras:x:{}:somebody\n",
            fs::metadata(root.path()).unwrap().gid()
        );
        fs::write(root.path().join("etc/group"), group).unwrap();
        fs::create_dir_all(root.path().join("run/cam_server")).unwrap();
        let socket = root.path().join("run/cam_server/le_cam_socket");
        let _service = UnixListener::bind(socket).unwrap();
        let named = ["/dev/acme-blit", "/dev/no-such-node"].map(str::to_owned);
        let machine = look(root.path(), &named.into());
        assert_eq!(machine.kernel, "6.12.117-arm64");
        assert_eq!(
            machine.distribution.as_deref(),
            Some("Debian GNU/Linux 13 (trixie)")
        );
        let paths: Vec<_> = machine
            .nodes
            .iter()
            .map(|node| node.path.as_str())
            .collect();
        assert_eq!(
            paths,
            [
                "/dev/acme-blit",
                "/dev/dma_heap/linux,cma",
                "/dev/kgsl-3d0",
                "/dev/mxc_hantro",
                "/dev/v4l-subdev3",
                "/dev/video0",
                "/run/cam_server/le_cam_socket",
            ]
        );
        assert_eq!(machine.nodes[5].name.as_deref(), Some("mxc_isi.0.capture"));
        assert_eq!(machine.nodes[5].group.as_deref(), Some("cameras"));
        assert_eq!(machine.ptp_clocks, ["stmmac ptp"]);
        assert_eq!(machine.clock_synchronised, Some(true));
        assert!(machine.has("/dev/dma_heap/") && !machine.has("/dev/udmabuf"));
        let text = machine.render();
        for line in [
            "kernel    6.12.117-arm64",
            "ptp       stmmac ptp",
            "mxc_isi.0.capture",
            "group cameras mode",
        ] {
            assert!(text.contains(line), "{text}");
        }
    }

    #[test]
    fn a_machine_without_any_of_it_is_one_too() {
        let root = tempfile::tempdir().unwrap();
        let machine = look(root.path(), &BTreeSet::new());
        assert!(machine.nodes.is_empty() && machine.clock_synchronised.is_none());
        assert!(machine.render().contains("who sets it is not known"));
    }
}
