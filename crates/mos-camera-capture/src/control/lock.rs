//! One service per path: a lock that the kernel drops when its holder dies.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

/// The right to use a path. Whoever holds it is alive: a process that dies, however it dies, loses it.
#[derive(Debug)]
pub struct PathLock {
    // Held for its lock only.
    _file: File,
}

/// The lock can't be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds it.
    #[error("{} is in use by another running service{}; stop that one first, or give this one paths of its own", path.display(), by_pid(*pid))]
    Held {
        /// What is locked.
        path: PathBuf,
        /// The holder, if it left its number.
        pid: Option<u32>,
    },
    /// The lock file can't be made or written.
    #[error("can't lock {}: {source}", path.display())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

fn by_pid(pid: Option<u32>) -> String {
    pid.map_or_else(String::new, |pid| format!(" (process {pid})"))
}

impl PathLock {
    /// Locks `path` by the file `<path>.lock` beside it.
    ///
    /// The lock file stays when the lock ends: removing it would let two processes hold locks on two files of one name.
    pub fn take(path: &Path) -> Result<Self, LockError> {
        let lock_path = lock_path(path);
        let failed = |source| LockError::Io {
            path: lock_path.clone(),
            source,
        };
        let mut file = open(&lock_path).map_err(failed)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(LockError::Held {
                    path: path.to_owned(),
                    pid: read_pid(&mut file),
                });
            }
            Err(e) => return Err(failed(e.into())),
        }
        write_pid(&mut file).map_err(failed)?;
        Ok(Self { _file: file })
    }
}

fn lock_path(path: &Path) -> PathBuf {
    let mut name = path.to_owned().into_os_string();
    name.push(".lock");
    name.into()
}

fn open(path: &Path) -> io::Result<File> {
    let nofollow = rustix::fs::OFlags::NOFOLLOW.bits() as i32;
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o640)
        .custom_flags(nofollow)
        .open(path)
}

/// For a person's eyes only: whether the holder lives is decided by the lock.
fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_lock_names_its_holder_and_a_dropped_one_can_be_taken() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.sock");
        let held = PathLock::take(&path).unwrap();
        match PathLock::take(&path) {
            Err(LockError::Held { pid, .. }) => assert_eq!(pid, Some(std::process::id())),
            other => panic!("expected the lock to be held, got {other:?}"),
        }
        drop(held);
        PathLock::take(&path).unwrap();
    }
}
