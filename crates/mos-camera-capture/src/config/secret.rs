//! Secrets by reference: the configuration names where a secret is, never the secret.

use std::io;
use std::path::{Path, PathBuf};

use mos_camera_core::Secret;

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

/// Reads a secret from a file; one line end at its end is not part of it.
pub(super) fn from_file(path: &Path) -> Result<Secret, SecretError> {
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
pub(super) fn from_env(name: &str) -> Result<Secret, SecretError> {
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
