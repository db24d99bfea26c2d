//! What is wrong with a configuration file, and where.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use mos_camera_core::plan::ProfileError;

use super::SecretError;
use super::locate;
use super::secret::Places;

/// The configuration can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A profile is wrong.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// The file could not be read.
    #[error("{}: can't read the configuration file: {source}; check the path and its permissions", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file holds nothing.
    #[error(
        "{}:1:1: the configuration file is empty (was it cut off while it was written?); start from the example file, or run without --config for the defaults",
        path.display()
    )]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// Something in the file is wrong.
    #[error("{}:{line}:{column}: {}{message}", path.display(), at_key(key))]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
        /// The key at fault, dotted from the root; empty where the text is no TOML at all.
        key: String,
        /// What is wrong and what to do; never a value that may be a secret.
        message: String,
    },
    /// A secret that the file refers to could not be read.
    #[error("{}:{line}:{column}: `{key}`: {source}", path.display())]
    Secret {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
        /// The key that holds the reference.
        key: String,
        /// Why.
        source: SecretError,
    },
}

fn at_key(key: &str) -> String {
    if key.is_empty() {
        String::new()
    } else {
        format!("`{key}`: ")
    }
}

/// The file that an error is about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'a> {
    /// Its path.
    pub(super) path: &'a Path,
    /// Its text.
    pub(super) text: &'a str,
    /// Where secrets are that it names.
    pub(super) places: &'a Places,
    /// Whether it may refer to secrets by such names only, not by files and variables: it came over the control socket.
    pub(super) only_names: bool,
}

impl<'a> Source<'a> {
    /// A file that the operator wrote.
    pub(super) const fn file(path: &'a Path, text: &'a str, places: &'a Places) -> Self {
        Self {
            path,
            text,
            places,
            only_names: false,
        }
    }

    /// An error at a place of the file.
    pub(super) fn invalid(&self, span: &Range<usize>, message: impl Into<String>) -> ConfigError {
        let (line, column) = locate::line_column(self.text, span.start);
        let key = locate::key_at(self.text, span.start);
        ConfigError::Invalid {
            path: self.path.to_owned(),
            line,
            column,
            key,
            message: message.into(),
        }
    }

    /// A secret that could not be read.
    pub(super) fn secret(&self, span: &Range<usize>, source: SecretError) -> ConfigError {
        let (line, column) = locate::line_column(self.text, span.start);
        let key = locate::key_at(self.text, span.start);
        ConfigError::Secret {
            path: self.path.to_owned(),
            line,
            column,
            key,
            source,
        }
    }
}

impl ConfigError {
    pub(super) fn unreadable(path: &Path, source: io::Error) -> Self {
        Self::Unreadable {
            path: path.to_owned(),
            source,
        }
    }

    pub(super) fn empty(path: &Path) -> Self {
        Self::Empty {
            path: path.to_owned(),
        }
    }

    pub(super) fn not_utf8(path: &Path, bytes: &[u8], valid_up_to: usize) -> Self {
        let valid = String::from_utf8_lossy(&bytes[..valid_up_to]);
        let (line, column) = locate::line_column(&valid, valid.len());
        let message = "this is not UTF-8 text, so it is not TOML".to_owned();
        Self::Invalid {
            path: path.to_owned(),
            line,
            column,
            key: String::new(),
            message,
        }
    }

    /// An error of the TOML parser. Its own `Display` quotes the line, which may hold a secret: only its message is used.
    pub(super) fn toml(path: &Path, text: &str, error: &toml::de::Error) -> Self {
        let span = error.span().unwrap_or(0..0);
        let message = format!(
            "{}{}",
            locate::without_values(error.message()),
            advice(text, &span)
        );
        Source::file(path, text, &Places::NONE).invalid(&span, message)
    }
}

/// What to do about the commonest mistakes.
fn advice(text: &str, span: &Range<usize>) -> &'static str {
    match text.get(span.clone()) {
        Some("password") => {
            "; keep secrets out of this file: put it in a file of its own and name that as `password_file`, in the environment and name the variable as `password_env`, or in the `secret_dir` and name it as `password_secret`"
        }
        Some("camera") => "; cameras are tables named `[cameras.NAME]`",
        _ => "",
    }
}
