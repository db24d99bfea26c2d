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
    use std::collections::BTreeSet;
    use std::path::Path;
    use std::process::Command;

    use super::*;
    use crate::dist::package;

    /// What `cargo build` leaves for packages.
    const BUILT: [&str; 7] = [
        "mos-camera-capture",
        "mosctl",
        "mos-unixfd",
        "libgstmos.so",
        "libmos_frame_c.so",
        "libmos_frame_c.a",
        "libmos_frame_python.so",
    ];

    /// The recipe's `do_install` as a script, with `BitBake`'s variables as Debian has those folders.
    fn do_install(built: &Path, target: &Path) -> String {
        let recipe = fs::read_to_string(place().with_file_name("mos-camera_git.bb")).unwrap();
        let (_, rest) = recipe.split_once("\ndo_install() {\n").unwrap();
        let (body, _) = rest.split_once("\n}\n").unwrap();
        let condition = "${@bb.utils.contains('DISTRO_FEATURES', 'systemd', 'true', 'false', d)}";
        assert!(body.contains(condition));
        let path = |path: &Path| path.to_str().unwrap().to_owned();
        let variables = [
            ("B", path(built)),
            ("S", path(paths::root())),
            ("D", path(target)),
            ("CARGO_TARGET_SUBDIR", "release".to_owned()),
            ("PV", format!("{}+git", env!("CARGO_PKG_VERSION"))),
            ("prefix", "/usr".to_owned()),
            ("bindir", "/usr/bin".to_owned()),
            ("datadir", "/usr/share".to_owned()),
            ("mandir", "/usr/share/man".to_owned()),
            ("includedir", "/usr/include".to_owned()),
            ("sysconfdir", "/etc".to_owned()),
            ("libdir", "/usr/lib".to_owned()),
            ("nonarch_libdir", "/usr/lib".to_owned()),
            ("nonarch_base_libdir", "/usr/lib".to_owned()),
            (
                "systemd_system_unitdir",
                "/usr/lib/systemd/system".to_owned(),
            ),
            (
                "PYTHON_SITEPACKAGES_DIR",
                "/usr/lib/python3/dist-packages".to_owned(),
            ),
        ];
        let start = body.replace(condition, "true");
        let script = variables.iter().fold(start, |script, (name, value)| {
            script.replace(&format!("${{{name}}}"), value)
        });
        // What is left over is the shell's own, or missing.
        format!("set -eu\n{script}\n")
    }

    /// All files and links below a folder.
    fn files(folder: &Path) -> BTreeSet<String> {
        let mut command = Command::new("find");
        command.current_dir(folder).args([".", "!", "-type", "d"]);
        let listed = crate::exec::capture("listing", &mut command).unwrap();
        listed.lines().map(str::to_owned).collect()
    }

    #[test]
    fn the_recipe_installs_what_debian_packages_have() {
        let folder = tempfile::tempdir().unwrap();
        let [debian, yocto] = ["debian", "yocto"].map(|name| folder.path().join(name));
        let built = folder.path().join("target/release");
        fs::create_dir_all(&built).unwrap();
        for name in BUILT {
            fs::write(built.join(name), name).unwrap();
        }
        package::fill(&debian, Path::new("lib"), paths::root(), &built).unwrap();
        let script = do_install(folder.path(), &yocto);
        crate::exec::capture("do_install", Command::new("sh").args(["-c", &script])).unwrap();
        let installed = |name: &String| name.starts_with("./usr/") || name.starts_with("./etc/");
        let mut wanted: BTreeSet<_> = files(&debian).into_iter().filter(installed).collect();
        // The recipe's useradd class makes the user.
        assert!(wanted.remove("./usr/lib/sysusers.d/mos-camera.conf"));
        assert_eq!(files(&yocto), wanted);
        let read = |root: &Path, name: &str| fs::read_to_string(root.join(name)).unwrap();
        assert_eq!(
            read(&yocto, "usr/lib/libmos_frame.so"),
            read(&debian, "usr/lib/libmos_frame.so")
        );
        // One names the folder by the prefix, the other in full.
        let pkg_config = |root| {
            let text = read(root, "usr/lib/pkgconfig/mos-frame.pc");
            text.replace("${prefix}/lib", "/usr/lib")
        };
        assert_eq!(pkg_config(&yocto), pkg_config(&debian));
    }

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
