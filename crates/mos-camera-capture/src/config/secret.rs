//! Secrets by reference: the configuration names where a secret is, never the secret.

use std::io;
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
    /// There is nothing in it.
    #[error("the secret in {place} is empty")]
    Empty {
        /// Where.
        place: String,
    },
}

/// The password that `password_file` or `password_env` beside a `user` names; at most one of them is given.
pub(super) fn password(
    user: Option<&str>,
    file: Option<&Spanned<PathBuf>>,
    env: Option<&Spanned<String>>,
    source: &Source<'_>,
) -> Result<Option<Secret>, ConfigError> {
    let (span, secret) = match (file, env) {
        (None, None) => return Ok(None),
        (Some(_), Some(env)) => {
            return Err(source.invalid(
                &env.span(),
                "give either `password_file` or `password_env`, not both",
            ));
        }
        (Some(file), None) => (file.span(), from_file(&beside(source, file.get_ref()))),
        (None, Some(env)) => (env.span(), from_env(env.get_ref())),
    };
    if user.is_none() {
        return Err(source.invalid(&span, "a password without a `user`"));
    }
    secret.map(Some).map_err(|e| source.secret(&span, e))
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
