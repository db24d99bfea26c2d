//! Which GStreamer the peers run on: this machine's, or that of a Debian root folder.
//!
//! Nothing is mounted and no root folder is changed to: a program of the folder is started by the folder's own dynamic
//! loader, with the folder's libraries. So it sees the same `/tmp`, `/dev/shm` and processes as everybody, and it needs no
//! privilege. All GStreamer contenders, ours too, run on the same one.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::contender::Error;

/// The dynamic loader and the folder of the libraries, by architecture, inside a Debian root.
const LAYOUTS: [(&str, &str); 2] = [
    ("usr/lib64/ld-linux-x86-64.so.2", "usr/lib/x86_64-linux-gnu"),
    ("usr/lib/ld-linux-aarch64.so.1", "usr/lib/aarch64-linux-gnu"),
];

/// A GStreamer.
#[derive(Debug, Clone)]
pub(super) struct System {
    program: PathBuf,
    root: Option<Root>,
}

#[derive(Debug, Clone)]
struct Root {
    folder: PathBuf,
    loader: PathBuf,
    libraries: PathBuf,
}

/// What a GStreamer is and has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) version: String,
    pub(super) elements: Vec<String>,
}

impl System {
    /// That of `root`, or this machine's own.
    pub(super) fn new(root: Option<&Path>) -> Result<Self, Error> {
        Ok(Self {
            program: env::current_exe()?,
            root: root.map(Root::new).transpose()?,
        })
    }

    /// A peer process: `mos-bench peer ...` on this GStreamer.
    pub(super) fn peer(&self) -> Command {
        let mut command = match &self.root {
            Some(root) => root.command(&self.program),
            None => Command::new(&self.program),
        };
        command.arg("peer");
        command
    }

    /// Where it is, for a report: no paths of the machine.
    pub(super) fn place(&self) -> &'static str {
        match self.root {
            Some(_) => "a Debian 13 root folder, run by its own loader",
            None => "this machine's",
        }
    }

    /// Its version, and which of `elements` it has.
    pub(super) fn look(&self, elements: &[&str]) -> Result<Found, Error> {
        let output = self
            .peer()
            .arg("look")
            .args(elements)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .output()?;
        if !output.status.success() {
            let why = String::from_utf8_lossy(&output.stderr);
            return Err(format!("GStreamer does not start: {}", why.trim()).into());
        }
        Ok(Found::read(&String::from_utf8_lossy(&output.stdout)))
    }
}

impl Root {
    fn new(folder: &Path) -> Result<Self, Error> {
        let layout = LAYOUTS
            .iter()
            .map(|(loader, libraries)| (folder.join(loader), folder.join(libraries)))
            .find(|(loader, _)| loader.exists());
        let (loader, libraries) = layout.ok_or_else(|| {
            format!(
                "{} is no Debian root: it has no dynamic loader",
                folder.display()
            )
        })?;
        Ok(Self {
            folder: folder.to_owned(),
            loader,
            libraries,
        })
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(&self.loader);
        command
            .arg("--library-path")
            .arg(&self.libraries)
            .arg(program);
        command.env(
            "GST_PLUGIN_SYSTEM_PATH_1_0",
            self.libraries.join("gstreamer-1.0"),
        );
        command.env("GST_REGISTRY_1_0", self.folder.join("registry.bin"));
        // The helper that would look at plugins is one of this machine, not of the folder.
        command.env("GST_REGISTRY_FORK", "no");
        command
            .env_remove("GST_PLUGIN_PATH")
            .env_remove("GST_PLUGIN_PATH_1_0");
        command
    }
}

impl Found {
    fn read(text: &str) -> Self {
        let mut lines = text.lines().map(str::to_owned);
        Self {
            version: lines.next().unwrap_or_default(),
            elements: lines.collect(),
        }
    }

    /// Whether it has all of them.
    pub(super) fn has(&self, elements: &[&str]) -> bool {
        elements
            .iter()
            .all(|&element| self.elements.iter().any(|found| found == element))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_is_a_version_and_elements() {
        let found = Found::read("GStreamer 1.26.2\nshmsink\nshmsrc\n");
        assert_eq!(found.version, "GStreamer 1.26.2");
        assert!(found.has(&["shmsrc", "shmsink"]) && !found.has(&["shmsink", "unixfdsink"]));
        assert_eq!(Found::read(""), Found::default());
    }

    #[test]
    fn a_folder_without_a_loader_is_no_root() {
        let folder = tempfile::tempdir().unwrap();
        let why = System::new(Some(folder.path())).unwrap_err().to_string();
        assert!(why.contains("no Debian root"), "{why}");
    }

    #[test]
    fn programs_of_a_root_run_by_its_loader() {
        let folder = tempfile::tempdir().unwrap();
        let loader = folder.path().join(LAYOUTS[0].0);
        std::fs::create_dir_all(loader.parent().unwrap()).unwrap();
        std::fs::write(&loader, "").unwrap();
        let command = System::new(Some(folder.path())).unwrap().peer();
        assert_eq!(command.get_program(), loader);
        assert_eq!(command.get_args().last().unwrap(), "peer");
    }
}
