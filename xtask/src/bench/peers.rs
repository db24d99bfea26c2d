//! What `bench bus --peers` measures the bus against, made ready: a folder with Debian 13's GStreamer, so that the peers
//! are the same on every machine and new enough for `unixfdsink`.
//!
//! The packages are unpacked, not installed, and their programs are started by their own dynamic loader. So nothing is
//! mounted, no root folder is changed to, and it works as any user: as root, or in a user namespace (mmdebstrap).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::debian::making::Making;
use crate::debian::{self, SUITE, mirror};
use crate::error::Error;
use crate::exec::{self, capture};
use crate::lock;
use crate::paths;

/// Raise when the way the folder is made changes.
const RECIPE: u32 = 1;
const LIMIT: Duration = Duration::from_mins(10);
/// Base brings videotestsrc and the libraries; what our own plugin is linked to is among them.
const PACKAGES: &str = "gstreamer1.0-tools,gstreamer1.0-plugins-base,libgcc-s1";
/// Two plugins are all that is wanted of 200 MB that this package would bring with it.
const PLUGINS: &str = r#"export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"
cd "$1/tmp"
apt-get download gstreamer1.0-plugins-bad
dpkg-deb --fsys-tarfile gstreamer1.0-plugins-bad_*.deb | tar -x -C "$1" --wildcards '*/libgstshm.so' '*/libgstunixfd.so'
rm gstreamer1.0-plugins-bad_*.deb"#;

/// The folder, made if it is not in the cache.
pub(crate) fn root(tick: &mut dyn FnMut(&str)) -> Result<PathBuf, Error> {
    let cache = paths::cache().join("bench");
    fs::create_dir_all(&cache).map_err(Error::path("create", &cache))?;
    let folder = cache.join(format!("{SUITE}-{RECIPE}"));
    let lock = exec::create(&cache.join("lock"))?;
    lock::take(&lock, lock::Mode::Exclusive, || {
        tick("waiting for another run");
    })?;
    if !folder.exists() {
        make(&folder, tick)?;
    }
    Ok(folder)
}

/// Whole or not at all: the folder appears by a rename. It goes through a tar file, for in a user namespace mmdebstrap
/// could not write into a folder of this user.
fn make(folder: &Path, tick: &mut dyn FnMut(&str)) -> Result<(), Error> {
    let (tar, partial) = (
        folder.with_extension("tar"),
        folder.with_extension("partial"),
    );
    if partial.exists() {
        fs::remove_dir_all(&partial).map_err(Error::path("remove", &partial))?;
    }
    let mirror = mirror()?;
    Making {
        what: "unpacking Debian 13's GStreamer",
        log: "bench/peers.log",
        limit: LIMIT,
        list: "xtask/src/bench/peers.rs",
        mirror: &mirror,
        result: &tar,
    }
    .run(&mut mmdebstrap(&mirror, &tar), tick)?;
    fs::create_dir(&partial).map_err(Error::path("create", &partial))?;
    let mut unpack = Command::new("tar");
    unpack.arg("-xf").arg(&tar).arg("-C").arg(&partial);
    // Devices need root and nobody here opens them.
    unpack.args(["--no-same-owner", "--exclude=./dev"]);
    capture("unpacking Debian 13's GStreamer", &mut unpack)?;
    fs::remove_file(&tar).map_err(Error::path("remove", &tar))?;
    fs::rename(&partial, folder).map_err(Error::path("finish", folder))
}

fn mirror() -> Result<String, Error> {
    mirror::find().map_err(|_| {
        Error::NotMet(
            "the peers need Debian 13's GStreamer, and this machine's apt has no Debian source: put the URL of a Debian \
             mirror into MOS_LAB_MIRROR"
                .to_owned(),
        )
    })
}

fn mmdebstrap(mirror: &str, target: &Path) -> Command {
    let mut command = Command::new("mmdebstrap");
    command.args(["--mode=auto", "--variant=extract", "--format=tar"]);
    command.arg(format!("--include={PACKAGES}"));
    command.arg(r#"--aptopt=APT::Install-Recommends "false""#);
    command.arg("--dpkgopt=path-exclude=/usr/share/*");
    command.arg(format!("--extract-hook=set -e; {PLUGINS}"));
    command.arg(SUITE);
    command.arg(target);
    command.arg(debian::source(mirror, SUITE));
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unpacked_and_only_what_is_signed() {
        let command = mmdebstrap("http://mirror/debian", Path::new("/t"));
        let arguments: Vec<_> = command.get_args().map(|a| a.to_string_lossy()).collect();
        assert!(arguments.contains(&"--variant=extract".into()));
        let source = arguments.last().unwrap();
        assert!(
            source.contains("signed-by=/") && source.ends_with("/debian trixie main"),
            "{source}"
        );
    }
}
