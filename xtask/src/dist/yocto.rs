//! The crates of Cargo.lock as `BitBake` fetches them: `mos-camera-crates.inc` of the layer in `packaging/yocto`.

use std::fs;
use std::path::PathBuf;

use crate::error::Error;
use crate::paths;

const HEAD: &str = "# The crates of Cargo.lock. Written by `cargo xtask dist --yocto-crates`; a test holds it to the lock file.\n";

/// Where the list is.
pub(crate) fn place() -> PathBuf {
    paths::root()
        .join("packaging/yocto/meta-mos-camera/recipes-multimedia/mos-camera/mos-camera-crates.inc")
}

/// Writes the list anew.
pub(crate) fn update() -> Result<(), Error> {
    fs::write(place(), current()?).map_err(Error::path("write", place()))
}

/// What the list has to be.
fn current() -> Result<String, Error> {
    let lock = paths::root().join("Cargo.lock");
    let text = fs::read_to_string(&lock).map_err(Error::path("read", &lock))?;
    list(&text).map_err(|why| Error::Unexpected {
        what: "Cargo.lock".to_owned(),
        why,
    })
}

/// The list for a lock file. Names carry the version, since a crate may be there twice.
fn list(lock: &str) -> Result<String, String> {
    let (mut uris, mut sums) = (Vec::new(), Vec::new());
    for package in lock.split("[[package]]").skip(1) {
        let value = |key: &str| {
            let found = package.lines().find_map(|line| {
                let value = line.strip_prefix(key)?.strip_prefix(" = \"")?;
                value.strip_suffix('"')
            });
            found.ok_or_else(|| format!("a package without {key}: {}", package.trim()))
        };
        let (name, version) = (value("name")?, value("version")?);
        // Of this workspace.
        let Ok(source) = value("source") else {
            continue;
        };
        if !source.starts_with("registry+") {
            return Err(format!(
                "{name} is from {source}, which the recipe does not fetch"
            ));
        }
        let sum = value("checksum")?;
        uris.push(format!(
            "    crate://crates.io/{name}/{version};name={name}-{version} \\\n"
        ));
        sums.push(format!("SRC_URI[{name}-{version}.sha256sum] = \"{sum}\"\n"));
    }
    let (uris, sums) = (uris.concat(), sums.concat());
    Ok(format!("{HEAD}\nSRC_URI += \" \\\n{uris}\"\n\n{sums}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates_of_the_registry_are_listed_with_their_sums() {
        let lock = "version = 4\n\n[[package]]\nname = \"ours\"\nversion = \"0.1.0\"\n\n[[package]]\nname = \"theirs\"\nversion = \"1.2.3\"\nsource = \"registry+x\"\nchecksum = \"abc\"\ndependencies = [\n \"ours\",\n]\n";
        let text = list(lock).unwrap();
        assert_eq!(
            text.strip_prefix(HEAD).unwrap(),
            "\nSRC_URI += \" \\\n    crate://crates.io/theirs/1.2.3;name=theirs-1.2.3 \\\n\"\n\nSRC_URI[theirs-1.2.3.sha256sum] = \"abc\"\n"
        );
        assert!(list(&lock.replace("registry+", "git+")).is_err());
        assert!(list(&lock.replace("checksum", "sum")).is_err());
    }

    #[test]
    fn the_layer_has_the_crates_of_the_lock_file() {
        let written = fs::read_to_string(place()).unwrap_or_default();
        assert!(
            written == current().unwrap(),
            "Cargo.lock changed: run `cargo xtask dist --yocto-crates`"
        );
    }
}
