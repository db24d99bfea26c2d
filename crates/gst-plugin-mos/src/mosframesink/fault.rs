//! Why frames can't be published.

use mos_frame::{ImportError, PublishError};

/// A buffer could not be published.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("a frame came before its caps")]
    NoCaps,
    #[error("the frame's planes don't fit its memory: {0}")]
    Planes(String),
    #[error("the frame's memory is {0}, which other processes can't be given")]
    NotShareable(&'static str),
    #[error("the frame bus did not take the frame's memory: {0}")]
    Import(#[from] ImportError),
    #[error("the frame was not published: {0}")]
    Publish(#[from] PublishError),
    #[cfg(feature = "development")]
    #[error("the frame could not be copied into shareable memory: {0}")]
    Copy(String),
}

impl Fault {
    /// Stable code of the reason.
    pub(crate) const fn code(&self) -> &'static str {
        match self {
            Self::NoCaps => "no-caps",
            Self::Planes(_) => "planes",
            Self::NotShareable(_) => "not-shareable",
            Self::Import(_) => "import",
            Self::Publish(_) => "publish",
            #[cfg(feature = "development")]
            Self::Copy(_) => "copy",
        }
    }

    /// What to do about it.
    pub(crate) const fn advice(&self) -> &'static str {
        match self {
            Self::NoCaps => "put mosnv12contract before the sink",
            Self::Planes(_) => {
                "the element before the sink must attach a GstVideoMeta that describes its real layout"
            }
            Self::NotShareable(_) => {
                "put mosnv12contract before the sink and let the source or decoder export dma-bufs; only a development build copies"
            }
            Self::Import(_) => {
                "check the limits of this process on open files, and that upstream reuses its buffers"
            }
            Self::Publish(_) => {
                "the source reuses memory that it gave away; report it to the maintainers of that element"
            }
            #[cfg(feature = "development")]
            Self::Copy(_) => {
                "check that there is memory left, and the limit of this process on open files"
            }
        }
    }

    /// Whether the fault lies in the frames (the contract) and not in the bus.
    pub(crate) const fn breaks_contract(&self) -> bool {
        matches!(self, Self::NoCaps | Self::Planes(_) | Self::NotShareable(_))
    }
}
