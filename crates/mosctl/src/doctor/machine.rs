//! What the kernel shows of this machine.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use mos_camera_core::platform::strings;
use serde::Serialize;

/// Folders of device nodes that cameras and their memory have to do with, and how the nodes in them begin.
const NODES: [(&str, &str); 5] = [
    ("dev", "video"),
    ("dev", "media"),
    ("dev/dma_heap", ""),
    ("dev", "udmabuf"),
    ("dev/dri", "renderD"),
];

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

/// A device node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Node {
    pub(crate) path: String,
    /// What its driver calls it, where the kernel tells.
    pub(crate) name: Option<String>,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Permission bits, in octal.
    pub(crate) mode: String,
}

/// Looks at the machine whose files are under `root`, which is `/` but in tests. What can't be read is left out.
pub(crate) fn look(root: &Path) -> Machine {
    let mut nodes: Vec<_> = NODES
        .iter()
        .flat_map(|(folder, start)| nodes(root, folder, start))
        .collect();
    nodes.sort_by(|a, b| a.path.cmp(&b.path));
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

fn nodes(root: &Path, folder: &str, start: &str) -> Vec<Node> {
    let is_meant = |path: &PathBuf| {
        path.file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with(start))
    };
    let node = |path: PathBuf| {
        let about = fs::metadata(&path).ok().filter(|about| !about.is_dir())?;
        let file = path.file_name()?.to_string_lossy();
        let name = root.join("sys/class/video4linux").join(file.as_ref());
        Some(Node {
            path: format!("/{folder}/{file}"),
            name: line(&name.join("name")),
            uid: about.uid(),
            gid: about.gid(),
            mode: format!("{:03o}", about.permissions().mode() & 0o777),
        })
    };
    entries(&root.join(folder))
        .into_iter()
        .filter(is_meant)
        .filter_map(node)
        .collect()
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
                node.path, node.uid, node.gid, node.mode
            ));
        }
        text
    }
}

#[cfg(test)]
mod tests {
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
            ("dev/dma_heap/linux,cma", ""),
            ("sys/class/video4linux/video0/name", "mxc_isi.0.capture\n"),
            ("sys/class/ptp/ptp0/clock_name", "stmmac ptp\n"),
            ("run/systemd/timesync/synchronized", ""),
        ] {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let machine = look(root.path());
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
        assert_eq!(paths, ["/dev/dma_heap/linux,cma", "/dev/video0"]);
        assert_eq!(machine.nodes[1].name.as_deref(), Some("mxc_isi.0.capture"));
        assert_eq!(machine.ptp_clocks, ["stmmac ptp"]);
        assert_eq!(machine.clock_synchronised, Some(true));
        assert!(machine.has("/dev/dma_heap/") && !machine.has("/dev/udmabuf"));
        let text = machine.render();
        for line in [
            "kernel    6.12.117-arm64",
            "ptp       stmmac ptp",
            "mxc_isi.0.capture",
        ] {
            assert!(text.contains(line), "{text}");
        }
    }

    #[test]
    fn a_machine_without_any_of_it_is_one_too() {
        let root = tempfile::tempdir().unwrap();
        let machine = look(root.path());
        assert!(machine.nodes.is_empty() && machine.clock_synchronised.is_none());
        assert!(machine.render().contains("who sets it is not known"));
    }
}
