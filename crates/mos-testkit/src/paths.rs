//! Where things lie in the source tree and in the build.

use std::io;
use std::path::{Path, PathBuf};

/// The root of the source tree.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

/// A peer program of `tests/peers`.
pub fn peer(file: &str) -> PathBuf {
    root().join("tests/peers").join(file)
}

/// The GStreamer plugin of this build, `libgstmos.so`, for programs that load it as a file.
///
/// `$MOS_GST_PLUGIN` names it where the tests run away from the build; else it lies beside the running test
/// (`target/<profile>/deps`) or one directory up.
pub fn plugin() -> io::Result<PathBuf> {
    if let Some(path) = std::env::var_os("MOS_GST_PLUGIN") {
        return Ok(path.into());
    }
    library("gst-plugin-mos", "libgstmos.so")
}

/// The stand-in for Qualcomm's camera source, as a plugin file.
pub fn qmmf_standin() -> io::Result<PathBuf> {
    library("mos-qmmf-standin", "libgstqmmfstandin.so")
}

/// A library of this build, beside the running test or one directory up.
fn library(package: &str, file: &str) -> io::Result<PathBuf> {
    let program = std::env::current_exe()?;
    program
        .ancestors()
        .skip(1)
        .take(2)
        .flat_map(|dir| [dir.join(file), dir.join("deps").join(file)])
        .find(|path| path.is_file())
        .ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::NotFound,
                format!("no {file} beside {}; build {package}", program.display()),
            )
        })
}
