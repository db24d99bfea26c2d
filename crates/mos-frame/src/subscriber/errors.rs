//! What can go wrong at the consumer's end.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::session::End;
use crate::wire::Reason;

/// A subscription could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// Nobody publishes there.
    #[error("{}: no such stream, or nobody publishes it; check the name and that the camera was started", path.display())]
    NotFound {
        /// The socket.
        path: PathBuf,
    },
    /// The socket's permissions keep us out.
    #[error("{}: no permission to subscribe; join the group that owns the socket", path.display())]
    Permission {
        /// The socket.
        path: PathBuf,
    },
    /// The producer said no.
    #[error("{}: the producer refused the subscription ({reason:?}): {text}", path.display())]
    Refused {
        /// The socket.
        path: PathBuf,
        /// Class of the refusal.
        reason: Reason,
        /// The producer's words.
        text: String,
    },
    /// The producer did not answer in time.
    #[error("{}: the producer did not answer within {timeout:?}", path.display())]
    Timeout {
        /// The socket.
        path: PathBuf,
        /// How long we waited.
        timeout: Duration,
    },
    /// The peer does not speak the protocol.
    #[error("{}: this is no producer that we understand: {text}", path.display())]
    Protocol {
        /// The socket.
        path: PathBuf,
        /// What was wrong.
        text: String,
    },
    /// The kernel refused something else.
    #[error("{}: the subscription failed: {source}", path.display())]
    Io {
        /// The socket.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

impl ConnectError {
    pub(crate) fn from_io(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Self::NotFound { path },
            io::ErrorKind::PermissionDenied => Self::Permission { path },
            _ => Self::Io { path, source },
        }
    }

    pub(crate) fn from_end(path: &Path, end: End) -> Self {
        let to_owned = path.to_owned();
        match end {
            End::Gone => Self::NotFound { path: to_owned },
            End::Refused { reason, text } | End::Evicted { reason, text } => Self::Refused {
                path: to_owned,
                reason,
                text,
            },
            End::Protocol(text) => Self::Protocol {
                path: to_owned,
                text,
            },
            End::Io(source) => Self::from_io(path, source),
        }
    }
}

/// No further frame can be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecvError {
    /// The producer is gone and the subscriber was told not to wait for another.
    #[error("the producer is gone")]
    Disconnected,
    /// The producer cut us off.
    #[error("the producer cut this subscriber off ({reason:?}): {text}")]
    Evicted {
        /// Class of the offence.
        reason: Reason,
        /// The producer's words.
        text: String,
    },
    /// As many frames are held as were asked for; drop one first. Nothing is lost by this error.
    #[error(
        "{hold} frames are held, as many as were asked for; drop one before taking another, or subscribe with a larger hold"
    )]
    HoldLimit {
        /// The limit.
        hold: u32,
    },
    /// The producer broke the protocol.
    #[error("the producer broke the protocol: {0}")]
    Protocol(String),
    /// The kernel refused something.
    #[error("receiving failed: {0}")]
    Io(#[from] io::Error),
}
