//! Drivers of virtual media devices that Debian's kernel package leaves out, built from Debian's source of the same kernel.

use std::path::Path;

use super::image::{self, Bootstrap};
use crate::error::Error;
use crate::paths;

/// What the build needs; `build-drivers` does it.
const PACKAGES: [&str; 7] = [
    "linux-headers-amd64",
    "linux-source",
    "make",
    "gcc",
    "libc6-dev",
    "kmod",
    "xz-utils",
];
/// Where the script is in the root, and what it leaves there.
const SCRIPT: &str = "build-drivers";
const RESULT: &str = "/drivers.tar";

/// Makes a tar file of modules, laid out as below `/usr/lib/modules`. Its root is thrown away.
pub(super) fn build(target: &Path, tick: &mut dyn FnMut(&str)) -> Result<(), Error> {
    let script = paths::root().join("lab/guest").join(SCRIPT);
    let bootstrap = Bootstrap {
        what: "building the virtual media drivers",
        log: "drivers.log",
        packages: &PACKAGES,
        hooks: vec![
            format!("--customize-hook=copy-in {} /", script.display()),
            format!(r#"--customize-hook=chroot "$1" /{SCRIPT}"#),
            format!("--customize-hook=download {RESULT} {}", target.display()),
        ],
    };
    image::bootstrap(&bootstrap, Path::new("-"), "null", tick)
}
