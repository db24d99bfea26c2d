//! What can go wrong, in words for the person who typed the command.

use std::io;
use std::path::PathBuf;

/// Any failure of a subcommand.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// An operating system call failed.
    #[error("{what}: {source}")]
    Io {
        /// What was being done, to what.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
    /// A program could not be started.
    #[error("cannot run {program}: {source}{}", hint_for(.source))]
    Spawn {
        /// Its name.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// A program ran and failed.
    #[error("{what} failed ({how}); its output:\n{tail}")]
    Failed {
        /// What it was to do.
        what: String,
        /// Exit status or signal.
        how: String,
        /// The end of its output.
        tail: String,
    },
    /// A program printed what this program does not understand.
    #[error("{what} answered something unexpected: {why}")]
    Unexpected {
        /// Who answered.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// System packages are missing and this program can't install them here.
    #[error("{why}. Needed (Debian's names):\n{list}\nInstall their like, then use --no-setup.")]
    Packages {
        /// Why they can't be installed.
        why: String,
        /// One package a line, with its reason.
        list: String,
    },
    /// The lab can't be had on this machine.
    #[error("the camera lab can't run here: {why}. {hint}")]
    Lab {
        /// What is missing.
        why: String,
        /// What to do.
        hint: String,
    },
    /// What is made of Debian's packages can't be made on this machine.
    #[error("{why}. {hint}")]
    Debian {
        /// What is missing.
        why: String,
        /// What to do.
        hint: String,
    },
    /// Checks or bars that did not hold; the details were printed.
    #[error("{0}")]
    NotMet(String),
    /// Ctrl-C or SIGTERM.
    #[error("interrupted")]
    Interrupted,
}

fn hint_for(source: &io::Error) -> &'static str {
    if source.kind() == io::ErrorKind::NotFound {
        " (`cargo xtask setup` installs what is needed)"
    } else {
        ""
    }
}

impl Error {
    /// Maps an I/O error to this type: `.map_err(Error::io("write the config"))`.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    /// As [`Error::io`], naming the path.
    pub(crate) fn path(doing: &str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        Self::io(format!("cannot {doing} {}", path.into().display()))
    }
}
