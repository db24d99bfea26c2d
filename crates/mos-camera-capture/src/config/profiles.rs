//! The profiles in the folders that the configuration names: what an integrator says about a board.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use mos_camera_core::plan::{self, ProfileError, Rules};
use mos_camera_core::platform::{Board, Family};

use super::ConfigError;

/// What is known of ways to NV12: the profiles of this build, and the files.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Profiles {
    /// None until files are read: then those of this build.
    read: Option<plan::Profiles>,
}

impl fmt::Debug for Profiles {
    /// The files alone: what is in them is long.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files = self.read.as_ref().map(plan::Profiles::all_files);
        f.debug_list().entries(files.unwrap_or_default()).finish()
    }
}

impl Profiles {
    /// Reads every file `*.toml` of some folders, by its name. Of two files with the same name the one in the later folder
    /// counts alone; a link to `/dev/null` there takes the other away.
    pub(super) fn read(dirs: &[PathBuf]) -> Result<Self, ConfigError> {
        let mut profiles = plan::Profiles::built_in()?;
        for path in files(dirs)? {
            let unreadable = |e| ConfigError::unreadable(&path, e);
            if fs::canonicalize(&path).map_err(unreadable)? == Path::new("/dev/null") {
                continue;
            }
            let text = fs::read_to_string(&path).map_err(unreadable)?;
            profiles.add(&path.display().to_string(), &text)?;
        }
        Ok(Self {
            read: Some(profiles),
        })
    }

    fn known(&self) -> Result<plan::Profiles, ProfileError> {
        self.read.clone().map_or_else(plan::Profiles::built_in, Ok)
    }

    /// Boards that they tell of.
    pub fn boards(&self) -> Vec<Board> {
        self.read
            .as_ref()
            .map(plan::Profiles::boards)
            .unwrap_or_default()
    }

    /// What holds on a machine.
    pub fn rules(&self, family: Family, compatible: &[String]) -> Result<Rules, ProfileError> {
        Ok(self.known()?.rules(family, compatible))
    }

    /// The files that hold on a machine.
    pub fn files(&self, family: Family, compatible: &[String]) -> Vec<String> {
        let files = self.read.as_ref().map(|all| all.files(family, compatible));
        let files = files.unwrap_or_default();
        files.into_iter().map(str::to_owned).collect()
    }
}

/// The files in the order in which they are read.
fn files(dirs: &[PathBuf]) -> Result<Vec<PathBuf>, ConfigError> {
    let mut by_name = BTreeMap::new();
    for dir in dirs {
        for path in listed(dir).map_err(|e| ConfigError::unreadable(dir, e))? {
            if let Some(name) = path.file_name().filter(|_| is_profile(&path)) {
                by_name.insert(name.to_owned(), path.clone());
            }
        }
    }
    Ok(by_name.into_values().collect())
}

fn listed(dir: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(dir) {
        Ok(entries) => entries.map(|entry| entry.map(|e| e.path())).collect(),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Editors leave files such as `x.toml~` and `.x.toml.swp`.
fn is_profile(path: &Path) -> bool {
    let hidden = path
        .file_name()
        .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    !hidden && path.extension().is_some_and(|ext| ext == "toml")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const NULL: &str = "/dev/null";

    fn forbid(element: &str) -> String {
        format!("[[forbid]]\nelement = \"{element}\"\nreason = \"a test\"\n")
    }

    fn folders(files: &[(&str, &str)]) -> (tempfile::TempDir, Vec<PathBuf>) {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            match *text {
                NULL => symlink(NULL, path).unwrap(),
                text => fs::write(path, text).unwrap(),
            }
        }
        let dirs = ["usr", "etc"].map(|dir| root.path().join(dir)).into();
        (root, dirs)
    }

    #[test]
    fn files_are_read_by_name_and_the_later_folder_wins() {
        let (one, two, three) = (forbid("one"), forbid("two"), forbid("three"));
        for (files, expected) in [
            (vec![], vec![]),
            (
                vec![("usr/20.toml", &*one), ("usr/10.toml", &*two)],
                vec!["two", "one"],
            ),
            (
                vec![("usr/20.toml", &*one), ("etc/10.toml", &*two)],
                vec!["two", "one"],
            ),
            (
                vec![("usr/10.toml", &*one), ("etc/10.toml", &*two)],
                vec!["two"],
            ),
            (vec![("usr/10.toml", &*one), ("etc/10.toml", NULL)], vec![]),
            (
                vec![
                    ("usr/10.toml", &*one),
                    ("usr/11.toml~", &*two),
                    ("usr/.12.toml", &*two),
                    ("usr/README", "nothing"),
                    ("etc/20.toml", &*three),
                ],
                vec!["one", "three"],
            ),
        ] {
            let (_root, dirs) = folders(&files);
            let rules = Profiles::read(&dirs)
                .unwrap()
                .rules(Family::Generic, &[])
                .unwrap();
            let elements: Vec<_> = rules.forbidden.iter().map(|f| f.element.as_str()).collect();
            assert_eq!(elements, expected, "{files:?}");
        }
    }

    #[test]
    fn a_file_that_is_wrong_is_named_with_its_place() {
        let (_root, dirs) = folders(&[("etc/10.toml", "[[forbid]]\nelement = 'x'\n")]);
        let error = Profiles::read(&dirs).unwrap_err().to_string();
        let expected = format!("{}:1:1: `reason`", dirs[1].join("10.toml").display());
        assert!(error.starts_with(&expected), "{error}");
        let (_root, dirs) = folders(&[("etc/10.toml", "")]);
        let error = Profiles::read(&dirs).unwrap_err().to_string();
        assert!(error.contains("cut off"), "{error}");
        let (_root, dirs) = folders(&[("etc", "a file where a folder should be")]);
        assert!(matches!(
            Profiles::read(&dirs),
            Err(ConfigError::Unreadable { .. })
        ));
    }
}
