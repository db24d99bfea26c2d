//! Where things are.

use std::env;
use std::path::{Path, PathBuf};

/// The repository.
pub(crate) fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

/// Cargo's target folder.
pub(crate) fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// Logs and results of runs; not under version control.
pub(crate) fn artifacts() -> PathBuf {
    root().join("artifacts")
}

/// What outlives a clone: the lab's disk image, tools from package registries.
pub(crate) fn cache() -> PathBuf {
    let base = env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute());
    let home = || env::var_os("HOME").map_or_else(env::temp_dir, PathBuf::from);
    base.unwrap_or_else(|| home().join(".cache"))
        .join("mos-camera")
}

/// The folder the user called from, for files that were asked for (`x` changes to the repository before cargo starts).
pub(crate) fn invoked_from() -> PathBuf {
    env::var_os("MOS_INVOKED_FROM")
        .map(PathBuf::from)
        .or_else(|| env::current_dir().ok())
        .unwrap_or_default()
}
