//! The file of the wanted state: read once, replaced as a whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::{VERSION, WantedState};

/// Where the wanted state is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    path: PathBuf,
}

/// What was found at start.
#[derive(Debug, PartialEq, Eq)]
pub struct Loaded {
    /// The state; the default where there was none that could be read.
    pub state: WantedState,
    /// What was wrong with the file, and where it is now; the service starts all the same.
    pub problem: Option<String>,
}

/// The state could not be saved; the file is as it was.
#[derive(Debug, thiserror::Error)]
#[error("can't save the wanted state to {}: {source}; {}", path.display(), advice(source))]
pub struct SaveError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            "free some space there, or name another `state_file`"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "let the service's user write to that folder, or name another `state_file`"
        }
        _ => "nothing was changed; try again",
    }
}

impl Store {
    /// A store at `path`; its folder is made (0750) if it is not there.
    pub fn open(path: &Path) -> io::Result<Self> {
        if let Some(dir) = path.parent() {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o750)
                .create(dir)?;
        }
        Ok(Self {
            path: path.to_owned(),
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the state. A file that can't be read as one is set aside, never overwritten.
    pub fn load(&self) -> io::Result<Loaded> {
        let bytes = match fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Ok(Loaded {
                    state: WantedState::default(),
                    problem: None,
                });
            }
            Err(e) => return Err(e),
        };
        match parse(&bytes) {
            Ok(state) => Ok(Loaded {
                state,
                problem: None,
            }),
            Err(reason) => self.set_aside(&reason),
        }
    }

    fn set_aside(&self, reason: &str) -> io::Result<Loaded> {
        let aside = self.free_name()?;
        fs::rename(&self.path, &aside)?;
        let problem = format!(
            "the wanted state in {} can't be read: {reason}; it was set aside as {}, and streams start as the configuration file has them",
            self.path.display(),
            aside.display()
        );
        Ok(Loaded {
            state: WantedState::default(),
            problem: Some(problem),
        })
    }

    /// The first `<file>.corrupt-<n>` that is free.
    fn free_name(&self) -> io::Result<PathBuf> {
        for n in 1..u32::MAX {
            let name = self.sibling(&format!(".corrupt-{n}"));
            if !name.try_exists()? {
                return Ok(name);
            }
        }
        Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "no free name to set the state file aside",
        ))
    }

    fn sibling(&self, suffix: &str) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(suffix);
        name.into()
    }

    /// Replaces the file: after a crash at any point it holds either the old state or the new one.
    pub fn save(&self, state: &WantedState) -> Result<(), SaveError> {
        let tmp = self.sibling(".tmp");
        self.replace(&tmp, state).map_err(|source| {
            // Of no use, and in the way of what lacks space; that it can't be removed changes nothing about the failure.
            let _ = fs::remove_file(&tmp);
            SaveError {
                path: self.path.clone(),
                source,
            }
        })
    }

    fn replace(&self, tmp: &Path, state: &WantedState) -> io::Result<()> {
        let mut text = serde_json::to_vec_pretty(state)?;
        text.push(b'\n');
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o640)
            .open(tmp)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(tmp, &self.path)?;
        match self.path.parent() {
            Some(dir) => File::open(dir)?.sync_all(),
            None => Ok(()),
        }
    }
}

/// Reads a state; the error says what is wrong in words.
fn parse(bytes: &[u8]) -> Result<WantedState, String> {
    #[derive(serde::Deserialize)]
    struct Versioned {
        version: u32,
    }
    let Versioned { version } = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
    if version != VERSION {
        return Err(format!(
            "it has version {version}, this build knows version {VERSION}"
        ));
    }
    serde_json::from_slice(bytes).map_err(|e| e.to_string())
}
