//! Who has a device node open, from `/proc/*/fd` (proc(5)).

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The processes that have device nodes open, by the node's path.
///
/// Of processes of other users only root learns; of whom nothing is known nothing is said.
#[derive(Debug, Default)]
pub(super) struct Openers(HashMap<PathBuf, Vec<Opener>>);

/// A process that has a node open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Opener {
    /// Its number.
    pub(super) pid: u32,
    /// What the kernel calls it.
    pub(super) name: String,
}

impl Openers {
    /// Looks once at every process.
    pub(super) fn look() -> Self {
        let mut found = Self::default();
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
        for process in processes {
            if let Some(pid) = process
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok())
            {
                found.take_in(pid, &process.path());
            }
        }
        found
    }

    fn take_in(&mut self, pid: u32, process: &Path) {
        // Unreadable: another user's, or it has ended.
        let descriptors = fs::read_dir(process.join("fd")).into_iter().flatten();
        for descriptor in descriptors.flatten() {
            let Ok(target) = fs::read_link(descriptor.path()) else {
                continue;
            };
            if !target.starts_with("/dev") || !is_video(&descriptor.path()) {
                continue;
            }
            let openers = self.0.entry(target).or_default();
            if openers.iter().all(|opener| opener.pid != pid) {
                let name = fs::read_to_string(process.join("comm")).unwrap_or_default();
                openers.push(Opener {
                    pid,
                    name: name.trim().to_owned(),
                });
            }
        }
    }

    /// The other processes that have a node open; none at all if this process has it open too, for then it is ours.
    pub(super) fn others(&self, node: &Path) -> &[Opener] {
        let openers = self.0.get(node).map_or(&[][..], Vec::as_slice);
        let ours = std::process::id();
        if openers.iter().any(|opener| opener.pid == ours) {
            &[]
        } else {
            openers
        }
    }
}

/// Whether an open file is a video node; its path alone may be that of one that is gone.
fn is_video(descriptor: &Path) -> bool {
    fs::metadata(descriptor).is_ok_and(|about| rustix::fs::major(about.rdev()) == 81)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_this_process_has_open_is_nobody_else_s() {
        let opener = |pid| Opener {
            pid,
            name: "cheese".to_owned(),
        };
        let node = Path::new("/dev/video0");
        let other = opener(std::process::id().wrapping_add(1));
        let mut openers = Openers::default();
        assert!(openers.others(node).is_empty());
        openers.0.insert(node.to_owned(), vec![other.clone()]);
        assert_eq!(openers.others(node), std::slice::from_ref(&other));
        openers
            .0
            .insert(node.to_owned(), vec![other, opener(std::process::id())]);
        assert!(openers.others(node).is_empty());
    }

    #[test]
    fn only_video_nodes_count() {
        let _open = fs::File::open("/dev/null").unwrap();
        assert!(!Openers::look().0.contains_key(Path::new("/dev/null")));
    }
}
