//! A frame bus directory of a test's own.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A temporary directory for bus sockets, removed on drop.
///
/// It is short: the path of a Unix socket holds 107 bytes only (unix(7)).
#[derive(Debug)]
pub struct TempBus(tempfile::TempDir);

impl TempBus {
    /// Makes a directory that only this user may enter.
    pub fn new() -> io::Result<Self> {
        let dir = tempfile::Builder::new().prefix("mos-").tempdir()?;
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o750))?;
        Ok(Self(dir))
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        self.0.path()
    }

    /// The socket of a stream, as `mos_frame::socket_path` has it.
    pub fn socket(&self, stream: &str) -> PathBuf {
        self.dir().join(format!("{stream}.sock"))
    }
}
