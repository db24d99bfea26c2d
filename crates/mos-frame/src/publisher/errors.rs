//! What can go wrong at the producer's end.

use std::io;
use std::path::{Path, PathBuf};

use crate::socket::ListenError;

/// A stream can't be published.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// A live producer has the path.
    #[error("{}: another process publishes this stream; stop it or choose another stream name", path.display())]
    InUse {
        /// The socket.
        path: PathBuf,
    },
    /// The socket or its lock file can't be made there.
    #[error("{}: no permission to create the stream's socket; give this user write access to the folder", path.display())]
    Permission {
        /// The socket.
        path: PathBuf,
    },
    /// The folder is not there.
    #[error("{}: the folder of the stream's socket does not exist; create it or set MOS_FRAME_DIR", path.display())]
    NoFolder {
        /// The socket.
        path: PathBuf,
    },
    /// The kernel refused something else.
    #[error("{}: the stream can't be published: {source}", path.display())]
    Io {
        /// The socket.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

impl BindError {
    pub(super) fn new(path: &Path, error: impl Into<ListenError>) -> Self {
        let path = path.to_owned();
        match error.into() {
            ListenError::InUse => Self::InUse { path },
            ListenError::Io(e) if e.kind() == io::ErrorKind::PermissionDenied => {
                Self::Permission { path }
            }
            ListenError::Io(e) if e.kind() == io::ErrorKind::NotFound => Self::NoFolder { path },
            ListenError::Io(source) => Self::Io { path, source },
        }
    }
}

/// A buffer can't be used on the bus.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// [`Publisher::set_format`](crate::Publisher::set_format) was not called.
    #[error("no format is set; set it before the first buffer")]
    NoFormat,
    /// The planes don't fit the memory or each other.
    #[error("the planes do not fit the buffer's memory: {0}")]
    Layout(String),
    /// The format promises memory that subscribers can't write to, and this is none.
    #[error(
        "subscribers could write to descriptor {index}'s memory, but the format says that they can't: seal it \
         (memory::seal_read_only) before it is imported, or set the format's read_only to false"
    )]
    Writable {
        /// Which of the buffer's descriptors.
        index: usize,
    },
    /// All 256 buffers are held.
    #[error("all 256 buffers of the stream are in use")]
    Full,
    /// The kernel refused.
    #[error("the buffer's descriptors can't be used: {0}")]
    Io(#[from] io::Error),
}

/// A frame was not published; it is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The slot belongs to an earlier format, or its buffer made room for another: import the buffer again.
    #[error("the buffer is not known in this epoch; import it again")]
    UnknownSlot,
    /// A subscriber still holds the frame that was last published in this buffer.
    #[error(
        "buffer {slot} is published again while a subscriber holds it; the source reuses memory too early"
    )]
    Busy {
        /// The slot's number.
        slot: u16,
    },
    /// The session has published 2^62 - 1 frames, as many as a lease word can tell apart.
    #[error("the session's frame numbers are used up; start the stream anew")]
    OutOfSequences,
}
