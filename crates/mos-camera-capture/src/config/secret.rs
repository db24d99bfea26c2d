//! Secrets by reference: the configuration names where a secret is, never the secret.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use mos_camera_core::Secret;
use toml::Spanned;

use super::ConfigError;
use super::error::Source;
use super::values::beside;

/// A secret could not be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file could not be read.
    #[error("can't read the secret's file {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The environment variable is not set.
    #[error("the environment variable {name} is not set (or is no UTF-8)")]
    Env {
        /// Its name.
        name: String,
    },
    /// There is no secret of this name.
    #[error("there is no secret `{name}`: looked for {}", looked_for(paths))]
    Unknown {
        /// Its name.
        name: String,
        /// Where it was looked for.
        paths: Vec<PathBuf>,
    },
    /// There is nothing in it.
    #[error("the secret in {place} is empty")]
    Empty {
        /// Where.
        place: String,
    },
}

fn looked_for(paths: &[PathBuf]) -> String {
    let paths: Vec<_> = paths.iter().map(|p| p.display().to_string()).collect();
    paths.join(" and ")
}

/// Where secrets that are named are looked for, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Places(Vec<PathBuf>);

impl Places {
    /// Nowhere: while the service's own table is read.
    pub(super) const NONE: Self = Self(Vec::new());

    /// systemd's credentials (`LoadCredential=`, systemd.exec(5)), then the folder.
    pub(super) fn new(credentials: Option<PathBuf>, secret_dir: &Path) -> Self {
        let folder = secret_dir.to_owned();
        Self(credentials.into_iter().chain([folder]).collect())
    }

    fn find(&self, name: &str) -> Result<Secret, SecretError> {
        let paths: Vec<_> = self.0.iter().map(|folder| folder.join(name)).collect();
        for path in &paths {
            match from_file(path) {
                Err(SecretError::File { source, .. })
                    if source.kind() == io::ErrorKind::NotFound => {}
                found => return found,
            }
        }
        Err(SecretError::Unknown {
            name: name.to_owned(),
            paths,
        })
    }
}

/// Where a table says that its secret is: at most one of the keys `<what>_file`, `<what>_env` and `<what>_secret`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reference<'a> {
    /// What the secret is, as its keys begin: `password`.
    pub(super) what: &'static str,
    /// A file.
    pub(super) file: Option<&'a Spanned<PathBuf>>,
    /// An environment variable.
    pub(super) env: Option<&'a Spanned<String>>,
    /// A name that is looked for in the service's places of secrets.
    pub(super) secret: Option<&'a Spanned<String>>,
}

impl Reference<'_> {
    /// The secret, if there is a reference, and where the reference is.
    pub(super) fn read(
        &self,
        source: &Source<'_>,
    ) -> Result<Option<(Range<usize>, Secret)>, ConfigError> {
        let spans = [
            self.file.map(Spanned::span),
            self.env.map(Spanned::span),
            self.secret.map(Spanned::span),
        ];
        let mut given = spans.into_iter().flatten();
        let Some(span) = given.next() else {
            return Ok(None);
        };
        if let Some(second) = given.next() {
            let what = self.what;
            let message =
                format!("give one of `{what}_file`, `{what}_env` and `{what}_secret`, not several");
            return Err(source.invalid(&second, message));
        }
        if source.only_names && self.secret.is_none() {
            let message = format!(
                "a camera that is added at run time names its secret by `{}_secret`: files and variables of the service are not for its callers to choose",
                self.what
            );
            return Err(source.invalid(&span, message));
        }
        let secret = match (self.file, self.env, self.secret) {
            (Some(file), ..) => from_file(&beside(source, file.get_ref())),
            (_, Some(env), _) => from_env(env.get_ref()),
            (.., Some(name)) if is_name(name.get_ref()) => source.places.find(name.get_ref()),
            _ => {
                return Err(source.invalid(
                    &span,
                    "a secret's name has 1 to 255 letters, digits, `_`, `-` or `.`, and does not start with `.`",
                ));
            }
        };
        let secret = secret.map_err(|error| source.secret(&span, error))?;
        Ok(Some((span, secret)))
    }
}

/// Whether it names a file of a folder, and nothing outside it.
fn is_name(text: &str) -> bool {
    (1..=255).contains(&text.len())
        && !text.starts_with('.')
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
}

/// The password that goes with a `user`.
pub(super) fn password(
    user: Option<&str>,
    reference: Reference<'_>,
    source: &Source<'_>,
) -> Result<Option<Secret>, ConfigError> {
    match (user, reference.read(source)?) {
        (_, None) => Ok(None),
        (None, Some((span, _))) => Err(source.invalid(&span, "a password without a `user`")),
        (Some(_), Some((_, secret))) => Ok(Some(secret)),
    }
}

/// Reads a secret from a file; one line end at its end is not part of it.
fn from_file(path: &Path) -> Result<Secret, SecretError> {
    let text = std::fs::read_to_string(path).map_err(|source| SecretError::File {
        path: path.to_owned(),
        source,
    })?;
    let secret = text
        .strip_suffix('\n')
        .map_or(text.as_str(), |t| t.strip_suffix('\r').unwrap_or(t));
    non_empty(secret, || path.display().to_string())
}

/// Reads a secret from the environment.
fn from_env(name: &str) -> Result<Secret, SecretError> {
    let secret = std::env::var(name).map_err(|_| SecretError::Env {
        name: name.to_owned(),
    })?;
    non_empty(&secret, || format!("the environment variable {name}"))
}

fn non_empty(secret: &str, place: impl FnOnce() -> String) -> Result<Secret, SecretError> {
    if secret.is_empty() {
        Err(SecretError::Empty { place: place() })
    } else {
        Ok(Secret::new(secret))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_secret_is_systemd_s_credential_or_a_file_of_the_folder() {
        let (credentials, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let write = |dir: &tempfile::TempDir, name: &str, text: &str| {
            std::fs::write(dir.path().join(name), text).unwrap();
        };
        write(&credentials, "both", "first\n");
        write(&folder, "both", "second");
        write(&folder, "one", "only\r\n");
        write(&folder, "nothing", "\n");
        let places = Places::new(Some(credentials.path().to_owned()), folder.path());
        for (name, found) in [
            ("both", Ok("first")),
            ("one", Ok("only")),
            ("nothing", Err("is empty")),
            ("none", Err("looked for")),
        ] {
            match (places.find(name), found) {
                (Ok(secret), Ok(text)) => assert_eq!(secret.reveal(), text),
                (Err(error), Err(text)) => assert!(error.to_string().contains(text), "{error}"),
                other => panic!("{name}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_name_stays_inside_the_folder() {
        for (name, good) in [
            ("door", true),
            ("a.b_c-1", true),
            ("", false),
            (".", false),
            ("..", false),
            (".hidden", false),
            ("a/b", false),
            ("../x", false),
            ("a\0", false),
        ] {
            assert_eq!(is_name(name), good, "{name:?}");
        }
        assert!(!is_name(&"x".repeat(256)));
    }
}
