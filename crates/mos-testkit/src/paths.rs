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
    let program = std::env::current_exe()?;
    program
        .ancestors()
        .skip(1)
        .take(2)
        .flat_map(|dir| [dir.join("libgstmos.so"), dir.join("deps/libgstmos.so")])
        .find(|path| path.is_file())
        .ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::NotFound,
                format!("no libgstmos.so beside {}; build gst-plugin-mos, or name it in $MOS_GST_PLUGIN", program.display()),
            )
        })
}
